from __future__ import annotations

import subprocess
import sys

import pytest

from blackbox_am.cli.app import every_command
from blackbox_am.version import __version__

MODULES_OF_HELP, MODULES_OF_LIST = 340, 720
"""More modules than a command imports; each costs about half a millisecond."""

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
        (["RUN"], "'run'"),
        (["study", "LIST"], "'list'"),
        (["run"], "--target"),
        (["run", "-t", "a:1", "-q", "0"], "--queries"),
        (["run", "-t", "a:1", "-q", "many"], "--queries"),
    ],
)
def test_a_mistyped_command_exits_with_2_and_suggests_the_name(cli, arguments, named):
    result = cli(*arguments)
    assert result.exit_code == 2
    assert named in result.stderr


CALL = """
import sys
before = set(sys.modules)
from blackbox_am.cli import app
try:
    app(sys.argv[1:])
except SystemExit:
    pass
print("imported", *(set(sys.modules) - before))
"""


def imported(*arguments: str) -> set[str]:
    """The modules that a command imports in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CALL, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_help_imports_no_command():
    found = imported("--help")
    assert len(found) < MODULES_OF_HELP
    ours = {name for name in found if name.startswith("blackbox_am.")}
    assert len(ours) <= 10, sorted(ours)
    assert not found & {"numpy", "grpc", "torch"}


def test_a_command_of_a_server_imports_what_it_needs():
    found = imported("study", "list", "--server", "localhost:1")
    assert len(found) < MODULES_OF_LIST
    assert not found & {"torch", "diffusers", "matplotlib", "scipy", "pandas", "PIL.Image"}
    assert not any(name.startswith("blackbox_am.bench") for name in found)


def test_the_package_imports_nothing_until_a_name_is_used():
    code = "import sys; b = set(sys.modules); import blackbox_am; print(*(set(sys.modules) - b))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("blackbox_am")}
    assert ours == {"blackbox_am", "blackbox_am.version"}


def test_the_summaries_are_the_first_sentences_of_the_helps():
    root = every_command()
    for name, entry in root.entries.items():
        command = root.commands[name]
        text = (command.short_help or command.help or "").strip().split("\n\n")[0]
        assert entry.summary == " ".join(text.split()), name
        assert entry.hidden == command.hidden, name
