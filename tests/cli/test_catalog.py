from __future__ import annotations

import os
import re
import sys

import pytest

from tests import forked


@pytest.fixture(params=["here", "server"])
def where(request):
    """Arguments that list this installation, and arguments that list a server."""
    if request.param == "server":
        return ["--server", request.getfixturevalue("server")]
    return []


def test_optimizers(from_json, where):
    found = {entry["name"]: entry for entry in from_json("catalog", "optimizers", *where)}
    assert {"cma", "sep_cma", "random", "adam"} <= set(found)
    assert found["adam"]["order"] == 1
    assert "categorical" in found["random"]["spaces"]
    assert "population" in found["cma"]["schema"]["properties"]


def test_one_optimizer_with_its_parameters(cli, where):
    result = cli("catalog", "optimizers", "cma", *where)
    assert result.exit_code == 0
    assert "population" in result.stdout
    assert "integer | null" in result.stdout
    assert "adam" not in result.stdout


def test_an_unknown_name_exits_with_3_and_suggests_similar_names(cli, where):
    result = cli("catalog", "optimizers", "sepcma", *where)
    assert result.exit_code == 3
    assert "did you mean 'sep_cma'" in result.stderr


def test_objectives(from_json, where):
    assert {"mean", "weighted"} <= {e["name"] for e in from_json("catalog", "objectives", *where)}


def _place(where, config):
    return where or ["--config", str(config)]


def test_generators(cli, from_json, where, config):
    place = _place(where, config)
    (found,) = from_json("catalog", "generators", *place)
    assert found["name"] == "pixels"
    assert found["space"]["dimension"] == 192
    assert "box, 192" in cli("catalog", "generators", *place).stdout


def test_oracles(cli, from_json, where, config):
    place = _place(where, config)
    found = from_json("catalog", "oracles", *place)
    assert [entry["name"] for entry in found] == ["priced", "slow", "toy"]
    described = {entry["name"]: entry["info"] for entry in found}
    assert described["priced"]["kind"] == described["toy"]["kind"] == "simulated"
    assert described["priced"]["wrappers"] == ["quota"]
    assert described["toy"]["wrappers"] == []
    text = cli("catalog", "oracles", *place).stdout
    assert "scores, units" in text
    assert text.count("quota") == 1
    assert "3 x 8 x 8" in text


def test_layers_and_units(cli, from_json, where, config):
    place = _place(where, config)
    (layer,) = from_json("catalog", "units", "toy", *place)
    assert (layer["name"], layer["shape"]) == ("units", [6])
    units = cli("catalog", "units", "toy", "--layer", "units", *place).stdout.split()
    assert units == [f"units:{k}" for k in range(6)]


def test_an_unknown_oracle_or_layer(cli, where, config):
    place = _place(where, config)
    result = cli("catalog", "units", "toi", *place)
    assert result.exit_code == 3
    assert "did you mean 'toy'" in result.stderr
    result = cli("catalog", "units", "toy", "-l", "unit", *place)
    assert result.exit_code == 2
    assert "did you mean 'units'" in result.stderr


def test_the_shipped_models_are_the_default(cli):
    text = cli("catalog", "units", "cifar_cnn", "--layer", "head").stdout
    assert text.splitlines()[3].split() == ["head:3", "cat"]
    assert "cifar_vae" in cli("catalog", "generators").stdout


def test_criteria_measures_and_transforms_are_listed(cli):
    assert "threshold" in cli("catalog", "criteria").stdout
    assert "at_least" in cli("catalog", "criteria", "threshold").stdout
    assert "stimulus.tv" in cli("catalog", "measures").stdout
    assert "jitter" in cli("catalog", "transforms").stdout
    assert "degrees" in cli("catalog", "transforms", "rotate").stdout


def test_a_plug_in_that_cannot_be_loaded_is_listed_with_the_reason(cli, monkeypatch):
    from blackbox_am import plugins

    def broken(registry, name):
        raise ImportError("it needs a package that is not there")

    monkeypatch.setattr(plugins.Registry, "schema", broken)
    for arguments in (["cma"], []):
        shown = cli("catalog", "optimizers", *arguments).stdout
        assert "cma: cannot be loaded: it needs a package that is not there" in shown


BROKEN = """
[server]
shipped = false
[oracles.x]
kind = "torch_module"
[oracles.ok]
kind = "simulated"
units = 3
[generators.p]
kind = "pixels"
low = "a"
"""


@pytest.mark.parametrize(("what", "name"), [("oracles", "x"), ("generators", "p")])
def test_broken_entries_are_said_and_fail_where_strict(cli, tmp_path, what, name):
    config = tmp_path / "c.toml"
    config.write_text(BROKEN)
    shown = cli("catalog", what, "--config", config)
    assert shown.exit_code == 0
    assert re.search(rf"^{name} +cannot be used, see below", shown.stdout, re.MULTILINE)
    assert f"\n{name}: " in shown.stdout
    strict = cli("catalog", what, "--config", config, "--strict")
    assert strict.exit_code == 1
    assert f"entries cannot be used: {name}" in strict.stderr


def test_nothing_is_cut_where_the_output_is_no_terminal(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    command = [sys.executable, "-m", "blackbox_am.cli", "catalog", "criteria"]
    done = forked.run(command, timeout=60, env=environment)
    assert "…" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) > 120
