from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def toys(config, tmp_path):
    """Arguments of a small search."""
    store = tmp_path / "runs.sqlite3"
    return ["--generator", "pixels", "--config", config, "--store", store, "-t", "units:2"]


def test_run_finds_stimuli_and_draws_them(cli, toys, tmp_path):
    picture = tmp_path / "best.png"
    result = cli("run", *toys, "-t", "units:5", "--oracle", "toy", "-q", 60, "--out", picture)
    assert result.exit_code == 0, result.stderr
    assert "units:2" in result.stdout
    assert "units:5" in result.stdout
    assert "120 of 120 queries" in result.stderr
    assert np.asarray(Image.open(picture)).std() > 10


def test_results_are_compared_with_a_folder_of_natural_images(cli, from_json, toys, tmp_path):
    folder, picture = tmp_path / "photos", tmp_path / "best.png"
    folder.mkdir()
    for place in range(3):
        pixels = np.random.default_rng(place).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")
    more = ("--oracle", "toy", "-q", 60, "--baseline", folder)
    result = cli("run", *toys, *more, "--out", picture)
    assert result.exit_code == 0, result.stderr
    assert "natural max" in result.stdout
    found = from_json("run", *toys, *more)
    assert found["oracle"]["baseline_rows"] == 3
    assert found["best"][0]["natural"]["images"] == 3


def height(picture):
    with Image.open(picture) as image:
        return image.height


def test_a_random_search_is_a_row_of_the_picture(cli, from_json, toys, tmp_path):
    picture = tmp_path / "best.png"
    command = ["run", *toys, "--oracle", "toy", "-q", 60]
    assert cli(*command, "--out", picture).exit_code == 0
    low = height(picture)
    result = cli(*command, "--out", picture, "--random-row")
    assert result.exit_code == 0, result.stderr
    assert height(picture) > 1.3 * low, "a second row"
    listed = from_json("runs", "list", "--store", tmp_path / "runs.sqlite3")
    queries = {study["study_id"]: (study["optimizer"], study["queries"]) for study in listed}
    (drawn,) = (found for name, found in queries.items() if name.endswith("-random"))
    assert drawn == ("random", 60)
    assert len(queries) == 2, "the search itself was not repeated"
    result = cli(*command, "--random-row")
    assert result.exit_code == 2
    assert "add --out" in result.stderr


def test_a_larger_budget_continues_the_study(from_json, toys):
    scores = [
        from_json("run", *toys, "--oracle", "toy", "-q", queries)["best"][0]["score"]
        for queries in (20, 600)
    ]
    assert scores[1] > scores[0]


def test_the_same_command_again_gives_the_same_study(from_json, toys):
    command = ["run", *toys, "--oracle", "toy", "-q", 40]
    first = from_json(*command)
    assert from_json(*command) == first
    assert from_json(*command, "--seed", 1)["study_id"] != first["study_id"]


def test_transforms_reach_the_study(cli, from_json, toys):
    command = ["run", *toys, "--oracle", "toy", "-q", 40]
    more = ("--transform", "jitter,amount=.2", "--transform", "flip", "--copies", 4)
    plain, found = from_json(*command), from_json(*command, *more)
    assert found["study_id"] != plain["study_id"]
    assert found["oracle"]["rows"] == 4 * plain["oracle"]["rows"]
    result = cli(*command, "--transform", "jiter")
    assert result.exit_code == 2
    assert "did you mean 'jitter'" in result.stderr


def test_parameters_reach_the_optimizer(cli, from_json, toys):
    command = ["run", *toys, "--oracle", "toy", "-q", 40]
    assert from_json(*command, "--set", "population=10")["generation"] == 4
    result = cli(*command, "--set", "populaton=10")
    assert result.exit_code == 2
    assert "did you mean 'population'" in result.stderr


def test_penalties_are_subtracted_from_every_target(cli, from_json, toys, tmp_path):
    command = ["run", *toys, "-t", "units:5", "--oracle", "toy", "-q", 40]
    free = from_json(*command)
    found = from_json(*command, "--penalty", "stimulus.tv=2", "--penalty", "stimulus.l2_grey=0.1")
    assert found["study_id"] != free["study_id"]
    titles = [best["title"] for best in found["best"]]
    assert titles == [f"units:{i} - 2*stimulus.tv - 0.1*stimulus.l2_grey" for i in (2, 5)]
    assert found["best"][0]["score"] < free["best"][0]["score"]
    drawn = cli(*command, "--penalty", "stimulus.tv=2", "--out", tmp_path / "best.png")
    assert drawn.exit_code == 0, drawn.stderr
    wrong = cli(*command, "--penalty", "stimulus.tvv=2")
    assert wrong.exit_code == 2
    assert "did you mean 'stimulus.tv'" in wrong.stderr


def test_a_target_can_be_an_expression(cli, from_json, toys):
    command = ["run", *toys, "--oracle", "toy", "-q", 40]
    found = from_json(*command, "-t", "units:5 - 0.5*units:1", "-t", "-mean(units:1, units:3)")
    titles = [best["title"] for best in found["best"]]
    assert titles[1:] == ["units:5 - 0.5*units:1", "-mean(units:1, units:3)"]
    wrong = cli(*command, "-t", "units:5 - * units:1")
    assert wrong.exit_code == 2
    *_, shown, caret = wrong.stderr.rstrip().splitlines()
    assert shown.strip() == "units:5 - * units:1"
    assert shown[caret.index("^")] == "*"
    unknown = cli(*command, "-t", "meen(units:1)")
    assert unknown.exit_code == 2
    assert "did you mean 'mean'" in unknown.stderr


