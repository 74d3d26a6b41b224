"""docs/json.md names every command with --json, and exactly the keys that they print."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import blackbox_am
from blackbox_am.catalogue import Catalogue
from blackbox_am.cli import app
from blackbox_am.cli.app import every_command
from blackbox_am.service import Config, running

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text("utf-8")
SECTIONS = {
    section.partition("\n")[0]: section for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)
}
TABLES = {
    "oracles": {"toy": {"kind": "simulated", "stimulus_shape": [3, 4, 4], "units": 3}},
    "generators": {"pixels": {"kind": "pixels", "shape": [3, 4, 4]}},
}
CONFIG = """
[server]
shipped = false
[oracles.toy]
kind = "simulated"
[generators.pixels]
kind = "pixels"
shape = [3, 4, 4]
"""
STUDY, BEST, COMPARISON = "A study", "Best candidates", "A comparison"


def keys(section: str) -> set[str]:
    rows = re.findall(r"^\| (`.*?) \|", SECTIONS[section], re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    (folder / "toys.toml").write_text(CONFIG)
    blackbox_am.maximise(
        oracle="toy",
        generator="pixels",
        targets=["units:1"],
        queries_per_target=20,
        store=folder / "runs.sqlite3",
        study_id="run",
        catalogue=Catalogue.from_plain(TABLES),
        device="cpu",
    )
    return folder


@pytest.fixture(scope="module")
def address(place):
    catalogue = Catalogue.from_plain(TABLES)
    store = str(place / "runs.sqlite3")
    config = Config(address="localhost:0", store=store, device="cpu", catalogue=catalogue)
    with running(config) as found:
        yield found


def printed(*command: object):
    result = CliRunner().invoke(app, [*map(str, command), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout, parse_constant=pytest.fail)


def test_every_command_with_json_is_named():
    found = []

    def walk(command, path):
        for name, child in getattr(command, "commands", {}).items():
            walk(child, [*path, name])
        if any("--json" in parameter.opts for parameter in command.params):
            found.append(" ".join(path))

    walk(every_command(), [])
    assert {"study list", "runs list", "token list", "catalog units"} <= set(found)
    for command in found:
        if not command.startswith("bench "):
            assert re.search(rf"[` ]{command}\b", PAGE.replace("\n", " ")), command


def test_listings_of_the_catalogue():
    for noun in ("optimizers", "objectives", "criteria", "transforms", "measures"):
        more = {"optimizers": {"order", "spaces"}, "measures": {"quantities", "compares_inputs"}}
        for entry in printed("catalog", noun):
            assert set(entry) == keys("Plug-ins") | more.get(noun, set())
    assert all(name in SECTIONS["Plug-ins"] for name in ("`order`", "`spaces`", "`quantities`"))


def test_listings_of_models(place):
    config = ("--config", place / "toys.toml")
    assert set(printed("catalog", "generators", *config)[0]) == keys("Generators")
    (oracle,) = printed("catalog", "oracles", *config)
    assert set(oracle) == {"name", "info", "problem"}
    assert all(f"`{name}`" in SECTIONS["Oracles"] for name in oracle["info"])
    (layer,) = printed("catalog", "units", "toy", *config)
    assert set(layer) == keys("Layers and units")


def test_listings_of_studies(place, address):
    store, at = ("--store", place / "runs.sqlite3"), ("--server", address)
    for study in (
        printed("runs", "list", *store)[0],
        printed("study", "list", *at)[0],
        printed("study", "show", "run", *at),
    ):
        assert set(study) == keys(STUDY)
        assert all(f"`{name}`" in SECTIONS[STUDY] for name in study["targets"][0])
    config = ("--config", place / "toys.toml")
    shown = printed("runs", "show", "run", *store, *config)
    assert set(shown) == keys(STUDY) | {"best"}
    assert set(shown["best"][0]) == keys(BEST)
    assert set(printed("study", "best", "run", *at)[0]) == keys(BEST)
    for found in (
        printed("study", "compare", "run", *at),
        printed("runs", "compare", "run", *store),
    ):
        assert set(found[0]) == keys(COMPARISON)


def test_a_listing_of_tokens(tmp_path):
    store = ("--store", tmp_path / "tokens.sqlite3")
    created = CliRunner().invoke(
        app, ["token", "create", "ann", "--role", "reader", *map(str, store)]
    )
    assert created.exit_code == 0, created.output
    assert set(printed("token", "list", *store)[0]) == keys("Tokens")
