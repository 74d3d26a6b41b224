"""Stores: where journals are kept."""

from blackbox_am.stores.sql import SQLStore

__all__ = ["SQLStore"]
