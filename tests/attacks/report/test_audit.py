"""The audit finds planted errors in stored inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from blackbox_am.attacks.report.audit import audit, distances, flags_of
from blackbox_am.attacks.report.statistics import statistics
from blackbox_am.attacks.results import AttackResult, Outcome
from blackbox_am.errors import InvalidInput, ShapeMismatch
from blackbox_am.testing.attack_results import attack_result


def kinds(result: AttackResult) -> list[str]:
    return [flag.kind for flag in flags_of(audit(result))]


def changed(result: AttackResult, **fields: object) -> AttackResult:
    """`result` with other fields of its first input."""
    return replace(result, inputs=(replace(result.inputs[0], **fields), *result.inputs[1:]))


def as_floats(result: AttackResult) -> AttackResult:
    clean, adversarial = (
        part.astype(np.float32) / np.float32(255) for part in (result.clean, result.adversarial)
    )
    return replace(result, clean=clean, adversarial=adversarial)


def test_a_sound_result_passes() -> None:
    for result in (attack_result([3, 9, None]), as_floats(attack_result([3, 9, None]))):
        found = audit(result)
        assert found.passed
        assert kinds(result) == []
        assert found.distances["linf"] == pytest.approx(8 / 255, abs=1e-7)
        assert found.violation <= found.tolerance
        assert (found.verified, found.unverified, found.unmeasured) == (2, 0, 0)


def test_bytes_on_the_edge_of_the_ball_are_inside_exactly() -> None:
    assert audit(attack_result([3])).violation == 0.0


@pytest.mark.parametrize("floats", [False, True])
def test_one_step_outside_the_ball_is_found(floats: bool) -> None:
    result = attack_result([3, None])
    stored = result.adversarial.copy()
    place = np.unravel_index(result.clean[1].argmin(), (3, 8, 8))
    stored[(1, *place)] = result.clean[(1, *place)] + 9
    result = replace(result, adversarial=stored)
    result = as_floats(result) if floats else result
    found = audit(result)
    assert found.outside == 1
    assert found.violation == pytest.approx(1 / 255, rel=1e-4)
    assert kinds(result) == ["ball"]
    assert not found.passed
    assert "0.00392" in flags_of(found)[0].text


def test_nan_and_values_outside_the_range_are_found() -> None:
    result = as_floats(attack_result([3, 4], eps=1.0))
    stored = result.adversarial.copy()
    stored[0, 0, 0, 0], stored[0, 1, 1, 1] = np.nan, 1.25
    clean = result.clean.copy()
    clean[0, 1, 1, 1] = 1.0
    result = replace(result, adversarial=stored, clean=clean)
    found = audit(result)
    assert (found.nan, found.highest) == (1, 1.25)
    assert kinds(result) == ["range", "nan"]


@pytest.mark.parametrize(
    ("fields", "kind", "severe"),
    [
        ({"verified": False, "adversarial_label": 0}, "unverified", True),
        ({"verified": True, "adversarial_label": 0}, "misnamed", True),
        ({"verified": True, "target": 3}, "misnamed", True),
        ({"verified": None}, "unmeasured", False),
    ],
)
def test_doubtful_successes_are_found(fields: dict[str, object], kind: str, severe: bool) -> None:
    found = flags_of(audit(changed(attack_result([3, 4, None]), **fields)))
    assert [(flag.kind, flag.severe) for flag in found] == [(kind, severe)]
    assert ": 1." in found[0].text


def test_a_refuted_input_that_counts_as_a_failure_is_named_too() -> None:
    result = changed(
        attack_result([3, None]), outcome=Outcome.FAILED, verified=False, adversarial_label=0
    )
    (flag,) = flags_of(audit(result))
    assert flag.kind == "unverified"
    assert ": 1. 0 of them are counted as successes" in flag.text
    assert statistics(result).unverified == 1


def test_a_success_that_changes_nothing_is_found() -> None:
    result = attack_result([3, 4])
    stored = result.adversarial.copy()
    stored[1] = result.clean[1]
    assert kinds(replace(result, adversarial=stored)) == ["unchanged"]


def test_distances_are_those_of_numpy_and_l0_counts_places() -> None:
    change = np.random.default_rng(1).normal(size=(4, 3, 5, 6))
    change[:, :, :3] = 0
    flat = change.reshape(4, -1)
    assert distances(change, "linf") == pytest.approx(np.linalg.norm(flat, np.inf, axis=1))
    assert distances(change, "l2") == pytest.approx(np.linalg.norm(flat, axis=1))
    assert distances(change, "l0").tolist() == [12] * 4  # pixels, not channels
    assert distances(np.eye(3)[None, 0], "l0").tolist() == [1]


def test_each_norm_has_its_own_ball() -> None:
    result = attack_result([3, None])  # all 64 places change, by 8/255
    length = 8 / 255 * np.sqrt(192)
    assert audit(replace(result, norm="l2", eps=length)).passed
    assert audit(replace(result, norm="l2", eps=0.99 * length)).outside == 2
    assert audit(replace(result, norm="l0", eps=64)).passed
    assert audit(replace(result, norm="l0", eps=63)).violation == 1


def test_unknown_norms_and_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="l7"):
        audit(replace(attack_result([3]), norm="l7"))
    result = attack_result([3, 4])
    with pytest.raises(ShapeMismatch, match="2 inputs"):
        audit(replace(result, adversarial=result.adversarial[:1]))
