"""kill -9 among the natural images, and among the rows of the re-check."""

import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from blackbox_am.client import connect
from blackbox_am.core.types import StudyState
from blackbox_am.service import running
from blackbox_am.service.config import load_config
from tests import forked

PROBE_CALLS, PROBE_ROWS, IMAGES = 2, 4, 40

SERVER = """
import sys, time
from pathlib import Path
from blackbox_am.client import connect
from blackbox_am.service import running
from blackbox_am.service.config import load_config

with running(load_config(Path(sys.argv[1]))) as address, connect(address) as client:
    exec(sys.argv[2])
    time.sleep(600)
"""
STUDY = """
import numpy as np
images = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8), np.uint8)
client.create(study_id="mine", oracle="far", generator="pixels", seed=1, baseline=images,
              targets=["units:0", "units:3"], queries_per_target=100, recheck_fraction=0.2)
"""


def toml(oracle, folder):
    path = folder / "server.toml"
    path.write_text(
        f"""
        [server]
        address = "127.0.0.1:0"
        store = "{folder / "s.sqlite3"}"
        device = "cpu"
        shipped = false

        [oracles.far]
        kind = "remote"
        target = "{oracle.address}"

        [generators.pixels]
        kind = "pixels"
        shape = [3, 8, 8]
        """
    )
    return path


def ended(path):
    with running(load_config(path)) as address, connect(address) as client:
        study = client.study("mine")
        end = study.wait(60)
        return end, study.best(), [type(event).__name__ for event in study.watch()]


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["baseline", "recheck"])
def test_the_study_ends_as_if_nothing_had_happened(far, tmp_path, phase):
    whole = tmp_path / "whole"
    whole.mkdir()
    calm = far()
    path = toml(calm, whole)
    with running(load_config(path)) as address, connect(address) as client:
        exec(STUDY, {"client": client})  # the text above
    expected, best, _ = ended(path)
    assert expected.state is StudyState.SUCCEEDED, expected.message
    assert expected.spent.baseline_rows == IMAGES
    assert expected.spent.recheck_rows == 2 * 20
    held = PROBE_CALLS + 2 if phase == "baseline" else len(calm.calls) - 1

    oracle = far(held, "hold")
    path = toml(oracle, tmp_path)
    with forked.Popen([sys.executable, "-c", SERVER, str(path), STUDY]) as server:
        deadline = time.monotonic() + 60
        while len(oracle.calls) < held and time.monotonic() < deadline:
            time.sleep(0.01)
        server.kill()
    assert len(oracle.calls) == held
    oracle.let_go()
    end, found, events = ended(path)
    assert end.state is StudyState.SUCCEEDED, end.message
    spent = end.spent
    assert (spent.calls, spent.rows) == (len(oracle.calls), sum(oracle.calls))
    assert spent.retried_rows > 0
    assert spent.rows - spent.retried_rows == end.search_rows + spent.rows_apart
    assert spent.rows_apart == PROBE_ROWS + IMAGES + 40
    assert end.targets == expected.targets
    assert events.count("BaselineMeasured") == events.count("BestRechecked") == 1
    assert replace(spent, calls=0, rows=0, retries=0, retried_rows=0) == replace(
        expected.spent, calls=0, rows=0
    )
    for one, other in zip(found, best, strict=True):
        assert np.array_equal(one.latent, other.latent)
        assert (one.score, one.candidate, one.natural, one.recheck) == (
            other.score,
            other.candidate,
            other.natural,
            other.recheck,
        )


def test_clients_measure_the_re_check_like_any_generation(client):
    study = client.create(
        targets=["neuron:0", "neuron:1"],
        generator="pixels",
        queries_per_target=60,
        recheck_fraction=0.2,
        seed=3,
    )
    rng, rows = np.random.default_rng(0), 0
    while (asked := study.ask(50)).ids:
        values = (1 + 0.5 * rng.standard_normal(len(asked.ids))).astype(np.float32)
        study.tell(asked.ids, values[:, None])
        rows += len(asked.ids)
    end = study.progress()
    assert end.state is StudyState.SUCCEEDED
    assert rows == 2 * 60
    for target in end.targets:
        assert (target.queries, target.recheck_rows) == (48, 12)
        assert target.recheck.centre.rows == target.recheck.row.rows == 6
        assert abs(target.best_score - 1) < 4 * target.recheck.best.standard_error
    (checked,) = [e for e in study.watch() if type(e).__name__ == "BestRechecked"]
    assert checked.total_rows == 24
    assert checked.best_scores == tuple(target.best_score for target in end.targets)
