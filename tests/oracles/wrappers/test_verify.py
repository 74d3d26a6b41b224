"""Trying an oracle out: order, determinism, and no false alarms."""

import logging
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.metering import metering
from blackbox_am.core.oracle import Oracle
from blackbox_am.errors import InvalidSpec, OracleFailed
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.measurement.noise import Noise
from blackbox_am.oracles.wrappers.measurement.verify import Verify
from blackbox_am.studies.local import maximise


@dataclass(frozen=True)
class Changed(Oracle):
    """A simulation whose answers go through `change`."""

    kind: ClassVar[str] = "changed"
    change: object
    units: int = 10
    batches: list = field(default_factory=list)

    def describe(self):
        return Simulated(units=self.units).describe()

    def observe(self, stimuli, units):
        self.batches.append(len(stimuli))
        return self.change(Simulated(units=self.units).observe(stimuli, units))


def shuffle(answer):
    order = torch.randperm(len(answer), generator=GENERATOR)
    return answer[order]


GENERATOR = torch.Generator().manual_seed(3)
ORDERS = {
    "reversed": lambda answer: answer.flip(0),
    "sorted": lambda answer: answer[answer[:, 0].argsort()],
    "rolled": lambda answer: answer.roll(1, 0),
    "two swapped": lambda answer: torch.cat([answer[:-2], answer[-2:].flip(0)]),
    "shuffled each time": shuffle,
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("units", [1, 10])
def test_rows_in_another_order_are_an_error(order, units):
    with pytest.raises(OracleFailed, match="in another order than they were sent in"):
        Verify(Changed(ORDERS[order], units)).describe()


def test_no_study_begins_on_rows_in_another_order():
    with pytest.raises(OracleFailed, match="another order"):
        maximise(
            oracle=Verify(Changed(ORDERS["rolled"])),
            generator=Pixels((3, 8, 8)),
            targets=["units:0"],
            device="cpu",
        )


def test_who_answers_differently_is_believed_no_more(caplog, tmp_path):
    def drifting(answer):
        return answer + 0.25 * len(oracle.inner.batches)

    oracle = Verify(Changed(drifting))
    with caplog.at_level(logging.WARNING):
        assert not oracle.describe().deterministic
    assert "differently: by up to 0.25" in caplog.text
    with pytest.raises(InvalidSpec, match="answers differently each time"):
        Cache(oracle, str(tmp_path / "c"), model="drifting").describe()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("units", [1, 10])
def test_noise_is_no_other_order(seed, units, caplog):
    noisy = Noise(Simulated(units=units), additive=0.5, seed=seed)
    assert not Verify(noisy).describe().deterministic
    assert caplog.text == "", "it said so itself"


@pytest.mark.parametrize("name", ["cifar_cnn", "cifar_vit"])
def test_the_shipped_models_pass(name, caplog):
    oracle = Verify(Catalogue.default().oracle(name))
    assert oracle.describe().deterministic
    assert caplog.text == ""


def test_rows_that_answer_alike_are_no_other_order():
    assert Verify(Changed(lambda answer: answer.round())).describe().deterministic
    assert Verify(Changed(torch.zeros_like)).describe().deterministic


@pytest.mark.parametrize(
    ("factor", "told"), [(torch.nan, "with nan,"), (torch.inf, "with inf,"), (-torch.inf, "inf,")]
)
def test_what_is_no_number_is_told(factor, told, caplog):
    oracle = Verify(Changed(lambda answer: torch.full_like(answer, factor)))
    oracle.describe()
    assert told in caplog.text


def test_it_is_tried_once_and_at_the_price_that_is_told():
    oracle = Verify(Changed(lambda answer: answer), rows=3)
    with metering() as meter:
        oracle.describe()
        oracle.describe()
    assert (meter.total.calls, meter.total.rows) == (5, 9)
    assert oracle.inner.batches == [3, 3, 1, 1, 1]
    with pytest.raises(InvalidSpec, match="rows"):
        Verify(Simulated(), rows=1)
