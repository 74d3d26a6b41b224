"""The type of the fixture `closes` of `conftest`, which closes what a test opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Closes = Callable[[Any], Any]
