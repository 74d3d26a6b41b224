"""A cache: what was paid for once is never bought again."""

from blackbox_am.oracles.wrappers.cache._oracle import Cache

__all__ = ["Cache"]
