"""The contract suite fails optimizers that break it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from blackbox_am.core.optimizer import Optimizer, Proposal
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.optimizers.evolution.sep_cma import SepCMA, SepCMAState
from blackbox_am.optimizers.evolution.snes import SNES, SNESState
from blackbox_am.optimizers.libraries._sessions import Sessions
from blackbox_am.optimizers.libraries.nevergrad import Nevergrad
from blackbox_am.optimizers.libraries.pycma import PyCMA
from blackbox_am.optimizers.sampling.random import Random, RandomState
from blackbox_am.testing.optimizers import OptimizerContract

SUITE = OptimizerContract()


class MixesTargets(SepCMA):
    def ask(self, space: Space, state: SepCMAState, stream: Stream) -> torch.Tensor:
        asked = super().ask(space, state, stream)
        return asked + 1e-6 * state.sigma.mean()


class WritesWhileAsking(SepCMA):
    def ask(self, space: Space, state: SepCMAState, stream: Stream) -> torch.Tensor:
        state.sigma *= 0.9
        return super().ask(space, state, stream)


class ForgetsWhereItStands(SepCMA):
    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "told", [])

    def ask(self, space: Space, state: SepCMAState, stream: Stream) -> torch.Tensor:
        return super().ask(space, state, stream) + len(self.told)  # type: ignore[attr-defined]

    def tell(self, *told: Any) -> SepCMAState:
        self.told.append(1)  # type: ignore[attr-defined]
        return super().tell(*told)


class SwallowsNan(SepCMA):
    def tell(self, space: Space, state: SepCMAState, latents: Any, scores: Any, *_: Any) -> Any:
        told = super().tell(space, state, latents, scores)
        told.sigma = told.sigma * (1 + 0 * scores.mean(-1))
        return told


class WeighsByScore(SepCMA):
    def tell(self, space: Space, state: SepCMAState, latents: Any, scores: Any, *_: Any) -> Any:
        told = super().tell(space, state, latents, scores)
        told.mean = told.mean + 1e-3 * scores.mean(-1, keepdim=True).float()
        return told


class LikesTheFirstRow(SNES):
    def tell(self, space: Space, state: SNESState, latents: Any, scores: Any, *_: Any) -> Any:
        told = super().tell(space, state, latents, scores)
        told.mean = told.mean + 0.01 * latents[:, 0]
        return told


@dataclass(frozen=True)
class UsesGlobalNumbers(Random):
    def ask(self, space: Space, state: RandomState, stream: Stream) -> torch.Tensor:
        return super().ask(space, state, stream) + torch.rand(())


class ReadsItsAddress(SepCMA):
    """As a matrix product may, whose kernel is chosen by where its operands begin."""

    def ask(self, space: Space, state: SepCMAState, stream: Stream) -> torch.Tensor:
        return super().ask(space, state, stream) + state.mean.data_ptr() % 64


class ReadsBack(SepCMA):
    def tell(self, space: Space, state: SepCMAState, latents: Any, scores: Any, *_: Any) -> Any:
        told = super().tell(space, state, latents, scores)
        told.sigma = told.sigma * torch.tensor([min(1.0, s) for s in told.sigma.tolist()])
        return told


class WantsNothing(SepCMA):
    def ask(self, space: Space, state: SepCMAState, stream: Stream) -> Any:
        latents = super().ask(space, state, stream)
        return Proposal(latents, torch.zeros(latents.shape[:2], dtype=torch.bool))


class LeavesTheSpace(SepCMA):
    def center(self, space: Space, state: SepCMAState) -> torch.Tensor:
        return super().center(space, state) + 100


class CentresOnEveryone(SepCMA):
    def center(self, space: Space, state: SepCMAState) -> torch.Tensor:
        return super().center(space, state).mean(0, keepdim=True).expand(len(state.mean), -1)


class LosesItsStart(SepCMA):
    def started_at(self, space: Space, state: SepCMAState, latents: torch.Tensor) -> SepCMAState:
        moved = super().started_at(space, state, latents)
        return replace(moved, mean=-10 * moved.mean)


class Impatient(Nevergrad):
    """Asks the library whenever it is asked."""

    def ask(self, space: Space, state: Sessions, stream: Stream) -> torch.Tensor:
        for session in state.sessions:
            session._proposed = None
        return super().ask(space, state, stream)


class CountsItsLife(PyCMA):
    """Remembers outside of its sessions, which a replay begins anew."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "asked", [])

    def ask(self, space: Space, state: Sessions, stream: Stream) -> torch.Tensor:
        self.asked.append(stream.seeds)  # type: ignore[attr-defined]
        many = len(set(self.asked))  # type: ignore[attr-defined]
        return super().ask(space, state, stream) + many


class KeepsOneSession(PyCMA):
    def init(self, space: Space, targets: int, stream: Stream) -> Sessions:
        state = super().init(space, targets, stream)
        return Sessions(state.sessions[:1] * targets)


@pytest.mark.parametrize(
    ("optimizer", "test"),
    [
        (Impatient("HaltonSearch", population=4, budget=1000), SUITE.test_ask_is_pure),
        (CountsItsLife(), SUITE.test_a_replay_continues_to_the_last_bit),
        (KeepsOneSession(), SUITE.test_a_target_does_not_know_the_others),
        (KeepsOneSession(), SUITE.test_a_target_that_rested_goes_on_as_it_was),
        (MixesTargets(), SUITE.test_dropping_a_target_does_not_change_the_others),
        (MixesTargets(), SUITE.test_a_target_does_not_know_the_others),
        (WritesWhileAsking(), SUITE.test_ask_is_pure),
        (ForgetsWhereItStands(), SUITE.test_a_snapshot_continues_to_the_last_bit),
        (
            ReadsItsAddress(),
            lambda o: SUITE.test_bits_do_not_depend_on_memory_addresses(o, 4),
        ),
        (LeavesTheSpace(), SUITE.test_names_its_centre),
        (CentresOnEveryone(), SUITE.test_names_its_centre),
        (LosesItsStart(), SUITE.test_begins_around_its_start),
        (WantsNothing(), SUITE.test_wants_one_row_of_each_target_at_least),
        (SwallowsNan(), lambda o: SUITE.test_survives_missing_rows(o, "some")),
        (SwallowsNan(), lambda o: SUITE.test_survives_flat_and_infinite_scores(o, torch.inf)),
        (WeighsByScore(), SUITE.test_only_the_order_of_scores_matters),
        (LikesTheFirstRow(), SUITE.test_the_order_of_rows_does_not_matter),
        (UsesGlobalNumbers(), SUITE.test_leaves_global_random_numbers_alone),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Optimizer) else "",
)
def test_suite_catches(optimizer: Any, test: Callable[[Any], None]) -> None:
    with pytest.raises(AssertionError):
        test(optimizer)


def test_suite_catches_a_host_read() -> None:
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        SUITE.test_neither_reads_from_the_device_nor_copies_to_it(ReadsBack())
