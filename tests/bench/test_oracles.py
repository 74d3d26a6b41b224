"""The benchmark of oracles, at its smallest."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blackbox_am.bench import oracle_kinds
from blackbox_am.bench.cli import app
from blackbox_am.bench.measurement import compare

ASSETS = Path(__file__).parents[3] / "shared" / "assets"


def run(*arguments):
    return CliRunner().invoke(app, ["oracle", *map(str, arguments)])


@pytest.mark.slow
def test_the_stream_is_measured_and_written(tmp_path):
    file = tmp_path / "all.json"
    result = run(
        "--part", "stream", "--repeats", 1, "--rows", 16, "--json", file,
        "--part", "resnet", "--assets", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "skipped" in said
    assert "cifar10_resnet20.safetensors" in said
    lines = {line["name"]: line for line in json.loads(file.read_text())}
    assert list(lines) == [
        "(a) ObserveStream / bare sink",
        "(a) ObserveStream / bare echo",
        "(a) ObserveStream",
        "(a) uint8 / float32",
    ]
    for line in lines.values():
        assert line["value"] > 0
        if line["baseline"] is not None:
            assert line["low"] == line["ratio"] == line["high"]
            assert line["ratio"] == pytest.approx(line["value"] / line["baseline"])
    assert "ObserveStream / bare sink" in said


@pytest.mark.slow
def test_calls_and_the_cache_are_measured():
    result = run("--part", "call", "--part", "cache", "--repeats", 1)
    assert result.exit_code == 0, result.output
    assert "time of a call minus a bare call" in result.output
    assert "cache hit / forward" in result.output


@pytest.mark.slow
@pytest.mark.skipif(bool(oracle_kinds.missing(ASSETS)), reason="needs the assets")
def test_every_kind_gets_the_same_accuracy(tmp_path):
    file = tmp_path / "all.json"
    result = run("--part", "resnet", "--images", 60, "--assets", ASSETS, "--json", file)
    assert result.exit_code == 0, result.output
    lines = json.loads(file.read_text())
    kinds = [line["name"].removeprefix("(d) ").partition(",")[0] for line in lines]
    assert kinds == ["torch_module", "onnx", "remote", "http", "inference_protocol"]
    assert all(line["met"] for line in lines)
    assert len({line["value"] for line in lines}) == 1
    assert lines[0]["value"] > 48


@pytest.mark.slow
def test_many_layers_are_measured(tmp_path):
    file = tmp_path / "all.json"
    result = run("--part", "layers", "--repeats", 1, "--json", file)
    assert result.exit_code == 0, result.output
    names = [line["name"] for line in json.loads(file.read_text())]
    assert names[0] == "(e) scores (1 layer): onnx / torch"
    assert "(e) activations and scores (12 layers): not optimised / torch" in names
    assert len(names) == 8


def test_unknown_parts_are_refused():
    result = run("--part", "streams")
    assert "did you mean 'stream'" in str(result.exception)


def test_the_help_explains_the_options():
    said = " ".join(run("--help").output.split())
    for word in ("stream", "echo", "call", "cache", "resnet", "layers", "baseline", "quartiles"):
        assert word in said


def test_targets_are_upper_or_lower_bounds():
    assert compare("", [3, 3], [1, 1], "s", at_least=2).met
    assert compare("", [3, 3], [1, 1], "s", at_least=4).met is False
    assert compare("", [3, 3], [1, 1], "s", at_most=2).met is False
    assert compare("", [3, 3], [1, 1], "s").met is None
    assert compare("", [3, 3], [1, 1], "s", at_least=2).target == ">= 2"
