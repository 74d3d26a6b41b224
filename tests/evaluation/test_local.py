import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.core.capability import Capability
from blackbox_am.core.generator import Generator
from blackbox_am.core.objective import Objective
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.rng import Stream
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    GradientUnavailable,
    NotFound,
    OracleFailed,
    OracleUnavailable,
    OutOfMemory,
    ShapeMismatch,
    StoreCorrupt,
    UnknownUnit,
)
from blackbox_am.evaluation import LocalEvaluator, Rows, check_evaluable
from blackbox_am.generators.diffusers.diffusers_vae import DiffusersVAE
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.objectives.mean import Mean
from blackbox_am.objectives.weighted import Weighted
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.torch.torch_module import TorchModule

PIXELS = Pixels((3, 8, 8))
MIXED: tuple[Objective, ...] = (
    Mean(("units:1",)),
    Mean(("units:2", "units:0", "units:1")),
    Weighted(("units:3", "units:4"), (1, -2)),
    Mean(("units:4",)),
    Mean(("units:5",)) * Mean(("units:6",)) - 0.5 * Mean(("units:1",)),
)


def net() -> TorchModule:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(288, 6))
    return TorchModule(nn.Sequential(*layers), (3, 8, 8), (0.5,), (0.25,), device="cpu")


def latents(targets: int, rows: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(targets, rows, 192, generator=generator)


@dataclasses.dataclass(frozen=True)
class Recorder(Oracle):
    """A billable oracle that keeps what it was shown."""

    kind: ClassVar[str] = "recorder"
    billable: ClassVar[bool] = True

    inner: Oracle = dataclasses.field(default_factory=lambda: Simulated(gradients=True))
    batches: list[torch.Tensor] = dataclasses.field(default_factory=list)
    asked: list[tuple[Unit, ...]] = dataclasses.field(default_factory=list)

    def describe(self) -> OracleInfo:
        return self.inner.describe()

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        self.batches.append(stimuli.detach().clone())
        self.asked.append(tuple(units))
        return self.inner.observe(stimuli, units)


class Unmetered(Recorder):
    billable: ClassVar[bool] = False


@dataclasses.dataclass(frozen=True)
class Answering(Oracle):
    """An oracle that answers what it is told to."""

    kind: ClassVar[str] = "answering"

    answer: Callable[[torch.Tensor], torch.Tensor]

    def describe(self) -> OracleInfo:
        layer = LayerInfo("units", "scores", (10,), ("unit",))
        return OracleInfo(self.kind, Capability.UNITS, (3, 8, 8), (layer,))

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        return self.answer(stimuli)


class Measured(NamedTuple):
    """(K, P, U) values, (K, P) whether rendered, (K, P, D) gradients."""

    values: np.ndarray
    rendered: np.ndarray
    gradients: torch.Tensor | None


def measure(
    evaluator: LocalEvaluator, x: torch.Tensor, targets: Sequence[int], gradients: bool = False
) -> Measured:
    rows = Rows.of(x, list(targets))
    found = evaluator.submit(rows, gradients=gradients).result()
    np.testing.assert_array_equal(found.targets, np.repeat(list(targets), x.shape[1]))
    slopes = found.gradients
    return Measured(
        found.values.reshape(*x.shape[:2], -1),
        found.rendered.reshape(x.shape[:2]),
        None if slopes is None else slopes.reshape(x.shape),
    )


def test_each_target_has_its_own_units_in_its_own_order() -> None:
    oracle = Simulated()
    x = latents(4, 3)
    result = measure(LocalEvaluator(PIXELS, oracle, MIXED, 8), x, [1, 2, 0, 4])
    assert result.values.shape == (4, 3, 3)
    assert result.values.dtype == np.float64
    assert result.gradients is None
    for row, target in enumerate([1, 2, 0, 4]):
        units = MIXED[target].reads()
        expected = oracle.observe(PIXELS.render(x[row]), units).numpy()
        np.testing.assert_allclose(result.values[row, :, : len(units)], expected, rtol=1e-6)
        assert np.isnan(result.values[row, :, len(units) :]).all()


@pytest.mark.parametrize("batch_size", [1, 2, 5, 6, 64])
def test_any_batch_size_measures_the_same(batch_size: int) -> None:
    x = latents(3, 4)
    result = measure(LocalEvaluator(PIXELS, Simulated(), MIXED, batch_size), x, [0, 1, 2])
    expected = measure(LocalEvaluator(PIXELS, Simulated(), MIXED, 12), x, [0, 1, 2])
    np.testing.assert_allclose(result.values, expected.values, rtol=1e-6)


def _zoo() -> tuple[Oracle, Generator, tuple[Objective, ...]]:
    oracle, generator = TorchModule("zoo:cifar_cnn", device="cpu"), DiffusersVAE()
    try:
        oracle.describe()
        generator.render(torch.zeros(1, generator.space.dim))
    except (NotFound, StoreCorrupt) as error:
        pytest.skip(f"the zoo's weights are not here: {error}")
    addresses = ("head:1", "layer2.0.conv1:7", "layer3.1.conv2:9@center")
    return oracle, generator, tuple(Mean((address,)) for address in addresses)


def _small() -> tuple[Oracle, Generator, tuple[Objective, ...]]:
    return net(), PIXELS, (Mean(("3:1",)), Mean(("0:3",)), Mean(("0:4@center",)))


@pytest.mark.parametrize("parts", [_small, _zoo])
def test_an_activation_does_not_depend_on_who_shares_its_batch(
    parts: Callable[[], tuple[Oracle, Generator, tuple[Objective, ...]]],
) -> None:
    oracle, generator, objectives = parts()
    evaluator = LocalEvaluator(generator, oracle, objectives, 8)
    x = generator.space.sample(Stream(0, "test", 0, (0, 1, 2)), 3)
    all_at_once = measure(evaluator, x, [0, 1, 2]).values
    for k in range(3):
        alone = measure(evaluator, x[k : k + 1], [k]).values
        np.testing.assert_array_equal(alone[0], all_at_once[k])
    two = measure(evaluator, x[[2, 1]], [2, 1]).values
    np.testing.assert_array_equal(two, all_at_once[[2, 1]])


def test_the_model_sees_one_batch_shape_and_one_list_of_units() -> None:
    oracle = Unmetered()
    evaluator = LocalEvaluator(PIXELS, oracle, MIXED, 4)
    measure(evaluator, latents(2, 5), [0, 1])
    measure(evaluator, latents(1, 1), [3])
    assert [len(batch) for batch in oracle.batches] == [4] * 4
    assert {len(asked) for asked in oracle.asked} == {7}
    assert len(set(oracle.asked)) == 1


def answers(exact: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    """Five different answers to a stimulus, which depend on the shape of the batch if not exact."""

    def answer(stimuli: torch.Tensor) -> torch.Tensor:
        shape = 0.0 if exact else 1e-12 * len(stimuli)
        return stimuli.flatten(1)[:, :5].double() + shape

    return answer


@pytest.mark.parametrize("exact", [False, True])
def test_few_rows_have_smaller_batches_where_the_bits_are_the_same(exact: bool) -> None:
    oracle = Unmetered(Answering(answers(exact)))
    evaluator = LocalEvaluator(PIXELS, oracle, MIXED[:3], 30)
    whole = LocalEvaluator(PIXELS, Unmetered(Answering(answers(exact))), MIXED[:3], 30)
    rows = 0
    for seed in range(16):
        x = latents(1, 10, seed)
        found = evaluator.submit(Rows.of(x, [0])).result()
        rows += found.usage.rows
        padded = torch.cat([x[0], latents(2, 10, seed).reshape(20, -1)])[None]
        expected = whole.submit(Rows.of(padded, [0])).result().values[:10]
        np.testing.assert_array_equal(found.values, expected)
    sizes = [len(batch) for batch in oracle.batches]
    assert sum(sizes) == rows  # every row is in the account
    tests = [30, 30, 10]
    assert sizes == (tests * 7 + [10] * 2 if exact else tests + [30] * 14)


@pytest.mark.parametrize("gradients", [False, True])
def test_a_metered_oracle_sees_every_row_once_and_no_padding(gradients: bool) -> None:
    oracle = Recorder()
    x = latents(3, 5)
    measure(LocalEvaluator(PIXELS, oracle, MIXED, 4), x, [0, 1, 2], gradients=gradients)
    assert [len(batch) for batch in oracle.batches] == [4, 4, 4, 3]
    assert torch.equal(torch.cat(oracle.batches), x.reshape(15, 3, 8, 8))


def scores_of(evaluator: LocalEvaluator, x: torch.Tensor) -> np.ndarray:
    """(K, P) float64 scores of the evaluator's K targets."""
    activations = measure(evaluator, x, range(len(x))).values
    pairs = zip(evaluator.objectives, activations, strict=True)
    return np.stack([one.score(own[:, : len(one.reads())]) for one, own in pairs])


def slopes_of(evaluator: LocalEvaluator, x: torch.Tensor, step: torch.Tensor) -> np.ndarray:
    """(K, P) central differences of the scores along `step`."""
    return (scores_of(evaluator, x + step) - scores_of(evaluator, x - step)) / 2


def test_gradients_are_finite_differences() -> None:
    evaluator = LocalEvaluator(PIXELS, Simulated(gradients=True), MIXED, 4)
    x = 0.2 + 0.6 * latents(5, 2)
    result = measure(evaluator, x, range(5), gradients=True)
    assert result.gradients is not None
    assert result.gradients.shape == x.shape
    step = 0.004 * torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
    followed = (result.gradients * step).sum(-1).numpy()
    np.testing.assert_allclose(followed, slopes_of(evaluator, x, step), rtol=0.01, atol=1e-6)


def test_gradients_of_a_network_are_finite_differences() -> None:
    objectives = (Mean(("3:1",)), Weighted(("3:2", "0:3"), (1, -1)))
    evaluator = LocalEvaluator(PIXELS, net(), objectives, 8)
    x = 0.2 + 0.6 * latents(2, 3)
    result = measure(evaluator, x, [0, 1], gradients=True)
    assert result.gradients is not None
    step = 0.01 * torch.nn.functional.normalize(result.gradients, dim=-1)
    followed = (result.gradients * step).sum(-1).numpy()
    np.testing.assert_allclose(followed, slopes_of(evaluator, x, step), rtol=0.05)


def test_gradients_come_with_the_same_activations() -> None:
    evaluator = LocalEvaluator(PIXELS, net(), (Mean(("3:1",)), Mean(("0:3",))), 8)
    x = latents(2, 5)
    climbed = measure(evaluator, x, [0, 1], gradients=True)
    np.testing.assert_array_equal(climbed.values, measure(evaluator, x, [0, 1]).values)


def test_gradients_do_not_depend_on_who_shares_the_batch() -> None:
    evaluator = LocalEvaluator(PIXELS, net(), (Mean(("3:1",)), Mean(("0:3",))), 8)
    x = latents(2, 3)
    together = measure(evaluator, x, [0, 1], gradients=True).gradients
    alone = measure(evaluator, x[1:], [1], gradients=True).gradients
    assert together is not None
    assert alone is not None
    assert torch.equal(alone[0], together[1])


def test_nothing_is_remembered_for_gradients_unless_asked_for() -> None:
    evaluator = LocalEvaluator(PIXELS, net(), (Mean(("3:1",)),), 4)
    x = latents(1, 4).requires_grad_()
    assert measure(evaluator, x, [0]).gradients is None
    assert x.grad is None


def test_gradients_are_refused_where_there_are_none() -> None:
    @dataclasses.dataclass(frozen=True)
    class Flat(Pixels):
        @property
        def differentiable(self) -> bool:
            return False

    with pytest.raises(GradientUnavailable, match="simulated oracle"):
        measure(LocalEvaluator(PIXELS, Simulated(), MIXED, 4), latents(1, 2), [0], gradients=True)
    with pytest.raises(GradientUnavailable, match="pixels generator"):
        check_evaluable(Flat((3, 8, 8)), Simulated(gradients=True), MIXED, gradients=True)


def test_infinite_activations_are_told_as_they_are() -> None:
    def answer(stimuli: torch.Tensor) -> torch.Tensor:
        values = torch.ones(len(stimuli), 1)
        values[0], values[1], values[2] = torch.inf, -torch.inf, torch.nan
        return values

    result = measure(LocalEvaluator(PIXELS, Answering(answer), MIXED[:1], 4), latents(1, 4), [0])
    np.testing.assert_array_equal(result.values[0, :, 0], [np.inf, -np.inf, np.nan, 1.0])
    assert result.rendered.all()


@pytest.mark.parametrize("shape", [(3, 1), (4, 2), (4,)])
def test_answers_of_another_shape_are_failures(shape: tuple[int, ...]) -> None:
    oracle = Answering(lambda stimuli: torch.ones(shape))
    with pytest.raises(OracleFailed, match=r"expected \(4, 1\)"):
        measure(LocalEvaluator(PIXELS, oracle, MIXED[:1], 4), latents(1, 4), [0])


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ValueError("broken"), OracleFailed),
        (OracleUnavailable("gone"), OracleUnavailable),
        (torch.cuda.OutOfMemoryError("full"), OutOfMemory),
    ],
)
def test_failures_of_whole_batches(raised: Exception, expected: type[Exception]) -> None:
    def answer(stimuli: torch.Tensor) -> torch.Tensor:
        raise raised

    with pytest.raises(expected):
        measure(LocalEvaluator(PIXELS, Answering(answer), MIXED[:1], 4), latents(1, 4), [0])


def test_parts_that_do_not_fit_are_refused_at_once() -> None:
    with pytest.raises(UnknownUnit, match="units:77"):
        LocalEvaluator(PIXELS, Simulated(), (Mean(("units:77",)),), 4)
    with pytest.raises(ShapeMismatch, match=r"\(3, 9, 9\).*\(3, 8, 8\)"):
        LocalEvaluator(Pixels((3, 9, 9)), Simulated(), MIXED, 4)


@pytest.mark.parametrize("shape", [(2, 3, 192), (1, 3, 191), (3, 192), (1, 0, 192)])
def test_latents_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatch, match="latents"):
        measure(LocalEvaluator(PIXELS, Simulated(), MIXED, 4), torch.rand(shape), [0])
