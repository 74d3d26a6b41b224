"""What a study has shown comes back bit for bit, or an error says why it cannot."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

import blackbox_am
from blackbox_am.catalogue import Catalogue
from blackbox_am.errors import ModelChanged, NotFound, Unsupported
from blackbox_am.studies.events import Created, GenerationClosed
from blackbox_am.studies.shown import Models, shown
from blackbox_am.studies.stored import events_of, opened

TABLES = {
    "oracles": {
        "toy": {"kind": "simulated", "stimulus_shape": [3, 4, 4], "units": 3},
        "noisy": {"kind": "simulated", "stimulus_shape": [3, 4, 4], "units": 3, "noise": 0.1},
    },
    "generators": {
        "pixels": {"kind": "pixels", "shape": [3, 4, 4]},
        "other": {"kind": "dct", "shape": [3, 4, 4]},
    },
}


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue.from_plain(TABLES)


def search(catalogue, store, study_id, **changes):
    wanted = {
        "oracle": "toy",
        "generator": "pixels",
        "targets": ["units:0", "units:2"],
        "queries_per_target": 90,
        "catalogue": catalogue,
        "device": "cpu",
    }
    return blackbox_am.maximise(store=store, study_id=study_id, **{**wanted, **changes})


def forgotten(events):
    """The events of a study that keeps all latents, as those of one that keeps the best only."""
    for event in events:
        if isinstance(event, Created):
            spec = msgspec.structs.replace(event.spec, keep_latents="best")
            yield msgspec.structs.replace(event, spec=spec)
        elif isinstance(event, GenerationClosed):
            assert event.latents is not None
            yield msgspec.structs.replace(event, latents=None)
        else:
            yield event


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="auto"),
        pytest.param({"optimizer": "cma"}, id="cma"),
        pytest.param({"optimizer": "pycma"}, id="pycma", marks=pytest.mark.slow),
        pytest.param({"optimizer": "simba"}, id="masked", marks=pytest.mark.slow),
        pytest.param({"oracle": "noisy"}, id="rechecked"),
        pytest.param({"target_score": -0.05}, id="finished"),
        pytest.param({"start": np.full(48, 0.2, np.float32)}, id="started"),
    ],
)
def test_latents_that_were_not_kept_are_those_that_were(catalogue, tmp_path, options):
    store = str(tmp_path / "s.sqlite3")
    result = search(catalogue, store, "a", keep_latents="all", **options)
    with opened(store) as found:
        events = list(forgotten(events_of(found, "a")))
    before = list(result.blocks(stimuli=True))
    after = list(shown("a", events, Models(generator=catalogue.generator("pixels")), stimuli=True))
    rechecked = sum(target.recheck_rows for target in result.progress.targets)
    assert rechecked == sum(len(block) for block in after if block.recheck)
    assert sum(map(len, after)) == result.progress.search_rows + rechecked
    for one, other in zip(before, after, strict=True):
        assert one.latents.tobytes() == other.latents.tobytes()
        assert one.stimuli.tobytes() == other.stimuli.tobytes()
        assert one.scores.tobytes() == other.scores.tobytes()


def test_only_some_targets(catalogue, tmp_path):
    result = search(catalogue, str(tmp_path / "s.sqlite3"), "a")
    mine = list(result.rows(targets=(1,)))
    assert {row.candidate.target for row in mine} == {1}
    assert len(mine) == 90


def test_a_store_is_read_without_its_process(catalogue, tmp_path):
    store = str(tmp_path / "s.sqlite3")
    result = search(catalogue, store, "a", baseline=np.zeros((4, 3, 4, 4), np.float32))
    found = blackbox_am.open_result(store, "a", catalogue=catalogue)
    assert found.progress == result.progress
    assert found.provenance.oracle == result.provenance.oracle
    assert np.array_equal(found.best[0].stimulus, result.best[0].stimulus)
    assert "no natural images" in found.notes[0]
    assert [p.study_id for p in blackbox_am.stored_studies(store)] == ["a"]
    with pytest.raises(NotFound, match="no study 'b'"):
        blackbox_am.open_result(store, "b")
    with pytest.raises(NotFound, match="no store"):
        blackbox_am.open_result(tmp_path / "missing.sqlite3", "a")
    assert not (tmp_path / "missing.sqlite3").exists()


def test_another_generator_renders_nothing(catalogue, tmp_path):
    store = str(tmp_path / "s.sqlite3")
    search(catalogue, store, "a")
    changed = Catalogue.from_plain(
        TABLES | {"generators": {"pixels": {"kind": "dct", "shape": [3, 4, 4], "cycles": 1.0}}}
    )
    found = blackbox_am.open_result(store, "a", catalogue=changed)
    assert found.best[0].stimulus is None
    assert found.progress.search_rows == 180
    assert "is another than that of the study" in found.notes[0]
    with pytest.raises(Unsupported, match="need its generator 'pixels'"):
        next(found.rows(stimuli=True))
    assert len(list(found.rows())) == 180
    assert not found.plot.convergence().get_title()
    with opened(store) as kept:
        models = Models(generator=catalogue.generator("other"))
        with pytest.raises(ModelChanged, match="rendered by another generator"):
            next(shown("a", events_of(kept, "a"), models, stimuli=True))


def test_latents_that_differ_are_refused_and_measurements_are_not(catalogue, tmp_path):
    store = str(tmp_path / "s.sqlite3")
    search(catalogue, store, "a")
    with opened(store) as found:
        events = list(events_of(found, "a"))
    (second,) = [i for i, e in enumerate(events) if getattr(e, "checksum", None)][1:2]
    events[second] = msgspec.structs.replace(events[second], checksum=bytes(16))
    models = Models(generator=catalogue.generator("pixels"))
    blocks = shown("a", events, models)
    assert next(blocks).generation == 0
    with pytest.raises(Unsupported, match="other latents for generation 1 than were measured"):
        next(blocks)
    assert sum(map(len, shown("a", events, models, latents=False))) == 180


@pytest.mark.slow
def test_gradients_are_not_in_a_journal(tmp_path):
    store = str(tmp_path / "s.sqlite3")
    options = {
        "oracle": "cifar_cnn",
        "generator": "pixels_32",
        "optimizer": "adam",
        "targets": ["head:1"],
        "queries_per_target": 4,
        "device": "cpu",
    }
    result = blackbox_am.maximise(store=store, study_id="a", **options)
    assert len(list(result.rows(latents=False))) == result.progress.search_rows
    with pytest.raises(Unsupported, match=r"adam climbs gradients.*keep_latents='all'"):
        next(result.rows())
    kept = blackbox_am.maximise(store=store, study_id="b", keep_latents="all", **options)
    assert len(list(kept.rows())) == kept.progress.search_rows


def test_an_open_generation_is_shown_too(catalogue, tmp_path):
    store = str(tmp_path / "s.sqlite3")
    result = search(catalogue, store, "a")
    with opened(store) as found:
        events = list(events_of(found, "a"))
    last = max(i for i, e in enumerate(events) if isinstance(e, GenerationClosed))
    closing = events[last].checksum
    events[last - 1] = msgspec.structs.replace(events[last - 1], checksum=closing)
    models = Models(generator=catalogue.generator("pixels"))
    cut = list(shown("a", events[:last], models))
    whole = list(result.blocks())
    assert cut[-1].generation == whole[-1].generation
    assert np.array_equal(cut[-1].scores, whole[-1].scores)
    assert cut[-1].latents.tobytes() == whole[-1].latents.tobytes()
