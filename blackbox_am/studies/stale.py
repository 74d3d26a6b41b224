"""The error of a live study whose journal was changed by another process."""

from __future__ import annotations

from blackbox_am.errors import StoreError


class Stale(StoreError):
    """The object is out of date and did nothing; recover the study and repeat the call."""
