"""Two real servers on one PostgreSQL database: as on one SQLite file, every row is on a bill, and
a killed or a stopped server loses its studies to the other.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from blackbox_am.client import connect
from blackbox_am.core.types import StudyState
from blackbox_am.studies import reports
from tests.service.test_sharing import (
    SLACK_SECONDS,
    TAKEOVER_SECONDS,
    search,
    server_of,
    sharing,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def pair(tmp_path, far, far_class, empty_url):
    with sharing(tmp_path, far_class(tmp_path / "rows"), empty_url) as found:
        yield found


def test_rows_searched_served_and_billed_are_equal(pair):
    oracle, (one, two), store = pair
    with connect(one.address) as first, connect(two.address) as second:
        for seed in range(4):
            search((first, second)[seed % 2], seed=seed, study_id=f"s{seed}")
        for seed in range(4):
            assert second.study(f"s{seed}").wait(60).state is StudyState.SUCCEEDED
        ends = first.studies()
        assert sum(end.search_rows for end in ends) == 800
        probed = sum(reports.load(store, f"s{seed}").spent.probe_rows for seed in range(4))
        assert sum(oracle.calls) == sum(end.spent.rows for end in ends) == 800 + probed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_answers_no_more_loses_its_studies(pair, number):
    oracle, servers, store = pair
    with connect(servers[0].address) as first:
        search(first, study_id="mine", queries_per_target=600)
    while len(oracle.calls) < 10:
        time.sleep(0.01)
    owner = server_of(servers, store.leases.owner_name("mine"))
    (heir,) = (server for server in servers if server is not owner)
    os.kill(owner.process.pid, number)
    ended = time.monotonic()
    try:
        while (name := store.leases.owner_name("mine")) == "" or str(owner.process.pid) in name:
            assert time.monotonic() - ended < TAKEOVER_SECONDS + SLACK_SECONDS
            time.sleep(0.02)
        with connect(heir.address) as client:
            end = client.study("mine").wait(100)
            assert end.state is StudyState.SUCCEEDED
            assert end.search_rows == 1200
            assert 0 <= end.spent.calls - len(oracle.calls) <= 1
            if number == signal.SIGSTOP:
                os.kill(owner.process.pid, signal.SIGCONT)  # and it writes nothing more
            alone = search(client, study_id="alone", queries_per_target=600)
            alone.wait(100)
            assert [b.score for b in alone.best()] == [b.score for b in client.study("mine").best()]
            assert client.study("mine").progress().search_rows == 1200
    finally:
        if number == signal.SIGSTOP:
            os.kill(owner.process.pid, signal.SIGCONT)


def test_a_database_that_goes_away_pauses_nothing_for_good(pair, postgresql):
    """The servers wait for the database, say so, and go on to the same end."""
    oracle, servers, _ = pair
    with connect(servers[0].address) as client:
        study = search(client, study_id="mine", queries_per_target=400)
        while len(oracle.calls) < 10:
            time.sleep(0.01)
        postgresql.stop(at_once=True)
        time.sleep(1.0)
        postgresql.start()
        end = study.wait(100)
        assert end.state is StudyState.SUCCEEDED
        alone = search(client, study_id="alone", queries_per_target=400)
        alone.wait(100)
        assert [b.score for b in alone.best()] == [b.score for b in study.best()]