def test_a_walk_through_the_layers_draws_their_hierarchy(cli, tmp_path):
    store, picture = tmp_path / "walk.sqlite3", tmp_path / "walk" / "best.png"
    walk = ["run", "--generator", "fourier_32", "--layers", "stem,layer3,head", "-q", 4]
    walk += ["--optimizer", "random", "--set", "population=2", "--store", store, "--seed", 3]
    result = cli(*walk, "--units-per-layer", 2, "-o", picture, "--penalty", "stimulus.tv=0.1")
    assert result.exit_code == 0, result.stderr
    places = [result.stdout.index(name) for name in ("stem:8", "stem:24", "layer3:32", "head:2")]
    assert places == sorted(places)
    assert f"wrote {picture.with_name('hierarchy.png')}" in result.stderr
    assert np.asarray(Image.open(picture.with_name("hierarchy.png")).convert("L")).std() > 10
    wrong = cli(*walk, "--layers", "layer9")
    assert wrong.exit_code == 2
    assert "did you mean 'layer" in wrong.stderr


def test_units_or_layers_must_be_named(cli):
    result = cli("run", "-q", 5)
    assert result.exit_code == 2
    assert "--layers" in result.stderr


def test_one_layer_has_no_hierarchy(cli, toys, tmp_path):
    result = cli("run", *toys, "--oracle", "toy", "-q", 20, "-o", tmp_path / "best.png")
    assert result.exit_code == 0, result.stderr
    assert not (tmp_path / "hierarchy.png").exists()


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--oracle", "toi"], 3, "did you mean 'toy'"),
        (["--oracle", "toy", "-t", "units:99"], 2, "units 0 to 5"),
        (["--oracle", "toy", "-t", "units:"], 2, "is not a unit"),
        (["--oracle", "toy", "--optimizer", "cmaa"], 2, "did you mean 'cma'"),
        (["--oracle", "toy", "--store", "/no/such/folder/x.db"], 5, "/no/such/folder"),
        (["--oracle", "toy", "--config", "/no/such.toml"], 3, "/no/such.toml"),
        (["--oracle", "toy", "-q", "5", "--out", "best.pnk"], 2, "did you mean 'png'"),
    ],
)
def test_wrong_arguments_exit_with_a_code_and_one_line(cli, toys, more, code, words):
    result = cli("run", *toys, *more)
    assert result.exit_code == code
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert words in last


def test_a_file_that_is_not_a_store_exits_with_5(cli, toys, tmp_path):
    (tmp_path / "other.db").write_text("this is no database, and long enough to be noticed" * 20)
    result = cli("run", *toys, "--oracle", "toy", "--store", tmp_path / "other.db")
    assert result.exit_code == 5


def test_ctrl_c_says_how_to_continue_and_loses_nothing(from_json, spawn, toys, tmp_path):
    command = ["run", *toys, "--oracle", "slow", "-q", 900, "--id", "stopped"]
    process = spawn(*command)
    deadline = time.monotonic() + 60
    while "of 900 queries" not in (line := process.stderr.readline()):
        assert time.monotonic() < deadline, line
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in said
    (again,) = [line for line in said.splitlines() if "Go on with:" in line]
    assert "blackbox-am run" in again
    assert "--id stopped" in again

    finished = from_json(*command)
    assert finished["queries"] == 900
    untouched = from_json(*command, "--store", tmp_path / "other.sqlite3")
    assert json.dumps(finished["best"]) == json.dumps(untouched["best"])


@pytest.mark.parametrize(
    "shape", [[1, 6, 5], [4, 6, 5], [7, 6, 5], [3, 3, 6, 5], [2, 24], [9], [2, 2, 2, 2, 2]]
)
def test_every_kind_of_stimulus_is_drawn(cli, tmp_path, shape):
    config, picture = tmp_path / "kinds.toml", tmp_path / "best.png"
    config.write_text(
        f'[oracles.toy]\nkind = "simulated"\nstimulus_shape = {shape}\nunits = 2\n'
        f'[generators.raw]\nkind = "pixels"\nshape = {shape}\n'
    )
    toys = ["--config", config, "--store", tmp_path / "r.sqlite3", "--generator", "raw"]
    result = cli("run", *toys, "-t", "units:1", "--oracle", "toy", "-q", 20, "-o", picture)
    assert result.exit_code == 0, result.output
    assert np.asarray(Image.open(picture).convert("L")).std() > 10


def test_a_model_that_was_replaced_in_the_configuration_is_refused_and_can_be_adopted(
    cli, from_json, toys, config
):
    command = ["run", *toys, "--oracle", "toy", "-q", 40]
    first = from_json(*command)
    text = config.read_text()
    assert text.count("units = 6") >= 1
    config.write_text(text.replace("units = 6", "units = 6\nseed = 7", 1))
    refused = cli(*command)
    assert refused.exit_code == 3
    assert "parameter seed was 0 and is 7" in refused.stderr
    assert "--adopt" in refused.stderr
    assert from_json(*command, "--adopt")["study_id"] == first["study_id"]
    assert from_json(*command)["study_id"] == first["study_id"]


@pytest.mark.parametrize("command", ["run -t head:3 -q 20", "serve", "attack --oracle cifar_cnn"])
def test_a_device_that_does_not_exist_is_one_line(cli, command, tmp_path):
    extra = ["--images", tmp_path] if command.startswith("attack") else []
    result = cli(*command.split(), *extra, "--device", "tpu")
    assert result.exit_code == 2
    assert "expected auto, cpu, cuda" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_wrong_ending_of_the_picture_is_refused_before_the_search(cli, toys, tmp_path):
    result = cli("run", *toys, "--oracle", "toy", "-q", 40, "--out", tmp_path / "best.pgn")
    assert result.exit_code == 2
    assert "did you mean 'png'" in result.stderr
    assert "succeeded" not in result.stderr
