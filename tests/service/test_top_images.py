"""The images that excite a unit most: in order, and observed once for a layer."""

import numpy as np
import pytest

from blackbox_am.catalogue import Catalogue, ImagesGiven
from blackbox_am.core.baselines import which
from blackbox_am.core.spec import BaselineSpec
from blackbox_am.errors import InvalidInput, NotFound, ShapeMismatch, UnknownUnit
from blackbox_am.rpc import tensors
from blackbox_am.rpc.status import from_rpc_error
from blackbox_am.v1 import catalog_service_pb2 as pb

PICTURES = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)


@pytest.fixture(scope="module")
def catalogue():
    tables = {
        "oracles": {
            "sim": {"kind": "simulated"},
            "paid": {"kind": "simulated", "wrap": [{"kind": "quota", "rows": 45}]},
        },
        "generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}},
    }
    found = Catalogue.from_plain(tables)
    found.add_images("mine", ImagesGiven(PICTURES))
    found.add_images("series", ImagesGiven(np.zeros((3, 5, 7), np.float32)))
    return found


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


def test_a_layer_is_paid_once(raw):
    """The quota has 45 rows: one observation of 40 images serves all units of the layer."""
    first = top(raw, oracle="paid")
    assert len(first.images) == 9
    for unit in range(10):
        assert top(raw, f"units:{unit}", "paid").observed == 40
    with pytest.raises(Exception, match="quota") as caught:
        top(raw, "units:0", "paid", rows=39)
    assert from_rpc_error(caught.value) is not None


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
