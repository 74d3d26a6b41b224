from __future__ import annotations

import re

import pytest
import typer
from typer.testing import CliRunner

from blackbox_am import errors
from blackbox_am.cli.failures import EXIT_CODES, Group, exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput, 2),
        (errors.UnknownUnit, 2),
        (errors.Unsupported, 2),
        (errors.GradientUnavailable, 2),
        (errors.NotFound, 3),
        (errors.StudyExists, 3),
        (errors.StudyClosed, 3),
        (errors.OracleFailed, 4),
        (errors.OracleUnavailable, 4),
        (errors.StoreCorrupt, 5),
        (errors.ServerUnavailable, 6),
        (errors.ServerFailed, 1),
        (errors.Forbidden, 7),
        (errors.QuotaExceeded, 7),
    ],
)
def test_every_error_has_its_exit_code(error, code):
    assert exit_code(error("no")) == code


def test_the_help_names_every_code():
    named = {int(found) for found in re.findall(r"\b(\d+) \w", EXIT_CODES)}
    assert named == {0, 1, 2, 3, 4, 5, 6, 7, 8, 130}


def _app(error):
    app = typer.Typer(cls=Group, pretty_exceptions_enable=False)

    @app.callback()
    def options(debug: bool = False) -> None:
        pass

    @app.command()
    def fail() -> None:
        raise error

    return app


def test_a_deliberate_error_is_one_line_on_stderr():
    result = CliRunner().invoke(_app(errors.NotFound("no [bold]study[/] 'x' in [1, 2]")), ["fail"])
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr == "error: no [bold]study[/] 'x' in [1, 2]\n"


def test_debug_raises_the_error():
    error = errors.NotFound("gone")
    result = CliRunner().invoke(_app(error), ["--debug", "fail"])
    assert result.exception is error


def test_an_unexpected_exception_is_not_caught():
    error = ZeroDivisionError("a bug")
    result = CliRunner().invoke(_app(error), ["fail"])
    assert result.exception is error


def test_ctrl_c_exits_with_130():
    assert CliRunner().invoke(_app(KeyboardInterrupt()), ["fail"]).exit_code == 130
