"""What an attack reports, purpose by purpose, is what the model's own process has logged."""

import subprocess
import sys
from pathlib import Path

import pytest

from blackbox_am.attacks.local import attack
from blackbox_am.attacks.report.statistics import statistics
from blackbox_am.attacks.results import AttackResult
from blackbox_am.oracles.grpc.remote import Remote
from tests import forked

SERVER = """
import sys, time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
import torch
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.oracle import Oracle
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.service import Config, running

log = Path(sys.argv[1])
torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4)).eval()
inner = TorchModule(module, stimulus_shape=(3, 8, 8))

@dataclass(frozen=True)
class Logging(Oracle):
    kind: ClassVar[str] = "logging"
    billable: ClassVar[bool] = True

    def describe(self):
        return inner.describe()

    def observe(self, stimuli, units):
        with log.open("a") as sink:
            print(len(stimuli), file=sink)
        return inner.observe(stimuli, units)

catalogue = Catalogue()
catalogue.add_oracle("logging", Logging())
config = Config(address="127.0.0.1:0", store=":memory:", device="cpu", catalogue=catalogue)
with running(config) as address:
    print(address, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of a process that serves a classifier, and the rows that it has logged."""
    log: Path = tmp_path_factory.mktemp("served") / "log"
    log.touch()
    command = [sys.executable, "-c", SERVER, str(log)]
    with forked.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), lambda: list(map(int, log.read_text().split()))
        process.kill()


def check(result: AttackResult, rows: int) -> None:
    spent = result.spent
    assert spent.rows == rows
    assert spent.searched_rows + spent.rows_apart + spent.retried_rows == rows
    assert spent.searched_rows == sum(one.queries for one in result.inputs)
    assert spent.clean_rows == len(result.inputs)
    assert spent.verify_rows == sum(one.adversarial_label is not None for one in result.inputs)
    assert statistics(result).padding_rows == 0


@pytest.mark.parametrize(
    ("method", "checks"),
    [
        ("signhunter", False),
        ("nes", True),
        ("hopskipjump", True),
        pytest.param("rays", True, marks=pytest.mark.slow),
        pytest.param("bandits", True, marks=pytest.mark.slow),
        pytest.param("square", False, marks=pytest.mark.slow),
        pytest.param("simba", False, marks=pytest.mark.slow),
        pytest.param("parsimonious", False, marks=pytest.mark.slow),
    ],
)
def test_the_rows_of_all_purposes_are_those_that_the_model_served(served, images, method, checks):
    address, logged = served
    before = sum(logged())
    oracle = Remote(address, "logging")
    result = attack(oracle=oracle, images=images, method=method, eps=3 / 255, budget=50)
    check(result, sum(logged()) - before)
    spent = result.spent
    assert bool(spent.check_rows) is checks
    assert spent.loss_rows
    if method in ("nes", "bandits"):
        assert not spent.initialisation_rows
    else:  # an attack that knows only labels may need several
        assert spent.initialisation_rows >= len(result.inputs)
    if not checks:
        assert spent.initialisation_rows == len(result.inputs)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "patch", "norm": "l0", "eps": 4},
        pytest.param({"method": "sparse_rs", "norm": "l0", "eps": 4}, marks=pytest.mark.slow),
        pytest.param(
            {"method": "sep_cma", "eps": 3 / 255, "tiles": [1, 8]}, marks=pytest.mark.slow
        ),
    ],
)
def test_rows_of_patches_and_of_tiles_are_those_that_the_model_served(served, images, changes):
    address, logged = served
    before = sum(logged())
    result = attack(oracle=Remote(address, "logging"), images=images, budget=40, **changes)
    spent, rows = result.spent, sum(logged()) - before
    assert spent.rows == rows == spent.searched_rows + spent.rows_apart
    assert spent.searched_rows == sum(one.queries for one in result.inputs)


def test_a_start_is_initialisation(images, model):
    result = attack(oracle=model, images=images, surrogate=model, method="nes", budget=40)
    assert result.spent.initialisation_rows == len(images)
