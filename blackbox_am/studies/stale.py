"""What a live study raises once its journal has moved on without it."""

from __future__ import annotations

from blackbox_am.errors import StoreError


class Stale(StoreError):
    """The object is out of date and did nothing: take the study up again, and repeat."""
