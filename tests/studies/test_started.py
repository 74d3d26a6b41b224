"""A start is the first measured row, whatever optimizer searches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from blackbox_am import plugins
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.studies.local import maximise
from blackbox_am.testing.local_models import Canvas, tiny_network

D = 16
START = np.stack([np.linspace(-1, 1, D), np.linspace(0.5, -0.5, D)]).astype(np.float32)
PARAMETERS: dict[str, dict[str, Any]] = {
    "encoding_model": {"network": "mine", "population": 8},
    "nevergrad": {"optimizer": "DE"},
}
CODES = ("pbil", "umda")
IMAGES = ("gradient_octaves", "octaves")
"""They need latents that are images."""
FAST = ("cma", "de", "random", "snes")
NAMES = [
    name
    for name in plugins.optimizers.names()
    if ".attacks." not in plugins.optimizers.build(name, PARAMETERS.get(name, {})).__module__
    and name not in CODES + IMAGES
]


def test_only_attacks_codes_and_images_are_left_out() -> None:
    assert {"adam", "auto", "cma", "ga", "pixel_ridge", "random", "snes", "sobol"} < set(NAMES)
    assert len(NAMES) >= 24


@pytest.mark.parametrize(
    "optimizer",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NAMES],
)
def test_the_start_is_the_first_row_and_the_end_is_no_lower(optimizer: str) -> None:
    catalogue = Catalogue()
    catalogue.add_oracle("mine", tiny_network())
    canvas = Canvas(SpaceSpec("normal", D))
    result = maximise(
        oracle=tiny_network(),
        generator=canvas,
        targets=["3:1", "3:4"],
        optimizer=optimizer,
        parameters=PARAMETERS.get(optimizer, {}),
        queries_per_target=24,
        start=START,
        seed=1,
        keep_latents="all",
        catalogue=catalogue,
        device="cpu",
    )
    np.testing.assert_array_equal(result.latents[0][:, 0], START)
    first = result.history[0].scores[:, 0]
    assert all(best.score >= score for best, score in zip(result.best, first, strict=True))


def test_equal_targets_have_streams_of_their_own_and_the_first_is_as_alone() -> None:
    def found(*targets: str) -> list[np.ndarray]:
        result = maximise(
            oracle=tiny_network(),
            generator=Canvas(SpaceSpec("normal", D)),
            targets=list(targets),
            optimizer="snes",
            queries_per_target=60,
            seed=5,
            device="cpu",
        )
        return [best.latent for best in result.best]

    (alone,) = found("3:1")
    other, first, second = found("3:0", "3:1", "3:1")
    np.testing.assert_array_equal(first, alone)
    assert not np.array_equal(second, first)
    assert not np.array_equal(other, first)
