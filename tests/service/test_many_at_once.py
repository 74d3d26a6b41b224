"""Many clients, two servers and a killed one at the same study: each row counts once."""

import signal
import threading
import time
from dataclasses import replace

import pytest

from blackbox_am.client import connect
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.core.types import StudyState
from blackbox_am.errors import (
    NotFound,
    StudyClosed,
)
from blackbox_am.service import running
from blackbox_am.testing.server import ServerProcess
from tests.service.test_bad_files import TOYS


def test_every_row_counts_once_among_many_clients(config, tmp_path):
    stored = replace(config, store=str(tmp_path / "s.sqlite3"))
    told, problems = [], []
    with running(stored) as address, connect(address) as client:
        study = client.create(
            targets=["u:0", "u:1"],
            space=SpaceSpec("normal", 3),
            parameters={"population": 16},
            queries_per_target=160,
        )

        def work():
            try:
                while (candidates := study.ask(3)).state.active:
                    if len(candidates):
                        scores = -(candidates.latents**2).sum(1)
                        told.append(study.tell(candidates, scores).accepted)
                        told.append(study.tell(candidates, scores).accepted)
                    else:
                        time.sleep(0.005)
            except StudyClosed:
                pass
            except Exception as error:
                problems.append(error)

        threads = [threading.Thread(target=work) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        end = study.wait(5)
        assert problems == []
        assert (end.state, end.search_rows, sum(told)) == (StudyState.SUCCEEDED, 320, 320)


def test_steered_from_all_sides_a_study_keeps_its_accounts(client):
    study = client.create(
        targets=["units:0"], generator="pixels", oracle="slow", queries_per_target=800
    )
    problems, stop = [], threading.Event()

    def steer(*actions):
        while not stop.is_set():
            for action in actions:
                try:
                    action()
                except StudyClosed:
                    return
                except Exception as error:
                    problems.append(error)
                    return

    def measure():
        candidates = study.ask(2)
        study.tell(candidates, candidates.latents[:, 0])

    threads = [
        threading.Thread(target=steer, args=actions)
        for actions in (
            (study.pause, study.resume),
            (lambda: study.extend(queries_per_target=801),),
            (measure,),
            (measure,),
            (study.progress, study.best),
        )
    ]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert problems == []
    study.resume() if study.progress().state.active else None
    end = study.wait(30)
    assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 801)
    assert [e.sequence for e in study.watch()] == list(range(1, end.sequence + 1))
    study.delete()
    with pytest.raises(NotFound):
        study.progress()


def test_told_while_it_is_deleted(client):
    for _ in range(5):
        study = client.create(targets=["u:0"], space=SpaceSpec("normal", 2))
        candidates, problems = study.ask(), []

        def tell(study=study, candidates=candidates, problems=problems):
            for _ in range(20):
                try:
                    study.tell(candidates.ids[:1], [1.0])
                except Exception as error:
                    problems.append(error)  # noqa: B023

        thread = threading.Thread(target=tell)
        thread.start()
        study.delete()
        thread.join(20)
        assert {type(error) for error in problems} <= {NotFound}


def test_two_servers_at_one_study_do_not_keep_each_other_from_it(config, tmp_path):
    config.catalogue.add_oracle("slower", _slower())
    stored = replace(config, store=str(tmp_path / "s.sqlite3"), retry_delays=(0.05, 0.1))
    with running(stored) as one, connect(one) as first:
        study = first.create(
            targets=["units:0"], generator="pixels", oracle="slower", queries_per_target=200
        )
        next(iter(study.watch(after_sequence=3)))
        with running(stored):
            end = study.wait(30)
            assert (end.state, end.search_rows) == (StudyState.SUCCEEDED, 200)
            events = list(study.watch())
            assert [e.sequence for e in events] == list(range(1, end.sequence + 1))
            assert sum(type(e).__name__ == "Resumed" for e in events) <= 2


def _slower():
    from blackbox_am.oracles.simulated import Simulated

    return Simulated(latency_seconds=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["cma", "adam"])
def test_killed_where_targets_end_at_different_times(tmp_path, optimizer):
    toml = tmp_path / "server.toml"
    toml.write_text(TOYS.replace('"simulated"\n', '"simulated"\ngradients = true\n'))
    scores = []
    for kills in (2, 0):
        folder = tmp_path / str(kills)
        folder.mkdir()
        for left in range(kills, -1, -1):
            with ServerProcess(folder, toml) as server, connect(server.address) as client:
                study = client.create(
                    targets=["units:0", "units:1", "units:2"],
                    generator="pixels",
                    oracle="sim",
                    optimizer=optimizer,
                    seed=0,
                    parameters={"population": 8} if optimizer == "cma" else {"population": 2},
                    queries_per_target=1600 if optimizer == "cma" else 300,
                    patience=3,
                    study_id="mine",
                )
                if left:
                    after = study.progress().sequence + 25
                    next((e for e in study.watch(after)), None)
                    server.process.send_signal(signal.SIGKILL)
                    server.process.wait()
                else:
                    assert study.wait(60).state is StudyState.SUCCEEDED
                    scores.append([(g.targets, g.scores.tobytes()) for g in study.generations()])
    assert scores[0] == scores[1]
