"""The log of a server: lines for people, or one JSON object a line for programs.

The modules log with Python's `logging`. What a line belongs to is bound around the work: the study
and the oracle of a worker, the method and the resource of a call.
"""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import TextIO

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars

CONSOLE_FORMAT = "%(asctime)s %(levelname)s %(message)s"


class LogFormat(StrEnum):
    """How the lines of a log look."""

    CONSOLE = "console"
    JSON = "json"


def set_up(form: LogFormat, stream: TextIO | None = None) -> None:
    """Sends everything from the level INFO on, and warnings of Python, to one stream.

    Args:
        form: `json` writes one object a line with the keys `timestamp` (ISO 8601, UTC), `level`,
            `logger`, `event` (the message), and where known `study`, `oracle`, `method`, `resource`
            and `exception` (a traceback).
        stream: where to write; the standard error output if None.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    if form is LogFormat.JSON:
        handler.setFormatter(_json())
    else:
        handler.setFormatter(logging.Formatter(CONSOLE_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(form is LogFormat.JSON)


def about(**what: str) -> AbstractContextManager[None]:
    """A context in which every line of the log has the given keys; empty values are left out."""
    return bound_contextvars(**{key: value for key, value in what.items() if value})


def _json() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )
