"""Metrics: what Prometheus reads of a server."""

import re
import socket
from dataclasses import replace
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import pytest
from prometheus_client.parser import text_string_to_metric_families

from blackbox_am.client import connect
from blackbox_am.core.tally import Tally
from blackbox_am.errors import Conflict, InvalidSpec, NotFound
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.service import Config, running

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


class Broken(Simulated):
    def observe(self, stimuli, units):
        raise ZeroDivisionError


@pytest.fixture
def measured(config):
    """A configuration with metrics on a free port, and the URL of the metrics."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return replace(config, metrics_address=f"127.0.0.1:{port}"), f"http://127.0.0.1:{port}/metrics"


def read(url):
    """The samples, by name and the labels in alphabetical order; and the families."""
    opener = build_opener(ProxyHandler({}))
    text = opener.open(url, timeout=30).read().decode()
    families = list(text_string_to_metric_families(text))
    samples = {
        (sample.name, *dict(sorted(sample.labels.items())).values()): sample.value
        for family in families
        for sample in family.samples
    }
    return samples, families


def test_a_study_and_its_calls_are_counted(measured, spec):
    config, url = measured
    with running(config) as address, connect(address) as client:
        study = client.create(
            generator="pixels", oracle="sim", targets=["units:0"], queries_per_target=50
        )
        study.wait(timeout=60)
        with pytest.raises(NotFound):
            client.study("nobody").progress()
        found, _ = read(url)
    assert found["blackbox_am_ready",] == 1
    assert found["blackbox_am_studies", "succeeded"] == 1
    assert found["blackbox_am_oracle_rows_total", "sim"] >= 50
    assert found["blackbox_am_oracles_ended_total", "sim"] >= 1
    assert found["blackbox_am_oracle_seconds_total", "sim"] > 0
    assert found["blackbox_am_oracle_hanging", "sim"] == 0
    assert found["blackbox_am_studies_running", "sim"] == 0
    assert found["blackbox_am_calls_ended_total", "CreateStudy"] == 1
    assert found["blackbox_am_call_errors_total", "NotFound", "GetStudy"] == 1
    assert found["blackbox_am_store_writes_ended_total",] > 3
    assert found["blackbox_am_memory_limit_bytes",] > 2**20


def test_failed_calls_of_an_oracle_are_counted_by_class(measured):
    config, url = measured
    config.catalogue.add_oracle("broken", Broken())
    with running(config) as address, connect(address) as client:
        study = client.create(
            generator="pixels", oracle="broken", targets=["units:0"], queries_per_target=50
        )
        study.wait(timeout=60)
        found, _ = read(url)
    assert found["blackbox_am_oracle_errors_total", "ZeroDivisionError", "broken"] >= 1


def test_every_metric_is_documented(measured):
    config, url = measured
    with running(config):
        _, families = read(url)
    documented = set(re.findall(r"^\| `(blackbox_am_\w+)`", PAGE.read_text("utf-8"), re.MULTILINE))
    counters = {family.name + "_total" for family in families if family.type == "counter"}
    gauges = {family.name for family in families if family.type == "gauge"}
    assert documented == counters | gauges


def test_no_metrics_are_served_unasked(config):
    assert config.metrics_address == Config().metrics_address == ""


def test_a_taken_address_and_nonsense_are_refused(config):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Conflict, match="cannot serve metrics"):
            running(replace(config, metrics_address=address)).__enter__()
    for text in ("localhost:99999", ":9464", "localhost:http"):
        with pytest.raises(InvalidSpec, match="expected host:port"):
            running(replace(config, metrics_address=text)).__enter__()


def test_a_tally_counts_failed_calls_too():
    tally = Tally()
    with tally.counting(3):
        pass
    with pytest.raises(KeyError), tally.counting(2):
        raise KeyError
    counts = tally.counts()
    assert (counts.calls, counts.rows, counts.errors) == (2, 5, {"KeyError": 1})
    assert counts.seconds > 0
