"""Clients evaluate, and the server measures the stimuli that it rendered for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from blackbox_am import Mean, SpaceSpec
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.generator import Generator
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Fragile(Generator):
    """A generator of pixels that has no stimulus for latents whose first number is positive."""

    kind: ClassVar[str] = "fragile"

    threshold: float

    @property
    def space(self) -> Space:
        return build_space(SpaceSpec("normal", 4))

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return (4,)

    def render(self, latents):
        stimuli = latents.sigmoid()
        stimuli[latents[:, 0] > self.threshold] = float("nan")
        return stimuli


@pytest.fixture(scope="module")
def catalogue():
    found = Catalogue.from_plain({"generators": {"pixels": {"kind": "pixels", "shape": [3, 8, 8]}}})
    found.add_generator("fragile", Fragile(0.0))
    found.add_generator("broken", Fragile(-1e9))
    return found


def test_a_penalty_needs_nothing_of_the_client(client):
    study = client.create(
        targets=[
            Mean(("neuron:0",)).spec(),
            (Mean(("neuron:0",)) - 3 * Mean(("stimulus.tv",))).spec(),
        ],
        generator="pixels",
        optimizer="random",
        queries_per_target=8,
    )
    asked = study.ask(stimuli=True)
    study.tell(asked, np.zeros((len(asked), 1)))
    scores = next(study.generations()).scores
    assert (scores[0] == 0).all()
    stimuli = asked.stimuli[np.asarray(asked.targets) == 1].astype(np.float64) / 255
    pairs = [np.abs(np.diff(stimuli, axis=axis)).reshape(len(stimuli), -1) for axis in (2, 3)]
    expected = -3 * np.concatenate(pairs, axis=1).mean(axis=1)
    np.testing.assert_allclose(scores[1], expected, atol=0.01)


def test_measures_over_a_bare_space_are_refused(client):
    with pytest.raises(InvalidSpec, match="name a generator"):
        client.create(targets=["stimulus.tv"], space=SpaceSpec("normal", 4))


def test_candidates_without_a_stimulus_are_never_handed_out(client):
    study = client.create(
        targets=["neuron:0"], generator="fragile", optimizer="random", queries_per_target=60
    )
    handed = 0
    while (asked := study.ask(stimuli=True)).state.active:
        assert (asked.latents[:, 0] <= 0).all()
        handed += len(asked)
        study.tell(asked, -asked.stimuli.mean(axis=1, keepdims=True).astype(np.float64))
    end = study.progress()
    assert end.state is StudyState.SUCCEEDED
    assert 0 < end.failed_rows == 60 - handed
    assert f"{end.failed_rows} stimulus not finite" in end.warning
    assert study.best(stimuli=True)[0].latent[0] <= 0


def test_a_generator_that_renders_nothing_ends_the_study(client):
    study = client.create(targets=["neuron:0"], generator="broken", queries_per_target=60)
    assert len(study.ask()) == 0
    end = study.progress()
    assert end.state is StudyState.FAILED
    assert "stimuli of generation 0 is finite; check the generator" in end.message
