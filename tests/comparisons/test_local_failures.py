"""Methods and models that fail, are noisy or go away: the rest of a comparison goes on."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.comparisons import local
from blackbox_am.comparisons.local import compare
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import (
    InvalidSpec,
    OracleFailed,
    OracleUnavailable,
    OutOfMemory,
)
from blackbox_am.generators.parametric.pixels import Pixels
from tests.comparisons.toys import SHAPE, SMALL, Failing, compared, facts, toy


def test_a_method_without_gradients_is_shown_as_unavailable():
    result = compared(toy(gradients=False), seeds=1, budget=40)
    methods = {method.name: method for method in result.methods}
    assert "GRADIENTS" in methods["adam"].unavailable
    assert not methods["sep_cma"].unavailable
    assert {run.method for run in result.runs} == {"sep_cma", "random"}
    assert result.baseline == "sep_cma"
    assert result.complete
    assert any(warning.startswith("adam is unavailable") for warning in result.warnings)
    with pytest.raises(InvalidSpec, match="none of them can run"):
        compared(toy(gradients=False), methods=["adam"])


@dataclass(frozen=True)
class Opaque(Pixels):
    """Pixels, as a renderer would make them that has no gradients."""

    kind: ClassVar[str] = "opaque"

    @property
    def differentiable(self):
        return False

    def render(self, latents):
        return super().render(latents).detach()


def test_a_generator_without_gradients_leaves_the_rest_to_run():
    given = {**SMALL, "seeds": 1}
    result = compare(oracle=toy(), generator=Opaque(SHAPE), methods=["adam", "sep_cma"], **given)
    methods = {method.name: method for method in result.methods}
    assert "opaque" in methods["adam"].unavailable
    assert {run.method for run in result.runs} == {"sep_cma", "random"}
    assert result.complete


@dataclass(frozen=True)
class Cramped(Wrapper):
    """Has memory for a few rows."""

    kind: ClassVar[str] = "cramped"
    room: int = 5
    tried: list[int] = field(default_factory=list)

    def observe(self, stimuli, units):
        self.tried.append(len(stimuli))
        if len(stimuli) > self.room:
            raise OutOfMemory(f"{len(stimuli)} rows do not fit")
        return self.inner.observe(stimuli, units)


def test_batches_that_do_not_fit_into_memory_are_halved_and_the_comparison_goes_on():
    oracle = Cramped(toy())
    result = compared(oracle, seeds=1)
    assert result.complete
    assert not any(run.message for run in result.runs)
    whole = compared(toy(), seeds=1)
    assert [run.score for run in result.runs] == pytest.approx([run.score for run in whole.runs])
    assert max(oracle.tried) > oracle.room
    assert result.runs[0].robust.shape == (64,)


class Unsteady(nn.Module):
    """Adds 0, with a gradient that is no number."""

    def forward(self, x):
        return x + (x - x).sqrt()


def test_gradients_that_are_no_numbers_are_named():
    torch.manual_seed(0)
    layers = (nn.Flatten(), nn.Linear(108, 4), Unsteady(), nn.Linear(4, 3))
    result = compare(
        oracle=nn.Sequential(*layers).eval(),
        generator=Pixels(SHAPE),
        methods=["adam", "sep_cma"],
        random_search=False,
        **{**SMALL, "units": ["3:0"], "seeds": 1},
    )
    assert any("adam: the search did not move for 3:0" in text for text in result.warnings)
    assert not any("sep_cma" in text for text in result.warnings)
    assert all(np.isfinite(run.score) for run in result.runs)


def test_a_noisy_model_is_measured_afresh():
    result = compared(toy(noise=0.3, units=6), seeds=1, methods=["sep_cma"])
    again = toy(units=6)
    for run in result.runs:
        shown = torch.from_numpy(run.stimulus)[None]
        truth = float(again.observe(shown, [Unit.parse(run.unit)]))
        assert run.score_error > 0
        assert abs(run.score - truth) < 4 * run.score_error
        assert run.best_so_far[-1] != run.score
    noise = next(part for part in result.protocol if part.name == "noise")
    assert noise.kept
    assert "16 others" in noise.text


def test_the_start_of_a_noisy_model_is_no_maximum_of_noise():
    oracle = toy(noise=0.3, units=6)
    small = {"seeds": 1, "budget": 30, "methods": ["sep_cma"], "random_search": False}
    result = compared(oracle, **small, baseline=None)
    noiseless = compared(toy(units=6), **small, baseline=None)
    for unit, truth in zip(result.units, noiseless.units, strict=True):
        assert unit.start < truth.start + 0.2  # the maximum of 64 noisy values is far above
        scores = [run.score for run in result.runs if run.unit == unit.unit]
        assert result.best_known[unit.unit] == max(*scores, unit.start)


class Afresh(local.LocalRunner):
    """Fails at the fresh measurements."""

    def run(self, plan, member):
        if member not in (plan.start, *plan.members):
            raise OracleFailed("the rig is off")
        return super().run(plan, member)


def test_without_fresh_measurements_a_noisy_run_has_no_score(monkeypatch):
    monkeypatch.setattr(local, "LocalRunner", Afresh)
    small = {"seeds": 1, "budget": 30, "methods": ["sep_cma"], "random_search": False}
    result = compared(toy(noise=0.3), **small, baseline=None)
    assert not result.complete
    assert not result.best_known
    for run in result.runs:
        assert np.isnan(run.score)
        assert run.best_so_far.size
        assert "fresh measurements of a noisy model are missing (the rig is off)" in run.message
    assert all(np.isnan(unit.start) for unit in result.units)
    said = [text for text in result.warnings if "the rig is off" in text]
    assert [text.partition(":")[0] for text in said] == ["sep_cma", "random latents"]


class Away(local.LocalRunner):
    """Is out of reach after the searches of sep_cma."""

    def run(self, plan, member):
        found = super().run(plan, member)
        if member.method == "sep_cma":
            raise OracleUnavailable("nobody answers")
        return found


def test_what_a_search_found_before_its_model_was_away_is_kept(monkeypatch):
    small = {"seeds": 1, "budget": 30, "methods": ["sep_cma"], "baseline": None}
    whole = compared(**small)
    monkeypatch.setattr(local, "LocalRunner", Away)
    result = compared(**small)
    mine = [run for run in result.runs if run.method == "sep_cma"]
    assert [run.score for run in mine] == [
        run.score for run in whole.runs if run.method == "sep_cma"
    ]
    assert {run.message for run in mine} == {"nobody answers"}
    assert any("nobody answers" in text for text in result.warnings)


def test_a_model_that_fails_ends_a_run_and_not_the_comparison(tmp_path, unwritten):
    whole = compared(out=tmp_path / "whole", seeds=1)
    broken = compared(Failing(toy(), after=250), out=tmp_path / "broken", seeds=1)
    assert [run.method for run in broken.runs] == [run.method for run in whole.runs]
    ends = {run.method: (run.rows, run.message) for run in broken.runs}
    assert ends["adam"] == (30, "")
    assert 0 < ends["sep_cma"][0] < 60
    assert "the rig is off" in ends["sep_cma"][1]
    assert ends["random"] == (0, "the rig is off")
    assert any("the rig is off" in text for text in broken.warnings)
    mended = compared(Failing(toy()), out=tmp_path / "broken", seeds=1)
    assert facts(mended)[0] == facts(whole)[0]
