"""`bench kill`: SIGKILL at random moments; the result must be bit-identical to an uninterrupted
study.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from blackbox_am.bench.far_side import FarSide
from blackbox_am.bench.measurement import Measurement
from blackbox_am.client import Client, Study, connect
from blackbox_am.core.types import StopReason
from blackbox_am.stores import SQLStore
from blackbox_am.studies import reports
from blackbox_am.studies.events import GenerationClosed, decode
from blackbox_am.testing.server import ServerProcess

Progress = Callable[[str], None]

STUDY, CONFIG, ROWS = "killed-or-not", "server.toml", "rows"
UNITS = ["head:3", "head:7", "layer1.0.conv1:4", "layer2.0.conv1:9"]


def kill(kills: int, queries: int, seed: int, say: Progress) -> list[Measurement]:
    """One study on two servers. A random one of both servers is killed, `kills` times in all.

    The result is compared with the same study on one server that is not killed. The oracle is a
    third server, which is never killed, and writes down the rows that it serves.

    Args:
        kills: number of kills.
        queries: queries of each of the four targets.
        seed: seed of the moments and of the servers that are killed.
        say: receives progress messages.
    """
    with tempfile.TemporaryDirectory() as folder:
        calm, killed = Path(folder) / "calm", Path(folder) / "killed"
        say("the study on one server that nobody kills")
        with _oracle(calm):
            seconds = _run(calm, queries)
        say("the study on two servers")
        moments = random.Random(seed)  # noqa: S311  # moments, not secrets
        with _oracle(killed), _Pair(killed) as pair:
            _study(pair.client(), queries)
            done = 0
            for index in range(kills):
                done += pair.kill_one(moments, seconds / (kills + 1))
                say(f"kill {index + 1} of {kills}; {done} of them during the search")
            _study(pair.client(), queries).wait()
        return _verdict(calm, killed, done)


@contextmanager
def _oracle(folder: Path) -> Iterator[None]:
    """The oracle in a separate process, and the configuration of servers that use it."""
    folder.mkdir()
    with FarSide("counted", str(folder / ROWS)) as far:
        config = f'[oracles.far]\nkind = "remote"\ntarget = "{far.address}"\n'
        (folder / CONFIG).write_text(config, "utf-8")
        yield


def _run(folder: Path, queries: int) -> float:
    """Seconds of the study on one server."""
    with (
        ServerProcess(folder, folder / CONFIG) as server,
        connect(server.address) as client,
    ):
        started = time.perf_counter()
        _study(client, queries).wait()
        return time.perf_counter() - started


class _Pair:
    """Two servers on one store. A killed server is started again at once."""

    def __init__(self, folder: Path) -> None:
        store = str(folder / ServerProcess.STORE)
        self._folders = [folder / "one", folder / "two"]
        self._servers = [
            ServerProcess(mine, folder / CONFIG, store=store) for mine in self._folders
        ]
        self._clients = ExitStack()

    def __enter__(self) -> Self:
        for mine, server in zip(self._folders, self._servers, strict=True):
            mine.mkdir()
            server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._clients.close()
        for server in self._servers:
            server.stop()

    def client(self) -> Client:
        """A client of the first server."""
        return self._clients.enter_context(connect(self._servers[0].address))

    def kill_one(self, moments: random.Random, mean_seconds: float) -> int:
        """Kills one server after a random time, and starts it again.

        Returns:
            1 if the study was going on; otherwise 0.
        """
        time.sleep(moments.uniform(0.0, 2.0 * mean_seconds))
        place = moments.randrange(2)
        victim, other = self._servers[place], self._servers[1 - place]
        victim.kill()
        with connect(other.address) as client:
            active = client.study(STUDY).progress().state.active
        victim.__enter__()
        return int(active)


def _study(client: Client, queries: int) -> Study:
    return client.create(
        oracle="far",
        generator="cifar_vae",
        targets=UNITS,
        optimizer="cma",
        queries_per_target=queries,
        study_id=STUDY,
        seed=11,
    )


def _verdict(calm: Path, killed: Path, mid_search: int) -> list[Measurement]:
    stores = [SQLStore(str(folder / ServerProcess.STORE)) for folder in (calm, killed)]
    studies = [reports.load(store, STUDY) for store in stores]
    journals = [store.read(STUDY) for store in stores]
    checksums = [
        [
            (event.generation, event.checksum)
            for record in journal
            if isinstance(event := decode(record.body), GenerationClosed)
        ]
        for journal in journals
    ]
    scores = [[g.scores.tobytes() for g in reports.generations(store, STUDY)] for store in stores]
    best = [
        [
            (t.best_score, t.best_latent.tobytes())
            for t in study.targets
            if t.best_latent is not None
        ]
        for study in studies
    ]
    gaps = sum(record.sequence != place for place, record in enumerate(journals[1], start=1))
    ended = all(study.stop_reason is StopReason.BUDGET for study in studies)
    spent = studies[1].spent
    served = sum(int(line) for line in (killed / ROWS).read_text().split())
    return [
        Measurement("kills during the search", mid_search, "kills"),
        _count("latents that differ", _differ(*checksums), "generations"),
        _count("scores that differ", _differ(*scores), "generations"),
        _count("best stimuli that differ", _differ(*best), "targets"),
        _count("gaps in the journal", gaps, "events"),
        Measurement("rows that were asked for again", spent.retried_rows, "rows"),
        # A server may be killed between the note on a call and the call.
        Measurement("rows billed that were not served", max(spent.rows - served, 0), "rows"),
        _count("rows served that are not billed", max(served - spent.rows, 0), "rows"),
        _count("studies that did not end by their budget", int(not ended), "studies"),
    ]


def _differ(one: Sequence[object], other: Sequence[object]) -> int:
    return abs(len(one) - len(other)) + sum(a != b for a, b in zip(one, other, strict=False))


def _count(name: str, value: int, unit: str) -> Measurement:
    return Measurement(name, value, unit, target="0", met=value == 0)
