"""The program of docs/results.md runs, here with a smaller budget, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

from blackbox_am.cli.app import every_command

TEXT = (Path(__file__).parents[2] / "docs" / "results.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_program_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    program = "\n".join(BLOCKS)
    assert "queries_per_target=1000" in program
    small = program.replace("queries_per_target=1000", "queries_per_target=12")
    exec(compile(small, "results.md", "exec"), {})
    said = capsys.readouterr().out
    assert said.startswith("<Result 'first': succeeded, 2 targets, 24 queries; best: head:3 = ")
    assert said.endswith("first succeeded\n")
    assert "(128,) {'head:3': " in said
    written = {path.name for path in (tmp_path / "first").iterdir()}
    for name in re.findall(r"^\| (.*?) \|", TEXT, re.MULTILINE):
        for file in re.findall(r"`([\w.]+\.(?:json|npz|png|csv|svg))`", name):
            assert file in written
    assert (tmp_path / "convergence.pdf").read_bytes().startswith(b"%PDF")


def test_the_commands_exist():
    root = every_command()
    commands = re.findall(r"^    blackbox-am (\w+) (\w+) .*$", TEXT, re.MULTILINE)
    assert len(commands) == 7
    for group, name in commands:
        assert name in root.commands[group].commands
    for line in re.findall(r"^    blackbox-am .*$", TEXT, re.MULTILINE):
        group, name = line.split()[1:3]
        known = {o for p in root.commands[group].commands[name].params for o in p.opts}
        assert set(re.findall(r"--[\w-]+", line)) <= known
