"""Calls that nobody waits for any more: what wrappers count, wait for and send."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from blackbox_am.core.abandoning import CallAbandoned, abandonable
from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting
from blackbox_am.errors import OracleTimeout, OracleUnavailable
from blackbox_am.oracles.wrappers.delivery.circuit_breaker import CircuitBreaker
from blackbox_am.oracles.wrappers.delivery.concurrency import Concurrency
from blackbox_am.oracles.wrappers.delivery.rate_limit import RateLimit
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.oracles.wrappers.delivery.timeout import Timeout


class Left:
    """A caller that leaves."""

    def __init__(self):
        self.event = threading.Event()

    def call(self, oracle, *arguments):
        with abandonable(self.event.is_set):
            return oracle.observe(*arguments)


@pytest.fixture
def left():
    return Left()


@pytest.fixture
def hung(told, left):
    """The call hangs after its caller has left."""
    released = threading.Event()
    told.script.append(lambda: (left.event.set(), released.wait()))
    yield told
    released.set()


def test_an_abandoned_call_is_not_repeated(hung, left, hand_clock, images, units):
    with metering() as meter, pytest.raises(CallAbandoned, match="6 rows was abandoned"):
        left.call(Retry(Timeout(hung, 30)), images, units)
    assert hung.batches == [6]
    assert hand_clock.slept == []
    assert meter.total == Accounting(calls=1, rows=6)


def test_a_call_that_is_abandoned_between_two_attempts_is_not_repeated(told, left, images, units):
    def fails():
        threading.Timer(0.1, left.event.set).start()
        raise OracleUnavailable("no line")

    told.script.append(fails)
    started = time.monotonic()
    with metering() as meter, pytest.raises(CallAbandoned):
        left.call(Retry(told, first_seconds=60, longest_seconds=60, jitter=0), images, units)
    assert time.monotonic() - started < 30
    assert told.batches == [6]
    assert meter.lost() == Accounting()
    assert meter.total == Accounting(calls=1, rows=6, retries=1, retried_rows=6)


def test_an_abandoned_call_is_no_failure_of_the_model(hung, left, hand_clock, images, units):
    breaker = CircuitBreaker(Timeout(hung, 30), failures=1)
    with pytest.raises(CallAbandoned):
        left.call(breaker, images, units)
    assert breaker.observe(images, units).shape == (6, 10)


def test_a_call_that_is_abandoned_while_it_waits_for_its_rate_is_not_sent(
    closes, told, left, images, units
):
    oracle = closes(RateLimit(told, rows_per_second=0.1))
    oracle.observe(images, units)
    free = oracle._opened()._free
    threading.Timer(0.1, left.event.set).start()
    started = time.monotonic()
    with pytest.raises(CallAbandoned):
        left.call(oracle, images, units)
    assert time.monotonic() - started < 30
    assert told.batches == [6]
    assert oracle._opened()._free == free, "the next call does not wait for it"


def test_time_that_a_later_call_follows_is_not_given_back(closes, told, images, units):
    state = closes(RateLimit(told, rows_per_second=1))._opened()
    first, second = state.turn(0.0, 5.0), state.turn(0.0, 5.0)
    state.give_back(first, 5.0)
    assert state.turn(0.0, 5.0) == 10.0
    assert (first, second) == (0.0, 5.0)


def test_a_call_that_is_abandoned_while_it_waits_for_its_place_is_not_sent(
    told, left, images, units
):
    begun, released = threading.Event(), threading.Event()
    told.script.append(lambda: (begun.set(), released.wait()))
    oracle = Concurrency(told, 1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(oracle.observe, images, units)
        assert begun.wait(10)
        second = pool.submit(left.call, oracle, images, units)
        left.event.set()
        released.set()
        assert first.result(10).shape == (6, 10)
        with pytest.raises(CallAbandoned):
            second.result(10)
    assert told.batches == [6]
    assert oracle.observe(images, units).shape == (6, 10), "its place is free"


def test_nothing_is_sent_after_a_time_limit_around_it(told, images, units):
    told.script.append(OracleUnavailable("no line"))
    oracle = Timeout(Retry(told, first_seconds=0.5, jitter=0), 0.1)
    with pytest.raises(OracleTimeout, match=r"within 0\.1 s"):
        oracle.observe(images, units)
    deadline = time.monotonic() + 10
    while oracle.hanging and time.monotonic() < deadline:
        time.sleep(0.01)
    assert told.batches == [6]
