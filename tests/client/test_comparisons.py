"""Comparisons whose studies run on a real server give what they give in this process."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from blackbox_am.catalogue import Catalogue, ImagesGiven
from blackbox_am.client import connect
from blackbox_am.client.comparisons import RemoteRunner, compare, group_id_of
from blackbox_am.comparisons import local
from blackbox_am.comparisons.local import compare_as, models_of
from blackbox_am.comparisons.problem import MethodSpec, spec_of
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidSpec, ModelChanged, NotFound
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.service import Config, running

SHAPE = (3, 6, 6)
IMAGES = np.random.default_rng(2).integers(0, 256, (8, *SHAPE), np.uint8)
SPEC = spec_of(
    {
        "name": "Small one",
        "oracle": "toy",
        "generator": "pixels",
        "units": ["units:0", "units:3 - 0.5*units:1"],
        "penalties": {"stimulus.tv": 0.1},
        "methods": [{"name": "adam"}, {"name": "sep_cma"}],
        "random_search": False,
        "budget": 40,
        "seeds": 1,
        "baseline": "noise",
    }
)


def catalogue() -> Catalogue:
    found = Catalogue()
    found.add_oracle("toy", Simulated(SHAPE, gradients=True, batch_size=16))
    found.add_oracle("flat", Simulated(SHAPE, batch_size=16))
    found.add_oracle("noisy", Simulated(SHAPE, noise=0.2, batch_size=16))
    found.add_generator("pixels", Pixels(SHAPE))
    found.add_images("noise", ImagesGiven(IMAGES))
    return found


@pytest.fixture(scope="module")
def client():
    config = Config(address="localhost:0", store=":memory:", device="cpu", catalogue=catalogue())
    with running(config) as address, connect(address) as found:
        yield found


def test_a_server_finds_what_is_found_here(client):
    stages = []
    there = compare(client, SPEC, natural=IMAGES, on_progress=lambda stage, _: stages.append(stage))
    here = compare_as(SPEC, models=models_of(SPEC, catalogue(), "cpu"), out=None)
    assert there.result.complete
    assert there.result.methods == here.methods
    assert there.result.protocol == here.protocol
    for ours, theirs in zip(here.runs, there.result.runs, strict=True):
        assert (theirs.method, theirs.unit, theirs.seed) == (ours.method, ours.unit, ours.seed)
        assert theirs.score == ours.score
        assert theirs.latent.tobytes() == ours.latent.tobytes()
        assert theirs.stimulus.tobytes() == ours.stimulus.tobytes()
        assert theirs.equivalents.tolist() == ours.equivalents.tolist()
        assert theirs.best_so_far.tolist() == ours.best_so_far.tolist()
        assert (theirs.rows, theirs.backward_rows) == (ours.rows, ours.backward_rows)
    for ours, theirs in zip(here.units, there.result.units, strict=True):
        assert theirs.natural.tolist() == ours.natural.tolist()
        assert theirs.start == ours.start
    assert "2 of 3: adam, seed 0" in stages
    group = client.group(group_id_of(there.plan)).progress()
    assert group.state is StudyState.SUCCEEDED
    assert len(group.members) == 3
    again = compare(client, SPEC, natural=IMAGES, measure=False)
    assert [run.score for run in again.result.runs] == [run.score for run in here.runs]


def test_a_replaced_model_is_not_mixed_with_its_predecessor(tmp_path):
    spec = replace_spec(methods=(MethodSpec("sep_cma"),), units=("units:0",), budget=20)
    config = Config(
        address="localhost:0", store=str(tmp_path / "store"), device="cpu", catalogue=catalogue()
    )
    with running(config) as address, connect(address) as there:
        first = compare(there, spec)
    replaced = catalogue()
    replaced.add_oracle("toy", Simulated(SHAPE, gradients=True, batch_size=16, seed=1))
    config = replace(config, catalogue=replaced)
    with running(config) as address, connect(address) as there:
        for measure in (True, False):
            with pytest.raises(ModelChanged, match="another oracle of the same name"):
                compare(there, spec, measure=measure)
    assert first.result.complete


def test_a_method_with_an_inner_ascent_pays_for_its_gradients(client):
    octaves = MethodSpec("gradient_octaves")
    runner = RemoteRunner(client, SPEC, None, lambda stage, progress: None)
    assert [one.order for one in runner.examine(SPEC, SPEC.units, [octaves])] == [1]


@pytest.mark.slow
def test_another_comparison_is_another_group(client):
    more = replace_spec(methods=(MethodSpec("sep_cma"),), budget=30)
    found = compare(client, more)
    assert found.result.complete
    assert found.natural.scores.shape == (2, 0)
    with pytest.raises(InvalidSpec, match="nothing of this comparison is stored"):
        compare(client, replace_spec(budget=35), measure=False)


def test_what_the_server_cannot_do(client):
    flat = compare(client, replace_spec(oracle="flat"))
    assert "GRADIENTS" in flat.result.methods[0].unavailable
    assert {run.method for run in flat.result.runs} == {"sep_cma"}
    with pytest.raises(NotFound, match="did you mean 'toy'"):
        compare(client, replace_spec(oracle="toyy"))
    with pytest.raises(InvalidSpec, match="a generation of method 'sep_cma' has"):
        compare(client, replace_spec(budget=8))
    with pytest.raises(InvalidSpec, match=r"method 'adma': .*did you mean 'adam'"):
        compare(client, replace_spec(methods=(MethodSpec("adma"),)))


@pytest.mark.slow
def test_a_noisy_model_is_measured_afresh_there_too(client):
    found = compare(client, replace_spec(oracle="noisy", methods=(MethodSpec("sep_cma"),)))
    assert all(run.score_error > 0 for run in found.result.runs)
    assert found.result.complete


@pytest.mark.slow
def test_a_server_on_the_journal_runs_what_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "write_all", lambda result, folder: folder)
    spec, models = replace_spec(seeds=2), models_of(SPEC, catalogue(), "cpu")
    whole = compare_as(spec, models=models, out=None)

    def stop(stage, progress):
        if stage.startswith("3 of"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        compare_as(spec, models=models, out=tmp_path, on_progress=stop)
    assert not compare_as(spec, models=models, out=tmp_path, measure=False).complete
    store = str(tmp_path / local.JOURNAL)
    config = Config(address="localhost:0", store=store, device="cpu", catalogue=catalogue())
    with running(config) as address, connect(address) as there:
        (group,) = there.groups()
        assert there.group(group.group_id).wait().state is StudyState.SUCCEEDED
    found = compare_as(spec, models=models, out=tmp_path, measure=False)
    assert found.complete
    assert [run.score for run in found.runs] == [run.score for run in whole.runs]


def replace_spec(**fields):
    return msgspec.structs.replace(SPEC, **fields)
