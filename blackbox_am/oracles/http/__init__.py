"""A model behind an HTTP API that answers JSON."""

from blackbox_am.oracles.http._oracle import Http

__all__ = ["Http"]
