"""`blackbox-am catalog ...`: what there is to search with."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from blackbox_am.cli import options
from blackbox_am.cli.console import out, plain
from blackbox_am.cli.failures import Group
from blackbox_am.core.types import OracleInfo
