"""The log as JSON: one object a line, with what the line belongs to."""

import io
import json
import logging
import subprocess
import sys
from datetime import datetime

import pytest

from blackbox_am.service.logs import LogFormat, about, set_up


@pytest.fixture
def written():
    """A function that returns the lines of the log; the handlers of pytest come back afterwards."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, io.StringIO()

    def lines():
        return stream.getvalue().splitlines()

    lines.stream = stream
    yield lines
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_is_one_object(written):
    root = logging.getLogger()
    root.handlers.clear()
    set_up(LogFormat.JSON, written.stream)
    with about(study="edges", oracle="sim", resource=""):
        logging.getLogger("blackbox_am.x").warning("study %s waits\nfor room", "edges")
    (line,) = map(json.loads, written())
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset().total_seconds() == 0
    assert line == {
        "event": "study edges waits\nfor room",
        "level": "warning",
        "logger": "blackbox_am.x",
        "study": "edges",
        "oracle": "sim",
    }


def test_a_traceback_is_a_key(written):
    logging.getLogger().handlers.clear()
    set_up(LogFormat.JSON, written.stream)
    logging.getLogger("x").error("it failed", exc_info=ZeroDivisionError("by nothing"))
    (line,) = map(json.loads, written())
    assert line["exception"] == "ZeroDivisionError: by nothing"


def test_lines_for_people_are_plain(written):
    logging.getLogger().handlers.clear()
    set_up(LogFormat.CONSOLE, written.stream)
    with about(study="edges"):
        logging.getLogger("x").info("it began")
    (line,) = written()
    assert line.endswith("INFO it began")


def test_a_client_does_not_import_it():
    program = "import sys, blackbox_am.client; sys.exit('structlog' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
