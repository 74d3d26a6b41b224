"""The images that excite a unit most: in order, and observed once for a layer."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from blackbox_am.catalogue import Catalogue, ImagesGiven
from blackbox_am.core.baselines import which
from blackbox_am.core.spec import BaselineSpec
from blackbox_am.errors import InvalidInput, NotFound, ShapeMismatch, UnknownUnit
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.rpc import tensors
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.service import top_images
from blackbox_am.v1 import catalog_service_pb2 as pb

PICTURES = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)


ROWS = Counter()


class Counted(Simulated):
    """Counts the rows that it observes, outside of its class, which is a part of its identity."""

    def observe(self, stimuli, units):
        ROWS["observed"] += len(stimuli)
        return super().observe(stimuli, units)


class Waiting(Simulated):
    """Observes once it may."""

    begun, may = threading.Event(), threading.Event()

    def observe(self, stimuli, units):
        self.begun.set()
        assert self.may.wait(30)
        return super().observe(stimuli, units)


class CountedImages(ImagesGiven):
    """Counts the images that were made stimuli."""

    made = 0

    def stimuli(self, shape, which):
        type(self).made += len(which)
        return super().stimuli(shape, which)


COUNTED, WAITING, IMAGES = Counted((3, 8, 8)), Waiting((3, 8, 8)), CountedImages(PICTURES)


@pytest.fixture(scope="module")
def catalogue():
    tables = {
        "oracles": {
            "sim": {"kind": "simulated"},
        },
        "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
    }
    found = Catalogue.from_plain(tables)
    found.add_oracle("counted", COUNTED)
    found.add_oracle("waiting", WAITING)
    found.add_images("mine", IMAGES)
    found.add_images("series", ImagesGiven(np.zeros((3, 5, 7), np.float32)))
    return found


@pytest.fixture
def rows():
    """The number of rows that `counted` has observed."""
    return lambda: ROWS["observed"]


def top(raw, unit="units:3", oracle="sim", images="mine", **fields):
    request = pb.GetTopImagesRequest(oracle=oracle, unit=unit, images=images, **fields)
    return raw.catalog.GetTopImages(request)


def test_images_in_order(raw, client):
    activations = client.observe("sim", PICTURES, ["units:3"])[:, 0]
    order = np.argsort(-activations)
    answer = top(raw, count=5)
    assert [image.image for image in answer.images] == order[:5].tolist()
    assert [image.activation for image in answer.images] == pytest.approx(activations[order[:5]])
    for image in answer.images:
        assert (tensors.from_proto(image.stimulus) == PICTURES[image.image]).all()
    assert answer.observed == 40


def test_the_python_client_has_them(client):
    found = client.top_images("sim", "units:3", 4, images="mine")
    activations = client.observe("sim", PICTURES, ["units:3"])[:, 0]
    assert [one.image for one in found] == np.argsort(-activations)[:4].tolist()
    assert (found[0].stimulus == PICTURES[found[0].image]).all()


def test_a_layer_is_observed_once(raw, rows):
    """One observation of 40 images serves all units of the layer."""
    assert len(top(raw, oracle="counted").images) == 9
    once = rows()
    assert once >= 40
    for unit in range(10):
        assert top(raw, f"units:{unit}", "counted").observed == 40
    assert rows() == once
    top(raw, "units:0", "counted", rows=39)
    assert rows() > once


def test_images_are_made_once(raw, rows):
    top(raw, oracle="counted", rows=37)
    before = IMAGES.made
    top(raw, "units:5", "counted", rows=37, count=4)
    assert IMAGES.made == before + 4


def test_the_least_recently_used_answer_is_dropped(raw, rows, monkeypatch):
    monkeypatch.setattr(top_images, "KEPT_BYTES", 2 * 40 * 10 * 4)  # two answers of float32
    for number in (36, 35, 36, 34):
        top(raw, oracle="counted", rows=number)
    before = rows()
    top(raw, oracle="counted", rows=36)
    assert rows() == before
    top(raw, oracle="counted", rows=35)
    assert rows() > before


def test_a_large_layer_is_observed_in_parts(raw, rows, monkeypatch):
    """So that its answers are not too large to be remembered."""
    monkeypatch.setattr(top_images, "ANSWER_BYTES", 33 * top_images.BYTES * 4)
    once = rows()
    best = [
        top(raw, f"units:{unit}", "counted", rows=33).images[0].activation for unit in range(10)
    ]
    assert (rows() - once) % 3 == 0
    assert rows() > once
    whole = [top(raw, f"units:{unit}", rows=33).images[0].activation for unit in range(10)]
    assert best == whole


def test_an_oracle_that_is_slow_delays_no_other(raw):
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(top, raw, oracle="waiting")
        try:
            assert WAITING.begun.wait(30)
            assert top(raw, rows=31).observed == 31
            assert not slow.done()
        finally:
            WAITING.may.set()
        assert slow.result().observed == 40


def test_fewer_images(raw):
    answer = top(raw, rows=10, count=100)
    places = which(BaselineSpec(images="mine", rows=10), 40)
    assert answer.observed == len(answer.images) == 10
    for image in answer.images:
        shown = tensors.from_proto(image.stimulus)
        assert (shown == PICTURES[places[image.image]]).all()


def test_a_whole_layer_reduced(raw, client):
    activations = client.observe("sim", PICTURES, ["units!max"])[:, 0]
    assert top(raw, "units!max", count=1).images[0].activation == pytest.approx(activations.max())


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"unit": "units:99"}, UnknownUnit),
        ({"unit": "nowhere:1"}, UnknownUnit),
        ({"unit": ":::"}, InvalidInput),
        ({"oracle": "none"}, NotFound),
        ({"images": "none"}, NotFound),
        ({"images": "series"}, ShapeMismatch),
        ({"count": 101}, InvalidInput),
        ({"count": -1}, InvalidInput),
        ({"rows": 10_001}, InvalidInput),
        ({"stimulus_dtype": 2}, InvalidInput),
    ],
)
def test_wrong_requests(raw, fields, error):
    with pytest.raises(Exception) as caught:
        top(raw, **fields)
    assert isinstance(from_rpc_error(caught.value), error)
