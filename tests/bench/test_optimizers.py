"""The benchmark of optimizers, at its smallest."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from blackbox_am.bench import (
    efficiency,
    naturals,
    optimizer_sheets,
    optimizers,
    overhead,
    problems,
    searching,
    sheets,
)
from blackbox_am.errors import InvalidInput, InvalidSpec
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.generators.parametric.pixels import Pixels


def request_of(**changes):
    wanted = {
        "parts": ("efficiency",),
        "problems": ("cnn+vae",),
        "optimizers": ("snes,population=10", "random,population=10"),
        "noises": ("0", "poisson"),
        "units": 1,
        "seeds": 2,
        "queries": 100,
        "dimensions": (16,),
        "jobs": 1,
        "assets": None,
    }
    return optimizers.Request(**{**wanted, **changes})


def outcome_of(label, found, at=(50, 100)):
    found = np.asarray(found, dtype=np.float64)
    cell = efficiency.Cell("p", label, "0", found.shape[1], found.shape[2], at[-1])
    return efficiency.Outcome(cell, at, found, 1.0)


@pytest.mark.slow
def test_results_are_measured_printed_and_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(efficiency, "strangeness", None)  # of generators' benchmark alone
    page, command = tmp_path / "page.md", f"{optimizers.COMMAND}, 100 queries"
    page.write_text(
        "before\n" + sheets.BEGIN.format(command=command) + "\nold\n"
        + sheets.END.format(command=command) + "\nafter\n"
    )  # fmt: skip
    files = {
        "results": tmp_path / "results.jsonl",
        "page": page,
        "picture": tmp_path / "curves.png",
        "json_file": tmp_path / "all.json",
    }
    told = []
    optimizers.run(request_of(), **files, say=told.append)
    printed = capsys.readouterr().out
    assert "cnn+vae, noise 0" in printed
    assert "snes,population=10" in printed
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| snes,population=10 |" in text
    assert files["picture"].stat().st_size > 10_000
    plain = json.loads(files["json_file"].read_text())
    assert [o["cell"]["noise"] for o in plain["efficiency"]] == ["0", "0", "poisson", "poisson"]
    assert all(o["strange"] == [] for o in plain["efficiency"])
    # Run again, nothing is searched: all is in the results.
    told.clear()
    optimizers.run(request_of(), **{**files, "page": None}, say=told.append)
    assert told == ["4 of 4 searches are in the results already"]
    capsys.readouterr()
    optimizers.show(files["results"], page=page, picture=None, json_file=None)
    assert "cnn+vae, noise poisson" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match="contains no results"):
        optimizers.show(tmp_path / "none.jsonl", page=None, picture=None, json_file=None)


@pytest.mark.slow
def test_curves_are_monotone_and_reproducible():
    cell = efficiency.Cell("cnn+vae", "sep_cma,population=16", "0", 2, 2, 120)
    one, again = efficiency.run(cell, None), efficiency.run(cell, None)
    np.testing.assert_array_equal(one.found, again.found)
    assert (np.diff(one.found, axis=0) >= 0).all()
    assert one.found.shape == (len(one.at), 2, 2)


def test_pictures_are_close_to_the_input_of_their_target(monkeypatch):
    problem = problems.problem("cnn+vae", 2, None)
    clean = problem.images[:2].numpy()
    near = replace(problem, generator=Perturbation(clean, radius=0.02), images=problem.images[:40])
    monkeypatch.setattr(problems, "problem", lambda *_: near)
    found = efficiency.run(efficiency.Cell("near", "random", "0", 2, 1, 20), None, look=True)
    assert not found.failure
    assert abs(found.pictures / 255 - clean).max(axis=(1, 2, 3)).max() < 0.03


@pytest.mark.slow
def test_an_optimizer_that_refuses_is_reported_not_dropped(tmp_path, capsys):
    optimizers.run(
        request_of(problems=("cnn+vq_codes",), optimizers=("snes", "random"), noises=("0",)),
        results=None,
        page=None,
        picture=None,
        json_file=None,
        say=lambda _: None,
    )
    assert "snes: snes cannot search a categorical space" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"parts": ("speed",)}, InvalidInput, "overhead or efficiency"),
        ({"problems": ("cnn",)}, InvalidInput, "unknown problem 'cnn'.*of cnn, vit and of .*vae"),
        ({"optimizers": ("snse",)}, InvalidSpec, "did you mean 'snes'"),
        ({"optimizers": ("snes,population",)}, InvalidInput, "PARAMETER=VALUE"),
        ({"noises": ("loud",)}, InvalidInput, "poisson"),
        ({"optimizers": ("snes,naturals=-1",)}, InvalidInput, "naturals: .* whole number from 0"),
        ({"first": 19, "units": 2}, InvalidInput, "1 to 1 units after the first 19, got 2"),
        ({"noises": ("-1",)}, InvalidInput, "from 0"),
        ({"units": 50}, InvalidInput, "1 to 20 units"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_run(changes, error, words):
    with pytest.raises(error, match=words):
        request_of(**changes).check()


def _with_encoder(monkeypatch: pytest.MonkeyPatch) -> problems.Problem:
    """The shipped classifier behind pixels, which encode every image exactly."""
    problem = problems.problem("cnn+vae", 2, None)
    problem = replace(problem, generator=Pixels((3, 32, 32)))
    monkeypatch.setattr(problems, "problem", lambda *_: problem)
    return problem


def test_natural_images_are_counted_and_are_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = _with_encoder(monkeypatch)
    measured = naturals.measure(problem, 2, 30)
    assert measured.start.shape == (4, 3072)
    assert measured.best.shape == (30, 4)
    assert not np.array_equal(measured.best[:, 0], measured.best[:, 1]), "seeds have equal images"
    cell = efficiency.Cell("p", "snes,sigma=0.01,naturals=30", "0", 2, 2, 70)
    found = efficiency.run(cell, None)
    assert not found.failure
    before = found.found[found.at.index(50)].flatten()
    assert (before >= measured.best[-1] - 1e-6).all()
    assert (before < measured.best[-1] + 0.3).all(), "the start is not the best image"
    for changes in ({"noise": "0.5"}, {"queries": 20}):
        assert (
            "naturals: expected no noise" in efficiency.run(replace(cell, **changes), None).failure
        )


@pytest.mark.parametrize(
    "noise",
    [
        pytest.param("0", marks=pytest.mark.slow),
        "0.5",
        pytest.param("poisson", marks=pytest.mark.slow),
    ],
)
def test_what_is_reported_is_free_of_noise(noise):
    problem = problems.problem("cnn+vae", 1, None)
    result = searching.search(problem, 2, "random", {}, queries=60, noise=noise)
    assert [best.title for best in result.best] == [str(problem.units[0])] * 2
    told = np.concatenate([g.scores for g in result.history], axis=1)
    found = searching.noise_free(result, problem, 2, noise, (20, 60))
    scale = (str(problem.units[0]), 0.0, float(problem.natural_maxima[0]))
    clean = searching.Relative(problem.oracle, (scale,))
    stimuli = torch.from_numpy(np.stack([best.stimulus for best in result.best]))
    true = clean.observe(stimuli, problem.units)[:, 0].numpy()
    np.testing.assert_allclose(found[-1], true, rtol=1e-4)
    assert np.allclose(told.max(1), true, rtol=1e-4) == (noise == "0")


def test_ranks_and_queries_are_counted_rightly():
    good = outcome_of("good", [[[0.5, 0.5]], [[2.0, 1.0]]])
    poor = outcome_of("poor", [[[0.2, 0.2]], [[0.5, 1.0]]])
    assert optimizer_sheets.mean_ranks([good, poor], 100) == {"good": 1.25, "poor": 1.75}
    np.testing.assert_array_equal(optimizer_sheets.queries_to(poor, np.ones(1)), [[np.inf, 100.0]])
    low, high = optimizer_sheets.bootstrap(good.found[-1])
    assert 1.0 <= low <= 1.5 <= high <= 2.0


def test_queries_are_counted_to_what_the_best_peer_has_at_1000() -> None:
    at = (100, 300, 1000)
    ours = outcome_of("pixel_ridge", [[[1.0], [0.0]], [[2.5], [0.5]], [[3.0], [4.0]]], at)
    snes = outcome_of("snes", [[[0.5], [0.5]], [[1.0], [1.0]], [[2.0], [3.0]]], at)
    (sheet,) = optimizer_sheets.found_sheets([ours, snes])
    column = sheet.headings.index("queries to snes at 1,000")
    assert [row[column] for row in sheet.rows] == ["650", "1,000"]
    assert all(len(row) == len(sheet.headings) for row in sheet.rows)
    (plain,) = optimizer_sheets.found_sheets([ours])
    assert not any("at 1,000" in heading and "to" in heading for heading in plain.headings[4:])


@pytest.mark.slow
def test_overhead_measures_peers_and_floors(monkeypatch):
    monkeypatch.setattr(overhead, "SECONDS", 0.0)
    limits, costs = overhead.measure((16,), (8,), (1, 3), lambda _: None)
    names = {cost.name for cost in costs}
    assert set(overhead.OURS) | {"pycma sep", "pycma full", "nevergrad DiagonalCMA"} <= names
    assert limits.normals > 0
    for cost in costs:
        assert cost.seconds > 0
        if cost.name in overhead.OURS:
            assert cost.floor > 0
            assert (cost.loop > 0) == (cost.targets == 3)
    assert optimizer_sheets.cost_sheet(limits, costs).rows


def test_overhead_of_named_optimizers_alone(monkeypatch, capsys):
    monkeypatch.setattr(overhead, "SECONDS", 0.0)
    monkeypatch.setattr(overhead, "GEMM", 64)
    monkeypatch.setattr(optimizers, "POPULATIONS", (4,))
    wanted = request_of(parts=("overhead",), optimizers=("snes", "sep_cma"), dimensions=(16,))
    optimizers.run(
        wanted, results=None, page=None, picture=None, json_file=None, say=lambda _: None
    )
    printed = capsys.readouterr().out
    assert "pycma sep" in printed
    assert "open_es" not in printed.partition("The machine draws")[0]
    assert "pycma full" not in printed
    with pytest.raises(InvalidInput, match="overhead measures snes"):
        request_of(parts=("overhead",), optimizers=("ga",)).check()
    assert "tensor_train" in request_of(optimizers=optimizers.OPTIMIZERS).overhead_names
