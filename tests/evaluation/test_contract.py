"""Every evaluator meets the contract; shared batches give each study what it gets alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from blackbox_am.core.rng import Stream
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import Unsupported
from blackbox_am.evaluation import LocalEvaluator, Rows
from blackbox_am.evaluation.batching import SharedBatches
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.objectives.mean import Mean
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.testing.evaluators import BATCH, Build, EvaluatorContract
from blackbox_am.testing.local_models import Canvas, tiny_network


class TestLocal(EvaluatorContract):
    @pytest.fixture
    def build(self) -> Build:
        return lambda generator, oracle, objectives, criteria: LocalEvaluator(
            generator, oracle, objectives, BATCH, criteria
        )


class TestBatching(EvaluatorContract):
    @pytest.fixture
    def build(self) -> Iterator[Build]:
        opened: list[SharedBatches] = []

        def make(generator, oracle, objectives, criteria):
            opened.append(SharedBatches(generator, oracle, BATCH))
            return opened[-1].join(objectives, criteria)

        yield make
        for shared in opened:
            shared.close()


def test_studies_that_share_batches_get_what_they_get_alone_in_fewer_calls() -> None:
    canvas, oracle = Canvas(SpaceSpec("normal", 5)), tiny_network()
    objectives = [(Mean((f"3:{k}",)), Mean(("0:2", "stimulus.tv"))) for k in range(4)]
    shared = SharedBatches(canvas, oracle, 16)
    members = [shared.join(own) for own in objectives]
    latents = [canvas.space.sample(Stream(k, "shared", 0, (0, 1)), 2) for k in range(4)]
    rows = [Rows.of(one, (0, 1)) for one in latents]
    futures = [member.submit(one) for member, one in zip(members, rows, strict=True)]
    found = [future.result(timeout=60) for future in futures]
    shared.close()
    alone = [
        LocalEvaluator(canvas, oracle, own, 16).submit(one).result()
        for own, one in zip(objectives, rows, strict=True)
    ]
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert one.quantities == other.quantities
    assert sum(one.usage.calls for one in alone) == 4
    assert sum(one.usage.calls for one in found) < 4
    assert sum(one.usage.rows for one in found) == 16 * sum(one.usage.calls for one in found)


def test_who_leaves_is_not_waited_for() -> None:
    canvas = Canvas(SpaceSpec("normal", 5))
    shared = SharedBatches(canvas, tiny_network(), 8)
    stays, goes = shared.join((Mean(("3:0",)),)), shared.join((Mean(("3:1",)),))
    shared.leave(goes)
    rows = Rows.of(torch.zeros(1, 2, 5), (0,))
    assert len(stays.submit(rows).result(timeout=60).values) == 2
    shared.close()


def test_what_cannot_be_shared_is_refused() -> None:
    near = Perturbation(np.zeros((2, 1, 4, 4), np.float32))
    with pytest.raises(Unsupported, match="an input for each target"):
        SharedBatches(near, Simulated((1, 4, 4)), 8)

    class Billed(Simulated):
        billable = True

    with pytest.raises(Unsupported, match="no padding"):
        SharedBatches(Pixels((1, 4, 4)), Billed((1, 4, 4)), 8)
