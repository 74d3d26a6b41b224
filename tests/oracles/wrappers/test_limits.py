"""Models that are slow, dear or small: rate_limit, concurrency, quota, halving."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from blackbox_am.core.metering import metering
from blackbox_am.core.types import Accounting, StopReason, StudyState
from blackbox_am.errors import (
    MessageTooLarge,
    OracleFailed,
    OracleUnavailable,
    OutOfMemory,
    QuotaExceeded,
    StoreError,
)
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.oracles.wrappers.delivery.concurrency import Concurrency
from blackbox_am.oracles.wrappers.delivery.halving import Halving
from blackbox_am.oracles.wrappers.delivery.quota import Quota
from blackbox_am.oracles.wrappers.delivery.rate_limit import RateLimit
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.studies.local import maximise

# rate_limit


def test_rows_a_second_are_kept(closes, told, hand_clock, images, units):
    oracle = closes(RateLimit(told, rows_per_second=2))
    oracle.observe(images, units)
    oracle.observe(images[:1], units)
    oracle.observe(images[:1], units)
    assert hand_clock.slept == [3, 0.5]
    hand_clock.sleep(100)
    oracle.observe(images[:1], units)
    assert len(hand_clock.slept) == 3, "time that passed is room"


def test_the_slower_of_two_rates_counts(closes, told, hand_clock, images, units):
    oracle = closes(RateLimit(told, rows_per_second=2, calls_per_second=1))
    for rows in (6, 1, 1):
        oracle.observe(images[:rows], units)
    assert hand_clock.slept == [3, 1]


def test_the_limit_of_a_day_starts_again_at_midnight(closes, told, hand_clock, images, units):
    hand_clock.seconds = 86400 * 5 + 80000.0
    oracle = closes(RateLimit(told, rows_per_day=10))
    oracle.observe(images, units)
    with pytest.raises(OracleUnavailable, match="6 of 10 rows are used on 1970-01-06") as found:
        oracle.observe(images, units)
    assert found.value.retry_after == 6400
    oracle.observe(images[:4], units)
    hand_clock.sleep(6400)
    oracle.observe(images, units)
    assert told.batches == [6, 4, 6]


def test_a_restart_does_not_forget_the_day(told, hand_clock, images, units, tmp_path):
    path = str(tmp_path / "days.sqlite3")
    for _ in range(2):
        oracle = RateLimit(told, calls_per_day=2, path=path)
        oracle.observe(images, units)
        oracle.close()
    oracle = RateLimit(told, calls_per_day=2, path=path)
    with pytest.raises(OracleUnavailable, match="2 of 2 calls"):
        oracle.observe(images, units)
    oracle.close()


def test_threads_share_the_rate_in_real_time(closes, told, images, units):
    oracle = closes(RateLimit(told, calls_per_second=50))
    start = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: oracle.observe(images, units), range(16)))
    assert time.monotonic() - start >= 15 / 50


# concurrency


def test_so_many_run_at_once_and_no_more(told, images, units):
    running, most, lock = 0, 0, threading.Lock()

    def busy():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    told.script.extend([busy] * 12)
    oracle = Concurrency(told, calls=3)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: oracle.observe(images, units), range(12)))
    assert most == 3
    assert len(told.batches) == 12


def test_who_waits_too_long_is_told(told, images, units):
    asked, released = threading.Event(), threading.Event()
    told.script.append(lambda: (asked.set(), released.wait()))
    oracle = Concurrency(told, calls=1, wait_seconds=0.03)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(oracle.observe, images, units)
        assert asked.wait(10)
        start = time.monotonic()
        with pytest.raises(OracleUnavailable, match=r"within 0.03 s: 1 calls are running"):
            oracle.observe(images, units)
        assert time.monotonic() - start >= 0.03
        released.set()
        first.result()
    told.script.append(OracleFailed("no"))
    with pytest.raises(OracleFailed):
        oracle.observe(images, units)
    oracle.observe(images, units)  # a failure gives its place back


# quota


def test_no_row_above_the_quota_is_sent(closes, told, images, units):
    oracle = closes(Quota(told, rows=14, cost_per_row=0.25, currency="EUR"))
    oracle.observe(images, units)
    oracle.observe(images, units)
    words = r"12 of 14 rows were asked, for 3 EUR, and the next call has 6; raise the quota"
    with pytest.raises(QuotaExceeded, match=words):
        oracle.observe(images, units)
    oracle.observe(images[:2], units)
    assert told.batches == [6, 6, 2]


def test_the_limit_may_be_money(closes, told, images, units):
    oracle = closes(Quota(told, cost=1.0, cost_per_row=0.1))
    assert oracle.limit == 10
    assert Quota(told, cost=0.3, cost_per_row=0.1).limit == 3
    assert Quota(told, cost=1.0, cost_per_row=0.1, rows=7).limit == 7
    assert Quota(told, cost_per_row=0.1).limit is None
    with metering() as meter:
        oracle.observe(images, units)
    assert meter.total.cost == pytest.approx(0.6)
    with pytest.raises(QuotaExceeded, match=r"for 0.6 of 1, and"):
        oracle.observe(images, units)


def test_each_attempt_is_paid_for(closes, told, hand_clock, images, units):
    told.script.append(OracleUnavailable("gone"))
    oracle = closes(Retry(Quota(told, rows=100, cost_per_row=1.0)))
    with metering() as meter:
        oracle.observe(images, units)
    assert meter.total == Accounting(calls=2, rows=12, retries=1, retried_rows=6, cost=12.0)


def test_a_restart_does_not_forget_the_bill(told, images, units, tmp_path):
    path = str(tmp_path / "used.sqlite3")
    oracle = Quota(told, rows=10, path=path)
    oracle.observe(images, units)
    oracle.close()
    oracle = Quota(told, rows=10, path=path)
    with pytest.raises(QuotaExceeded, match="6 of 10"):
        oracle.observe(images, units)
    oracle.close()
    with pytest.raises(StoreError, match="the ledger"):
        Quota(told, rows=10, path=str(tmp_path / "no" / "folder")).describe()


def test_threads_do_not_overdraw(closes, told, images, units):
    oracle = closes(Quota(told, rows=40))

    def ask(_):
        try:
            oracle.observe(images[:3], units)
        except QuotaExceeded:
            return 0
        return 3

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(40))) == 39
    assert sum(told.batches) == 39


def test_a_study_stops_at_the_quota_and_goes_on_when_it_is_raised(tmp_path):
    def run(rows):
        quota = Quota(Simulated(), rows=rows, cost_per_row=0.5, path=str(tmp_path / "q"))
        result = maximise(
            oracle=quota,
            generator=Pixels((3, 8, 8)),
            targets=["units:0"],
            queries_per_target=200,
            store=str(tmp_path / "s.sqlite3"),
            device="cpu",
        )
        quota.close()
        return result

    stopped = run(100).progress
    assert (stopped.state, stopped.stop_reason) == (StudyState.PAUSED, StopReason.BUDGET)
    assert stopped.search_rows <= 100
    assert stopped.spent.rows == stopped.spent.searched_rows + stopped.spent.rows_apart
    assert f"{stopped.spent.rows} of 100 rows" in stopped.message
    assert f"for {stopped.spent.rows / 2:g}, and" in stopped.message
    ended = run(1000)
    assert ended.progress.state is StudyState.SUCCEEDED
    assert ended.progress.search_rows == 200
    free = maximise(
        oracle=Simulated(),
        generator=Pixels((3, 8, 8)),
        targets=["units:0"],
        queries_per_target=200,
        device="cpu",
    )
    assert ended.best[0].score == free.best[0].score


# halving


def too_large_above(told, rows, error):
    """The script of a model that takes so many rows at once."""

    def act():
        if told.batches[-1] > rows:
            raise error

    return [act] * 100


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemory("no room"),
        MessageTooLarge("too many bytes"),
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
    ],
)
def test_what_does_not_fit_is_halved_and_remembered(told, images, units, error):
    told.script.extend(too_large_above(told, 2, error))
    oracle = Halving(told)
    with metering() as meter:
        answer = oracle.observe(images, units)
    assert torch.equal(answer, Simulated().observe(images, units))
    assert told.batches == [6, 3, 1, 1, 1, 1, 1, 1]
    assert meter.total == Accounting(calls=8, rows=15, retries=2, retried_rows=9)
    oracle.observe(images[:2], units)
    assert told.batches[8:] == [1, 1]


def test_what_fits_in_no_size_is_an_error(told, images, units):
    told.script.extend([OutOfMemory("no room")] * 10)
    with pytest.raises(OutOfMemory):
        Halving(told, smallest=3).observe(images, units)
    assert told.batches == [6, 3]


def test_nothing_is_asked_as_nothing(told, images, units):
    assert Halving(told).observe(images[:0], units).shape == (0, 10)


def test_a_network_sees_pieces_of_one_shape(units):
    seen = []

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.units = nn.Linear(192, 10)

        def forward(self, x):
            if len(x) > 4:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            seen.append(len(x))
            return self.units(x.flatten(1))

    oracle = Halving(TorchModule(Small(), (3, 8, 8), device="cpu"))
    oracle.describe()
    seen.clear()
    x = torch.rand(10, 3, 8, 8)
    answer = oracle.observe(x, units)
    assert seen == [2, 2, 2, 2, 2]
    assert torch.equal(oracle.observe(x[3:6], units), answer[3:6])
    assert seen[5:] == [2, 2]


def test_threads_halve_together(images, units):
    oracle = Halving(Simulated())
    oracle._size.shrink(2, OutOfMemory("before"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: oracle.observe(images, units), range(16)))
    assert all(torch.equal(answer, answers[0]) for answer in answers)
