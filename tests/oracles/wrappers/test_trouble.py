"""Models that are away, or hang: retry, timeout, circuit_breaker."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from blackbox_am import plugins
from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting
from blackbox_am.errors import (
    InvalidInput,
    InvalidSpec,
    OracleFailed,
    OracleTimeout,
    OracleUnavailable,
    OutOfMemory,
    QuotaExceeded,
    UnknownUnit,
)
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.delivery.circuit_breaker import CircuitBreaker
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.oracles.wrappers.delivery.timeout import Timeout, _Call

AWAY = OracleUnavailable("no line")

# retry


def test_retry_waits_longer_each_time(told, hand_clock, images, units):
    told.script.extend([AWAY, OracleTimeout("late"), AWAY, AWAY])
    oracle = Retry(told, 5, first_seconds=1, factor=3, longest_seconds=10, jitter=0)
    answer = oracle.observe(images, units)
    assert torch.equal(answer, Simulated().observe(images, units))
    assert hand_clock.slept == [1, 3, 9, 10]


def test_the_last_error_is_raised(told, hand_clock, images, units):
    told.script.extend([AWAY, AWAY, OracleTimeout("too late")])
    with pytest.raises(OracleTimeout, match="too late"):
        Retry(told, 3).observe(images, units)
    assert len(told.batches) == 3


def test_jitter_keeps_clients_apart(told, hand_clock, images, units):
    oracle = Retry(told, 2, first_seconds=8, jitter=0.25)
    for _ in range(40):
        told.script.append(AWAY)
        oracle.observe(images, units)
    assert all(6 <= wait <= 8 for wait in hand_clock.slept)
    assert max(hand_clock.slept) - min(hand_clock.slept) > 0.5


@pytest.mark.parametrize(
    "error", [OracleFailed("no"), OutOfMemory("no"), UnknownUnit("no"), QuotaExceeded("no")]
)
def test_what_cannot_get_better_is_not_tried_again(told, hand_clock, images, units, error):
    told.script.append(error)
    with pytest.raises(type(error)):
        Retry(told).observe(images, units)
    assert hand_clock.slept == []


def test_nonsense_is_tried_again_where_that_is_wanted(told, hand_clock, images, units):
    told.script.extend([OracleFailed("garbage"), OracleFailed("garbage")])
    Retry(told, failures=True).observe(images, units)
    assert len(hand_clock.slept) == 2


def test_who_says_when_to_come_back_is_obeyed(told, hand_clock, images, units):
    told.script.extend(
        [QuotaExceeded("slow down", retry_after=7), OracleUnavailable("x", retry_after=0.1)]
    )
    Retry(told, first_seconds=2, factor=1, jitter=0).observe(images, units)
    assert hand_clock.slept == [7, 2]
    told.script.append(OracleUnavailable("tomorrow", retry_after=30_000))
    with pytest.raises(OracleUnavailable, match="tomorrow"):
        Retry(told, longest_seconds=60).observe(images, units)
    assert len(hand_clock.slept) == 2


def test_many_attempts_do_not_overflow(told, hand_clock, images, units):
    told.script.extend([AWAY] * 1200)
    oracle = Retry(told, 1201, first_seconds=1e-3, factor=1e9, longest_seconds=2, jitter=0)
    oracle.observe(images, units)
    assert hand_clock.slept[-1] == 2


def test_retries_are_counted_apart(told, hand_clock, images, units):
    told.script.extend([AWAY, AWAY, None, AWAY])
    with metering() as meter:
        Retry(told).observe(images, units)
        Retry(told).observe(images[:2], units)
    assert meter.total == Accounting(calls=5, rows=22, retries=3, retried_rows=14)
    assert meter.lost() == Accounting(retries=2, retried_rows=8)


def test_what_a_cache_kept_is_no_retry(told, hand_clock, images, units, tmp_path):
    cache = Cache(told, str(tmp_path / "c.sqlite3"), model="told")
    cache.observe(images[:3], units[:1])
    # Two calls: three rows lack a unit, three lack both. The second fails.
    told.script.extend([None, AWAY])
    with metering() as meter:
        Retry(cache).observe(images, units[:2])
    assert (meter.total.calls, meter.total.retries, meter.total.retried_rows) == (3, 1, 3)
    cache.close()


def test_retry_sleeps_in_real_time(told, images, units):
    told.script.extend([AWAY, AWAY])
    start = time.monotonic()
    Retry(told, first_seconds=0.05, jitter=0).observe(images, units)
    assert time.monotonic() - start >= 0.15


# timeout


def test_a_call_that_is_late_is_given_up(told, images, units):
    released = threading.Event()
    told.script.append(released.wait)
    oracle = Timeout(told, 0.05)
    start = time.monotonic()
    with pytest.raises(OracleTimeout, match=r"6 rows within 0.05 s"):
        oracle.observe(images, units)
    assert time.monotonic() - start >= 0.05
    assert torch.equal(Timeout(told, 30).observe(images, units), Simulated().observe(images, units))
    released.set()


def test_so_many_may_hang_and_no_more(told, images, units):
    released = threading.Event()
    told.script.extend([released.wait, released.wait])
    oracle = Timeout(told, 0.02, stuck=2)
    for _ in range(2):
        with pytest.raises(OracleTimeout):
            oracle.observe(images, units)
    with pytest.raises(OracleUnavailable, match="2 calls that were given up"):
        oracle.observe(images, units)
    assert len(told.batches) == 2
    released.set()
    deadline = time.monotonic() + 10
    while oracle._runners.given_up and time.monotonic() < deadline:
        time.sleep(0.001)
    patient = Timeout(told, 30, stuck=2)
    assert patient.observe(images, units).shape == (6, 10)
    assert oracle._runners.given_up == 0


def test_a_call_given_up_before_it_began_is_not_made(told, images, units):
    oracle = Timeout(told, 0.05)
    call = _Call(lambda: told.observe(images, units))
    assert oracle._runners.give_up(call)  # as if the time were over before its thread began
    oracle._runners.start(call, stuck=2)
    assert call.done.wait(10)
    assert told.batches == []
    assert oracle._runners.given_up == 0


def test_errors_and_gradients_come_through_the_thread(told, units):
    oracle = Timeout(type(told)(gradients=True), 30)
    x = torch.rand(2, 3, 8, 8, requires_grad=True)
    (slopes,) = torch.autograd.grad(oracle.observe(x, units).sum(), x)
    assert slopes.abs().max() > 0
    with torch.no_grad():
        assert not oracle.observe(x, units).requires_grad
    oracle.inner.script.extend([UnknownUnit("no such"), ZeroDivisionError("bug")])
    with pytest.raises(UnknownUnit, match="no such"):
        oracle.observe(x, units)
    with pytest.raises(ZeroDivisionError):
        oracle.observe(x, units)


def test_threads_are_used_again_and_calls_counted(told, images, units):
    names = set()
    told.script.extend([lambda: names.add(threading.get_ident())] * 20)
    oracle = Timeout(told, 30)
    with metering() as meter:
        for _ in range(20):
            oracle.observe(images, units)
    assert len(names) == 1
    assert meter.total == Accounting(calls=20, rows=120)


HANGING = """
import threading, torch
from blackbox_am.errors import OracleTimeout
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.delivery.timeout import Timeout
class Hanging(Simulated):
    def observe(self, stimuli, units):
        threading.Event().wait()
