"""How often a study's calls are repeated, and after which delays."""

import pytest

from blackbox_am.errors import (
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
    OutOfMemory,
    StoreError,
)
from blackbox_am.oracles.wrappers.delivery._limited import OracleHangs
from blackbox_am.service.attempts import Attempts

DELAYS = (1.0, 2.0, 4.0, 8.0)


@pytest.mark.parametrize(
    ("error", "delays"),
    [
        (OracleHangs("x"), [None]),
        (OutOfMemory("x"), [1, None]),
        (OracleTimeout("x"), [1, 2, None]),
        (OracleFailed("x"), [1, 2, None]),
        (OracleUnavailable("x"), [1, 2, 4, 8, None]),
        (StoreError("x"), [1, 2, 4, 8, None]),
    ],
)
def test_each_class_of_errors_has_its_limit(error, delays):
    attempts = Attempts(DELAYS)
    assert [attempts.next(error) for _ in delays] == delays
    assert attempts.failed == len(delays)


def test_errors_of_one_class_use_up_no_attempts_of_another():
    attempts = Attempts(DELAYS)
    for delay in (1, 2, 4, 8):
        assert attempts.next(OracleUnavailable("away")) == delay
    assert attempts.next(OutOfMemory("full")) == 1
    assert attempts.failed == 1
    assert attempts.next(OracleFailed("nan")) == 1
    assert attempts.next(StoreError("locked")) == 1
    assert attempts.next(OutOfMemory("full")) is None
    assert attempts.next(OracleUnavailable("away")) is None


def test_a_success_starts_every_class_over():
    attempts = Attempts(DELAYS)
    assert attempts.next(OracleUnavailable("away")) == 1
    assert attempts.next(OracleFailed("nan")) == 1
    attempts.start_over()
    assert attempts.failed == 0
    assert attempts.next(OracleUnavailable("away")) == 1
    assert attempts.next(OracleFailed("nan")) == 1
