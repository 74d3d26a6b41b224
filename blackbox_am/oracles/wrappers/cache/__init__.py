"""A cache of answers on disk: the same stimulus is measured once."""

from blackbox_am.oracles.wrappers.cache._oracle import Cache

__all__ = ["Cache"]
