"""Studies on a CUDA device: the same bits after a stop, and results close to those of the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyProgress
from blackbox_am.studies.local import Result, maximise
from blackbox_am.testing.local_models import Canvas, tiny_network

OPTIMIZERS = ("sep_cma", "cma", "snes", "lowrank_cma", "xnes", "ga", "adam")
TARGETS = ("3:0", "3:1", "0:2")

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def search(optimizer: str, device: str, queries: int, **options: Any) -> Result:
    return maximise(
        oracle=tiny_network(device=device),
        generator=Canvas(SpaceSpec("normal", 8)),
        targets=TARGETS,
        optimizer=optimizer,
        queries_per_target=queries,
        device=device,
        seed=3,
        **options,
    )


class Stopped(Exception):
    """Ends a search as a closed process would."""


def stop_at(rows: int) -> Callable[[StudyProgress], None]:
    def stop(progress: StudyProgress) -> None:
        if progress.search_rows >= rows:
            raise Stopped

    return stop


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_stopped_study_goes_on_with_the_bits_of_an_uninterrupted_study(
    optimizer: str, tmp_path: Path
) -> None:
    whole, store = search(optimizer, "cuda", 240), tmp_path / "study.sqlite3"
    with pytest.raises(Stopped):
        search(optimizer, "cuda", 240, store=store, on_generation=stop_at(360))
    resumed = search(optimizer, "cuda", 240, store=store)
    assert resumed.progress.search_rows == whole.progress.search_rows
    for one, other in zip(resumed.best, whole.best, strict=True):
        assert one.score == other.score
        np.testing.assert_array_equal(one.latent, other.latent)
        np.testing.assert_array_equal(one.stimulus, other.stimulus)


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "ga"])
def test_a_search_on_cuda_finds_what_a_search_on_the_cpu_finds(optimizer: str) -> None:
    """Devices draw other random numbers; `ga` is left out because chance decides how fast it is."""
    there, here = (search(optimizer, device, 480) for device in ("cuda", "cpu"))
    for one, other in zip(there.best, here.best, strict=True):
        assert one.score == pytest.approx(other.score, abs=0.1, rel=0.15)