try:
    Timeout(Hanging(), 0.05).observe(torch.rand(1, 3, 8, 8), [])
except OracleTimeout:
    print("given up")
"""


def test_a_call_that_never_returns_keeps_no_process_from_ending():
    done = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "given up\n"


# The circuit breaker


def test_the_breaker_opens_tries_and_closes(told, hand_clock, images, units):
    oracle = CircuitBreaker(told, failures=2, seconds=10)

    def fails(words):
        with pytest.raises(OracleUnavailable, match=words) as found:
            oracle.observe(images, units)
        return found.value.retry_after

    told.script.extend([AWAY, None, AWAY, AWAY])
    fails("no line")
    oracle.observe(images, units)  # a success in between: failures in a row count
    fails("no line")
    fails("no line")
    assert fails("left alone for another 10 s") == 10
    hand_clock.sleep(4)
    assert fails("another 6 s") == 6
    assert len(told.batches) == 4, "while it is open nothing is asked"
    hand_clock.sleep(6)
    told.script.append(AWAY)
    fails("no line")
    assert fails("another 10 s") == 10
    hand_clock.sleep(10)
    assert oracle.observe(images, units).shape == (6, 10)
    told.script.append(AWAY)
    fails("no line")
    oracle.observe(images, units)


def test_only_one_call_tries(told, hand_clock, images, units):
    oracle = CircuitBreaker(told, failures=1, seconds=10)
    told.script.append(AWAY)
    with pytest.raises(OracleUnavailable):
        oracle.observe(images, units)
    hand_clock.sleep(10)
    asked, released = threading.Event(), threading.Event()
    told.script.append(lambda: (asked.set(), released.wait()))
    with ThreadPoolExecutor(1) as pool:
        probe = pool.submit(oracle.observe, images, units)
        assert asked.wait(10)
        with pytest.raises(OracleUnavailable, match="while one call tries it"):
            oracle.observe(images, units)
        released.set()
        assert probe.result().shape == (6, 10)
    oracle.observe(images, units)


def test_wrong_requests_do_not_open_it(told, hand_clock, images, units):
    oracle = CircuitBreaker(told, failures=1, seconds=10)
    told.script.extend([InvalidInput("yours"), QuotaExceeded("spent"), ZeroDivisionError("bug")])
    for error in (InvalidInput, QuotaExceeded, ZeroDivisionError, OracleUnavailable):
        with pytest.raises(error):
            oracle.observe(images, units)
    hand_clock.sleep(10)
    told.script.append(InvalidInput("a wrong probe says nothing"))
    with pytest.raises(InvalidInput):
        oracle.observe(images, units)
    oracle.observe(images, units)


def test_the_breaker_closes_in_real_time(told, images, units):
    oracle = CircuitBreaker(told, failures=1, seconds=0.1)
    told.script.append(AWAY)
    with pytest.raises(OracleUnavailable, match="no line"):
        oracle.observe(images, units)
    with pytest.raises(OracleUnavailable, match="left alone"):
        oracle.observe(images, units)
    time.sleep(0.11)
    oracle.observe(images, units)


@pytest.mark.parametrize(
    ("kind", "parameters", "field"),
    [
        ("retry", {"attempts": 0}, "attempts"),
        ("retry", {"first_seconds": -1.0}, "first_seconds"),
        ("retry", {"longest_seconds": float("inf")}, "longest_seconds"),
        ("retry", {"factor": 0.5}, "factor"),
        ("retry", {"jitter": 1.5}, "jitter"),
        ("timeout", {"seconds": 0.0}, "seconds"),
        ("timeout", {"seconds": float("inf")}, "seconds"),
        ("timeout", {"stuck": 0}, "stuck"),
        ("circuit_breaker", {"failures": 0}, "failures"),
        ("circuit_breaker", {"seconds": 0.0}, "seconds"),
        ("concurrency", {"calls": 0}, "calls"),
        ("concurrency", {"wait_seconds": 0.0}, "wait_seconds"),
        ("rate_limit", {}, "rows_per_second"),
        ("rate_limit", {"rows_per_second": 0.0}, "rows_per_second"),
        ("rate_limit", {"calls_per_day": -1}, "calls_per_day"),
        ("quota", {}, "rows"),
        ("quota", {"rows": 0}, "rows"),
        ("quota", {"cost": 5.0}, "cost_per_row"),
        ("quota", {"cost_per_row": -1.0}, "cost_per_row"),
        ("halving", {"smallest": 0}, "smallest"),
    ],
)
def test_bad_numbers_are_named(kind, parameters, field):
    with pytest.raises(InvalidSpec, match=field):
        plugins.wrap(Simulated(), kind, parameters)
