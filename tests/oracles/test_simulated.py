import threading
import time

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.capability import Capability
from blackbox_am.core.units import Unit
from blackbox_am.errors import CapabilityMissing, InvalidSpec, UnknownUnit
from blackbox_am.oracles.simulated import Simulated

UNITS = [Unit("units", j) for j in range(10)]


def test_each_unit_answers_one_at_its_own_optimum_and_less_at_others() -> None:
    oracle = Simulated(seed=3)
    answer = oracle.observe(torch.stack([oracle.optimum(j) for j in range(10)]), UNITS)
    assert torch.equal(answer.diag(), torch.ones(10))
    assert (answer - torch.eye(10)).max() < 0.95


def test_activation_is_one_less_the_mean_square() -> None:
    oracle = Simulated((2,), units=1)
    x = torch.tensor([[0.25, 0.5]])
    expected = 1 - ((x[0] - oracle.optimum(0)) ** 2).mean()
    torch.testing.assert_close(oracle.observe(x, [Unit("units", 0)])[0, 0], expected)


def test_optima_depend_on_seed_and_unit_only() -> None:
    assert torch.equal(Simulated(units=3).optimum(2), Simulated(units=9).optimum(2))
    assert not torch.equal(Simulated(seed=1).optimum(2), Simulated(seed=2).optimum(2))
    with pytest.raises(UnknownUnit, match="0 to 9"):
        Simulated().optimum(10)


def test_the_whole_layer_is_the_mean_of_its_units() -> None:
    oracle = Simulated()
    x = torch.rand(4, 3, 8, 8)
    whole = oracle.observe(x, [Unit("units"), Unit("units", None, None, "max")])
    each = oracle.observe(x, UNITS)
    torch.testing.assert_close(whole[:, 0], each.mean(1))
    assert torch.equal(whole[:, 1], each.amax(1))


def test_gradients_are_those_of_the_formula() -> None:
    oracle = Simulated((5,), units=2, gradients=True)
    x = torch.rand(3, 5, requires_grad=True)
    (slopes,) = torch.autograd.grad(oracle.observe(x, [Unit("units", 1)]).sum(), x)
    torch.testing.assert_close(slopes, -2 * (x.detach() - oracle.optimum(1)) / 5)
    assert Simulated().describe().capabilities == Capability.SCORES | Capability.UNITS


def test_positions_need_maps() -> None:
    with pytest.raises(UnknownUnit, match="no positions"):
        Simulated().observe(torch.rand(1, 3, 8, 8), [Unit("units", 0, "center")])
    with pytest.raises((UnknownUnit, CapabilityMissing)):
        Simulated().observe(torch.rand(1, 3, 8, 8), [Unit("units", 0, (0,))])


def test_noise_differs_between_repeats_and_not_between_runs() -> None:
    x = torch.rand(4, 3, 8, 8)
    one, two = Simulated(noise=0.2), Simulated(noise=0.2)
    first, second = one.observe(x, UNITS), one.observe(x, UNITS)
    assert not torch.equal(first, second)
    assert torch.equal(two.observe(x, UNITS), first)
    assert not one.describe().deterministic
    assert Simulated().describe().deterministic


def test_noise_does_not_depend_on_who_shares_the_batch() -> None:
    x = torch.rand(4, 3, 8, 8)
    together = Simulated(noise=0.2).observe(x, UNITS)
    alone = Simulated(noise=0.2).observe(x[2:3], UNITS[3:4])
    torch.testing.assert_close(alone[0, 0], together[2, 3])


def test_noise_is_relative_and_of_the_deviation_asked_for() -> None:
    x = torch.rand(1, 3, 8, 8).expand(400, -1, -1, -1)
    clean = Simulated().observe(x, UNITS)
    relative = Simulated(noise=0.1).observe(x, UNITS) / clean - 1
    assert abs(relative.mean()) < 0.01
    assert 0.09 < relative.std() < 0.11


def test_counting_repeats_is_safe_across_threads() -> None:
    oracle = Simulated(noise=0.1)
    x = torch.rand(8, 3, 8, 8)
    threads = [threading.Thread(target=oracle.observe, args=(x, UNITS)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(oracle._seen.values()) == {8}


def test_latency_is_spent() -> None:
    start = time.monotonic()
    Simulated(latency_seconds=0.05).observe(torch.rand(1, 3, 8, 8), UNITS)
    assert time.monotonic() - start >= 0.05


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"units": 0}, "units"),
        ({"noise": -1.0}, "noise"),
        ({"noise": float("nan")}, "noise"),
        ({"latency_seconds": -0.1}, "latency_seconds"),
        ({"stimulus_shape": ()}, "stimulus_shape"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_numbers_are_named(parameters: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidSpec, match=field):
        plugins.oracles.build("simulated", parameters)
