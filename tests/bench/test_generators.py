"""The benchmark of generators with small budgets."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from blackbox_am.bench import bare, efficiency, generators, problems, sheets
from blackbox_am.core.rng import Stream
from blackbox_am.errors import GradientUnavailable, InvalidInput, InvalidSpec, NotFound


def request_of(**changes):
    wanted = {
        "parts": ("speed", "search"),
        "oracle": "cnn",
        "generators": ("vae", "pixels_32"),
        "optimizer": "snes,population=10",
        "units": 1,
        "seeds": 2,
        "queries": 60,
        "repeats": 2,
        "jobs": 1,
        "assets": None,
    }
    return generators.Request(**{**wanted, **changes})


@pytest.mark.slow
def test_results_are_measured_printed_and_written(tmp_path, capsys):
    page = tmp_path / "page.md"
    marks = [f"{generators.COMMAND}, {part}" for part in generators.USUAL]
    page.write_text(
        "\n".join(mark.format(command=c) for c in marks for mark in (sheets.BEGIN, sheets.END))
    )
    files = {
        "results": tmp_path / "results.jsonl",
        "page": page,
        "picture": tmp_path / "found.png",
        "json_file": tmp_path / "all.json",
    }
    told = []
    generators.run(request_of(), **files, say=told.append)
    printed = capsys.readouterr().out
    assert "strangeness" in printed
    assert "| vae | 128 | yes |" in page.read_text()
    assert files["picture"].stat().st_size > 10_000
    plain = json.loads(files["json_file"].read_text())
    vae, pixels = plain["speed"]
    assert vae["ratio"] > 0.3  # it measures the module that the generator runs
    assert pixels["ratio"] is None
    (found, _) = (efficiency.load(files["results"])[i] for i in (0, 1))
    assert found.strange.shape == (1, 2)
    assert (found.strange > 0).all()
    assert found.pictures.shape == (1, 3, 32, 32)
    # Shown again, the picture of each unit has the activation that was reported.
    problem = problems.problem("cnn+vae", 1, None)
    activations = problem.oracle.observe(
        torch.from_numpy(found.pictures.astype(np.float32) / 255), problem.units
    )
    reported = found.found[-1].max(1) * problem.natural_maxima.numpy()
    np.testing.assert_allclose(activations.diagonal().numpy(), reported, rtol=0.05)
    # Run again, nothing is searched: all is in the results.
    generators.run(request_of(parts=("search",)), **{**files, "page": None}, say=told.append)
    assert "2 of 2 searches are in the results already" in told[-1]


@pytest.mark.slow
def test_results_without_strangeness_are_searched_again(tmp_path):
    results = tmp_path / "results.jsonl"
    request = request_of(parts=("search",), generators=("pixels_32",))
    (cell,) = request.cells("search")
    (plainly,) = efficiency.run_all([cell], None, results, 1, say=lambda _: None)
    assert not plainly.strange.size
    before = json.loads(results.read_text())
    del before["strange"], before["pictures"]  # as files were before there were these
    results.write_text(json.dumps(before) + "\n")
    (found,) = efficiency.load(results)
    np.testing.assert_array_equal(found.found, plainly.found)
    (looked,) = efficiency.run_all([cell], None, results, 1, say=lambda _: None, look=True)
    np.testing.assert_array_equal(looked.found, plainly.found)
    assert looked.strange.shape == (1, 2)
    (kept,) = efficiency.load(results)  # the later of the two lines
    assert kept.strange.shape == (1, 2)
    told = []
    efficiency.run_all([cell], None, results, 1, say=told.append)  # has all that is asked
    assert told == ["1 of 1 searches are in the results already"]


@pytest.mark.slow
def test_a_generator_can_have_another_optimizer(tmp_path, capsys):
    request = request_of(parts=("search",), generators=("pixels_32+sep_cma", "dct_32"))
    generators.run(
        request,
        results=tmp_path / "results.jsonl",
        page=None,
        picture=None,
        json_file=None,
        say=lambda _: None,
    )
    printed = capsys.readouterr().out
    assert "snes,population=10: activation over natural maximum" in printed
    assert "pixels_32 (sep_cma)" in printed
    assert "dct_32 (" not in printed
    used = {o.cell.problem: o.cell.optimizer for o in efficiency.load(tmp_path / "results.jsonl")}
    assert used == {"cnn+pixels_32": "sep_cma", "cnn+dct_32": "snes,population=10"}


@pytest.mark.slow
def test_bases_are_compared_with_the_unwrapped_generator():
    request = request_of(parts=("basis",), generators=("vae", "sngan"))
    request.check()
    cells = request.cells("basis")
    assert len(cells) == 2 * len(generators.BASES)
    assert cells[0].problem == "cnn+vae"
    # No two of them are the same search.
    wrapped = [problems.problem(cell.problem, 1, None).generator for cell in cells]
    bases = [found for found in wrapped if found.kind == "basis"]
    settings = {(b.inner.kind, b.power, b.growth, b.dimensions) for b in bases}
    assert len(settings) == len(bases) == len(cells) - 2
    with pytest.raises(GradientUnavailable, match="no gradients"):
        request_of(parts=("basis",), generators=("vq_codes",)).check()


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"parts": ("sped",)}, InvalidInput, "speed or search"),
        ({"generators": ("vea",)}, InvalidInput, "unknown problem 'vea'"),
        ({"parts": ("speed",), "generators": ("vea",)}, InvalidInput, "unknown problem 'vea'"),
        ({"oracle": "resnet20"}, InvalidInput, "--assets adds more"),
        ({"oracle": "resnet20", "assets": Path("nowhere")}, NotFound, "the assets lack"),
        ({"generators": ("vae/bases",)}, InvalidSpec, "did you mean 'basis'"),
        ({"generators": ("vae/basis,power",)}, InvalidInput, "PARAMETER=VALUE"),
        ({"units": 21}, InvalidInput, "has 1 to 20 units"),
        ({"optimizer": "sepcma"}, InvalidSpec, "did you mean"),
        ({"generators": ("vae+sepcma",)}, InvalidSpec, "did you mean"),
    ],
)
def test_wrong_requests_are_refused_before_the_measurement(changes, error, says):
    with pytest.raises(error, match=says):
        request_of(**changes).check()


@pytest.mark.parametrize("name", ["vae", "vq_codes", "ldm", "sngan"])
def test_the_bare_module_makes_the_same_pictures(name):
    generator = problems.generator(name, None)
    latents = generator.space.sample(Stream(0, "test", 0), 2)[0]
    module = bare.module(name)
    with torch.no_grad():
        pictures = module(latents) / 2 + 0.5
    # The shipped generators undo the whitening, which is nearly 1: the same work, near the same.
    assert (pictures.clamp(0, 1) - generator.render(latents)).abs().mean() < 0.02


def test_a_problem_can_have_wrappers():
    found = problems.problem("cnn+pixels_32/antialias,sigma=1.5", 1, None)
    assert found.generator.kind == "antialias"
    assert found.generator.sigma == 1.5
