"""Random transformations of a study on a real server."""

import numpy as np
import pytest
import torch

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec
from blackbox_am.core.types import StudyState
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.measurement.transformed import Transformed
from blackbox_am.rpc import specs
from blackbox_am.transforms.jitter import Jitter


@pytest.fixture(scope="module")
def catalogue():
    column = {"low": 0.0, "high": 1.0}
    columns = [{"name": name, **column} for name in "abc"]
    return Catalogue.from_plain(
        {
            "oracles": {
                "sim": {"kind": "simulated", "gradients": True},
                "rows": {"kind": "simulated", "stimulus_shape": [3]},
                "robust": {
                    "kind": "simulated",
                    "wrap": [
                        {
                            "kind": "transformed",
                            "transforms": [
                                {"name": "jitter", "parameters": {"amount": 0.25}},
                                {"name": "rotate"},
                            ],
                            "copies": 4,
                        }
                    ],
                },
            },
            "generators": {
                "pixels": {"kind": "pixels", "shape": [3, 8, 8]},
                "table": {"kind": "table", "columns": columns},
            },
        }
    )


def create(client, **changes):
    wanted = {
        "oracle": "sim",
        "generator": "pixels",
        "targets": ["units:0"],
        "optimizer": "sep_cma",
        "queries_per_target": 40,
        "seed": 5,
        "transforms": [TransformSpec("jitter", {"amount": 0.25})],
        "copies": 4,
    }
    return client.create(**{**wanted, **changes})


@pytest.mark.parametrize("optimizer", ["sep_cma", "adam"])
def test_the_server_observes_the_copies(client, optimizer):
    study = create(client, optimizer=optimizer)
    end = study.wait(60)
    assert end.state is StudyState.SUCCEEDED, end.message
    assert end.search_rows == 40
    assert end.spent.rows >= 4 * 40
    spec = study.spec()
    assert spec.transforms == TransformsSpec((TransformSpec("jitter", {"amount": 0.25}),), 4)
    (best,) = study.best(stimuli=True, dtype="float32")
    oracle = Transformed(Simulated(gradients=True), (Jitter(0.25),), copies=4, seed=5)
    shown = torch.from_numpy(np.array(best.stimulus))[None]
    assert best.score == pytest.approx(float(oracle.observe(shown, [Unit("units", 0)])), abs=1e-4)


def test_new_draws_end_with_a_recheck(client):
    anew = TransformsSpec((TransformSpec("jitter"),), 4, "generation")
    study = create(client, transforms=anew, copies=None)
    end = study.wait(60)
    assert end.state is StudyState.SUCCEEDED, end.message
    (best,) = study.best()
    assert best.recheck is not None
    assert study.spec().transforms == anew


def test_the_operator_can_wrap_a_model(client):
    study = create(client, oracle="robust", transforms=None, copies=None)
    end = study.wait(60)
    assert end.state is StudyState.SUCCEEDED, end.message
    assert end.spent.rows >= 4 * 40


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        (
            {"transforms": ["flip", "jiter"]},
            "spec.transforms.chain[1].name",
            "no transformation is called 'jiter'; did you mean 'jitter'",
        ),
        (
            {"transforms": [TransformSpec("rotate", {"degrees": 200})]},
            "spec.transforms.chain[0].parameters.degrees",
            "degrees: expected 0 to 180 degrees, got 200",
        ),
        (
            {"transforms": [TransformSpec("rotate", {"degree": 20})]},
            "spec.transforms.chain[0].parameters.degree",
            "did you mean 'degrees'",
        ),
        (
            {"transforms": [TransformSpec("rotate", {"degrees": "many"})]},
            "spec.transforms.chain[0].parameters.degrees",
            "expected",
        ),
        (
            {"oracle": "rows", "generator": "table"},
            "spec.transforms",
            r"jitter: transformations need images .* got stimuli of shape \(3,\)",
        ),
        (
            {"oracle": None},
            "spec",
            "clients evaluate this study; leave the transforms out",
        ),
        (
            {"transforms": [TransformSpec("noise", {"over": 10})]},
            "spec.transforms",
            "noise has a schedule over generations, and the draws are fixed",
        ),
    ],
)
def test_bad_transforms_are_refused_with_their_field(client, changes, field, message):
    with pytest.raises(InvalidSpec, match=message) as caught:
        create(client, **changes)
    if changes.get("oracle", "sim") is not None:
        assert caught.value.field == field


def test_ranges_are_checked_on_the_wire(spec):
    spec.transforms.chain.add(name="jitter")
    spec.transforms.copies = 5000
    with pytest.raises(InvalidSpec, match="copies") as caught:
        specs.study_from_proto(spec)
    assert caught.value.field == "transforms.copies"
    spec.transforms.copies = 2
    del spec.transforms.chain[:]
    with pytest.raises(InvalidSpec, match="chain") as caught:
        specs.study_from_proto(spec)
    assert caught.value.field == "transforms.chain"
