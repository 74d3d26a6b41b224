"""Optimizers that use the server's own models: refused at creation, or run and recovered."""

import numpy as np
import pytest

from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidSpec, NotFound, ShapeMismatch, Unsupported
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.service import Config, running
from blackbox_am.studies.local import maximise

CODES = {"kind": "diffusers_vq", "weights": "zoo:cifar_vq", "latent": "codes"}


def wanted(network="climbable", **changes):
    plain = {
        "targets": ["units:0", "units:3"],
        "generator": "pixels",
        "oracle": "sim",
        "optimizer": "encoding_model",
        "parameters": {"network": network},
        "queries_per_target": 120,
        "seed": 0,
    }
    return {**plain, **changes}


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"network": "climable"}, NotFound, "did you mean 'climbable'"),
        ({"network": "sim"}, Unsupported, "needs gradients"),
        ({"generator": "small", "oracle": None}, ShapeMismatch, "the network 'climbable' takes"),
        (
            {"generator": None, "oracle": None, "space": SpaceSpec("normal", 4)},
            Unsupported,
            "this study has none",
        ),
        ({"parameters": {"network": ""}}, InvalidSpec, "name of an oracle"),
    ],
)
def test_what_cannot_be_equipped_is_refused_at_creation(client, changes, error, says):
    with pytest.raises(error, match=says):
        client.create(**wanted(**changes))


NAMED = {
    "encoding_model": {"optimizer": "encoding_model"},
    "pixel_ridge": {"optimizer": "pixel_ridge", "parameters": {}},
}


def test_a_start_lets_auto_follow_gradients_through_the_generator(config):
    config.catalogue.add_generator("large", Pixels((3, 16, 16)))
    config.catalogue.add_oracle("large", Simulated((3, 16, 16)))
    large = {"generator": "large", "oracle": "large", "optimizer": "auto", "parameters": {}}
    cases = [
        ({"start": np.full((1, 768), 0.5)}, "pixel_ridge"),
        ({"baseline": np.random.default_rng(0).random((2, 3, 16, 16), np.float32)}, "pixel_ridge"),
        ({}, "snes"),
    ]
    with running(config) as address, connect(address) as client:
        for changes, chosen in cases:
            study = client.create(**wanted(**large, **changes))
            assert study.wait(60).optimizer == chosen


class Opaque(Pixels):
    """A generator that cannot be differentiated through."""

    differentiable = False


@pytest.mark.parametrize("optimizer", ["encoding_model", "pixel_ridge"])
def test_a_generator_without_gradients_is_refused(config, optimizer):
    config.catalogue.add_generator("opaque", Opaque((3, 8, 8)))
    with (
        running(config) as address,
        connect(address) as client,
        pytest.raises(Unsupported, match=f"{optimizer} .* pixels generator has no gradients"),
    ):
        client.create(**wanted(generator="opaque", **NAMED[optimizer]))


@pytest.mark.parametrize("optimizer", ["encoding_model", "pixel_ridge"])
def test_codes_are_refused(config, optimizer):
    codes = Catalogue.from_plain({"generators": {"codes": CODES}}).generator("codes")
    codes.to("cpu")  # loading takes longer than a call may
    config.catalogue.add_generator("codes", codes)
    with (
        running(config) as address,
        connect(address) as client,
        pytest.raises(Unsupported, match=f"{optimizer} cannot search a categorical space"),
    ):
        client.create(**wanted(generator="codes", oracle=None, **NAMED[optimizer]))


@pytest.mark.slow
def test_a_study_goes_on_after_a_restart_as_if_there_had_been_none(tmp_path, config):
    catalogue = config.catalogue
    where = Config(
        address="localhost:0", store=str(tmp_path / "s.sqlite3"), device="cpu", catalogue=catalogue
    )
    with running(where) as address, connect(address) as client:
        client.create(study_id="mine", **wanted()).wait(60)
    with running(where) as address, connect(address) as client:
        study = client.study("mine")
        study.extend(queries_per_target=200)
        end = study.wait(60)
        assert end.state is StudyState.SUCCEEDED
        scores = np.concatenate([g.scores for g in study.generations()], axis=1)
    whole = maximise(
        oracle=catalogue.oracle("sim"),
        generator=catalogue.generator("pixels"),
        targets=["units:0", "units:3"],
        optimizer="encoding_model",
        parameters={"network": "climbable"},
        queries_per_target=200,
        catalogue=catalogue,
        device="cpu",
    )
    assert np.array_equal(scores, np.concatenate([g.scores for g in whole.history], axis=1))
