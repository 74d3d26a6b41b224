from __future__ import annotations

import subprocess
import sys

import pytest

from blackbox_am.version import __version__

COMMANDS = ["run", "serve", "demo", "version"]
GROUPS = {
    "study": ["create", "list", "show", "watch", "best", "pause", "resume", "cancel", "extend",
              "delete"],
    "catalog": ["optimizers", "objectives", "generators", "oracles", "units"],
    "bench": ["loop"],
}  # fmt: skip


def test_version(cli):
    assert cli("version").stdout == f"blackbox-am {__version__}\n"


def test_the_version_as_an_option(cli):
    assert cli("--version").stdout == f"blackbox-am {__version__}\n"


def test_help_shows_every_command_and_an_example(cli):
    text = cli("--help").stdout
    for name in [*COMMANDS, *GROUPS]:
        assert name in text
    assert "blackbox-am run -t head:3" in text
    assert "Exit codes" in text
    assert "demo-client" not in text


@pytest.mark.parametrize(
    "command", [[c] for c in COMMANDS] + [[g, c] for g in GROUPS for c in GROUPS[g]]
)
def test_every_command_explains_itself(cli, command):
    result = cli(*command, "--help")
    assert result.exit_code == 0
    assert len(result.stdout.split("Options")[0].split()) >= 8


def test_no_arguments_show_the_help(cli):
    assert "Usage" in cli().output


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["run", "-t", "a:1", "--otimizer", "cma"], "--optimizer"),
        (["rnu"], "run"),
        (["study", "crate"], "create"),
        (["run"], "--target"),
        (["run", "-t", "a:1", "-q", "0"], "--queries"),
        (["run", "-t", "a:1", "-q", "many"], "--queries"),
    ],
)
def test_a_mistyped_command_exits_with_2_and_suggests_the_name(cli, arguments, named):
    result = cli(*arguments)
    assert result.exit_code == 2
    assert named in result.stderr


def test_help_and_remote_commands_start_without_torch():
    code = (
        "import sys\n"
        "from blackbox_am.cli import app\n"
        "try:\n"
        "    app(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print([name for name in ('torch', 'diffusers', 'matplotlib') if name in sys.modules])\n"
    )
    for arguments in (["--help"], ["study", "list", "--server", "localhost:1"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]", arguments
