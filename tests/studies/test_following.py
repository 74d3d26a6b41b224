"""The same study asked for in two processes at once: one runs it, the other follows."""

import subprocess
import sys

import pytest

from blackbox_am import maximise
from blackbox_am.core.types import StudyState
from blackbox_am.errors import StudyExists
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.stores import SQLStore
from blackbox_am.studies.events import Resumed, decode
from tests import forked

REQUEST = """
import sys
from blackbox_am import maximise
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated

request = dict(oracle=Simulated(latency_seconds=0.05), generator=Pixels((3, 8, 8)),
               targets=["units:0", "units:3"], optimizer="cma", queries_per_target=600,
               device="cpu", study_id="mine")
"""
FIRST = """
def told(progress):
    if progress.generation == 3:
        print("running", flush=True)

result = maximise(**request, store=sys.argv[1], on_generation=told)
print(result.progress.state.value, flush=True)
"""


def request(**changes):
    return {
        "oracle": Simulated(latency_seconds=0.05),
        "generator": Pixels((3, 8, 8)),
        "targets": ["units:0", "units:3"],
        "optimizer": "cma",
        "queries_per_target": 600,
        "device": "cpu",
        "study_id": "mine",
        **changes,
    }


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "s.sqlite3")


@pytest.fixture
def first(path):
    """A process that is in the middle of the study."""
    process = forked.Popen(
        [sys.executable, "-c", REQUEST + FIRST, path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "running\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def alone():
    return maximise(**request(oracle=Simulated()))


def test_the_second_process_follows_the_first_to_the_same_result(first, path, alone):
    said, seen = [], []
    result = maximise(**request(), store=path, on_message=said.append, on_generation=seen.append)
    assert first.stdout.readline() == "succeeded\n"
    assert len(said) == 1
    assert f"is run by process {first.pid} on" in said[0]
    assert len(seen) > 3, "it shows the progress of the other process"
    assert result.progress.state is StudyState.SUCCEEDED
    assert result.progress.search_rows == 1200
    assert [b.score for b in result.best] == [b.score for b in alone.best]
    assert len(result.history) == len(alone.history)


def test_the_second_process_goes_on_where_the_first_is_killed(first, path, alone):
    def kill(progress):
        first.kill()

    result = maximise(**request(), store=path, on_message=lambda text: None, on_generation=kill)
    assert result.progress.state is StudyState.SUCCEEDED
    assert [b.score for b in result.best] == [b.score for b in alone.best]
    store = SQLStore(path)
    resumed = [e for r in store.read("mine") if isinstance(e := decode(r.body), Resumed)]
    store.close()
    assert [event.exact for event in resumed] == [True]


@pytest.mark.slow
def test_another_request_under_the_same_id_is_refused_at_once(first, path):
    with pytest.raises(StudyExists, match="targets"):
        maximise(**request(targets=["units:1"]), store=path, on_message=lambda text: None)
    assert first.poll() is None, "the other process was not waited for"
