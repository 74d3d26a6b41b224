"""Stores of journals, with their index, leases and artifacts."""

from blackbox_am.stores.sql import SQLStore

__all__ = ["SQLStore"]
