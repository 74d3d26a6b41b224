"""Attacks on a model of a real server, with a kill -9 among the rows."""

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.attacks import local
from blackbox_am.attacks.asked import Asked
from blackbox_am.attacks.results import Outcome
from blackbox_am.catalogue import Catalogue
from blackbox_am.client import connect
from blackbox_am.client.attacks import attack
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import InvalidInput, NotFound, ShapeMismatch, StudyExists, Unsupported
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.oracles.wrappers.delivery.quota import Quota
from blackbox_am.service import Config, running
from tests import forked

SHAPE = (3, 8, 8)
IMAGES = np.random.default_rng(1).integers(0, 256, (8, *SHAPE), np.uint8)
ASKED = Asked(budget=60, eps=6 / 255, seed=3)


def classifier() -> TorchModule:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(SHAPE)), 4)).eval()
    return TorchModule(module, stimulus_shape=SHAPE)


@dataclass(frozen=True)
class Labels(Wrapper):
    """Tells only the predicted class."""

    kind: ClassVar[str] = "labels"

    def observe(self, stimuli, units):
        every = [Unit(units[0].layer, index) for index in range(4)]
        best = self.ask(stimuli, every).argmax(1)
        told = nn.functional.one_hot(best, 4).float()
        return told[:, [unit.index for unit in units]]


@dataclass(frozen=True)
class Blind(Wrapper):
    """Has no finite answer to bright inputs."""

    kind: ClassVar[str] = "blind"

    def observe(self, stimuli, units):
        found = self.ask(stimuli, units)
        found[stimuli.flatten(1).mean(1) > 0.6] = torch.nan
        return found


def catalogue() -> Catalogue:
    found = Catalogue.from_plain(
        {"generators": {"perturbation": {"kind": "perturbation", "inputs": "zoo:probe_images"}}}
    )
    found.add_oracle("linear", classifier())
    found.add_oracle("labels", Labels(classifier()))
    found.add_oracle("blind", Blind(classifier()))
    found.add_oracle("paid", Quota(classifier(), rows=40))
    return found


def config(store=":memory:") -> Config:
    return Config(address="localhost:0", store=str(store), device="cpu", catalogue=catalogue())


@pytest.fixture(scope="module")
def client():
    own = config()
    with running(own) as address, connect(address) as found:
        yield found
    own.catalogue.oracle("paid").close()


def here(asked=ASKED, images=IMAGES):
    return local.attack_as(
        asked,
        oracle="linear",
        images=images,
        surrogate=None,
        layer=None,
        store=":memory:",
        study_id="attack",
        adopt=False,
        catalogue=catalogue(),
        device="cpu",
        on_progress=lambda stage, progress: None,
        on_message=print,
    )


def test_a_server_finds_what_this_process_finds(client):
    stages = []
    result = attack(
        client,
        oracle="linear",
        images=IMAGES,
        asked=ASKED,
        study_id="first",
        on_progress=lambda stage, progress: stages.append((stage, progress.state.value)),
    )
    expected = here()
    assert result.inputs == expected.inputs
    assert np.array_equal(result.adversarial, expected.adversarial)
    assert replace(result.spent, calls=0) == replace(expected.spent, calls=0)
    assert {**expected.identity, **result.identity} == expected.identity
    assert result.complete
    assert result.of(Outcome.SUCCESS)
    assert {stage.partition("-")[0] for stage, _ in stages} == {
        "clean",
        "search",
        "verify",
        "repeat",
    }


def test_a_repeated_call_finds_the_studies_and_another_attack_is_refused(client):
    wanted = {"oracle": "linear", "images": IMAGES, "study_id": "again"}
    first = attack(client, **wanted, asked=ASKED)
    again = attack(client, **wanted, asked=ASKED)
    assert (again.inputs, again.spent) == (first.inputs, first.spent)
    other = replace(ASKED, eps=0.5)
    with pytest.raises(StudyExists, match="radius"):
        attack(client, **wanted, asked=other)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"oracle": "linaer"}, NotFound, "linear"),
        ({"images": IMAGES[:, :, :4]}, ShapeMismatch, "3, 8, 8"),
        ({"images": np.full((2, *SHAPE), 1.5)}, InvalidInput, "divide by 255"),
        ({"layer": "nowhere"}, InvalidInput, "no layer"),
        (
            {"asked": replace(ASKED, targets=[0] * 8, labels=[0] * 8)},
            InvalidInput,
            "is its true class",
        ),
        ({"asked": replace(ASKED, norm="latent", eps=4.0)}, Unsupported, "leave --server out"),
        ({"asked": replace(ASKED, tiles=(4,))}, InvalidInput, "signhunter does not search tiles"),
        (
            {"oracle": "labels", "asked": replace(ASKED, method="square"), "study_id": "labels"},
            Unsupported,
            "rays or hopskipjump",
        ),
        ({"asked": replace(ASKED, method="sqare")}, InvalidInput, "square"),
        ({"asked": replace(ASKED, parameters={"shares": 1})}, InvalidInput, "share"),
        ({"asked": replace(ASKED, labels=[1, 2])}, InvalidInput, "expected 8"),
        ({"asked": replace(ASKED, labels="missing.csv")}, NotFound, "missing.csv"),
        ({"asked": replace(ASKED, norm="l0", eps=3.0, method="square")}, InvalidInput, "l0"),
    ],
)
def test_bad_input_is_refused(client, changes, error, says):
    wanted = {"oracle": "linear", "images": IMAGES, "asked": ASKED, "study_id": "bad"}
    with pytest.raises((error, Unsupported), match=says):
        attack(client, **{**wanted, **changes})


@pytest.mark.parametrize("eps", [0.0, -0.1, 8.0])
def test_a_radius_out_of_range_is_refused(client, eps):
    with pytest.raises(InvalidInput, match="eps: expected"):
        attack(client, oracle="linear", images=IMAGES, asked=replace(ASKED, eps=eps))


def test_inputs_without_a_finite_answer_are_errors_and_the_rest_goes_on(client):
    images = IMAGES.copy()
    images[4] = 250
    asked = replace(ASKED, budget=10)
    result = attack(client, oracle="blind", images=images, asked=asked, study_id="blind")
    assert [one.index for one in result.of(Outcome.ERROR)] == [4]
    assert "no finite answer" in result.inputs[4].message
    assert len(result.attacked) == 7


def test_a_quota_that_ends_pauses_the_attack_and_says_so(client):
    asked = replace(ASKED, budget=20, eps=1 / 255)
    wanted = {"oracle": "paid", "images": IMAGES, "asked": asked, "study_id": "paid"}
    for _ in range(2):  # the second call resumes, and finds the quota used up at once
        part = attack(client, **wanted)
        assert not part.complete
        assert part.of(Outcome.UNFINISHED)
        assert any("the quota is used up" in text for text in part.warnings)
        assert part.spent.rows <= 40


SERVER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from tests.client.test_attacks import config
from blackbox_am.service import running
with running(config(sys.argv[1])) as address:
    print(address, flush=True)
    time.sleep(600)
"""


class Killed(Exception):
    """The test has killed the server."""


@contextmanager
def server(store, root):
    """A server in a process of its own: its process and its address."""
    command = [sys.executable, "-c", SERVER, str(store), str(root)]
    with forked.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.slow
def test_an_attack_survives_a_kill_of_its_server(tmp_path, request):
    wanted = {"oracle": "linear", "images": IMAGES, "asked": replace(ASKED, budget=300, eps=0.008)}
    place = tmp_path / "s.sqlite3", request.config.rootpath
    with server(*place) as (process, address), connect(address) as client:

        def kill(stage, progress):
            if stage == "search" and progress.search_rows > 100:
                process.kill()
                raise Killed

        with pytest.raises(Killed):
            attack(client, **wanted, on_progress=kill)
    with server(*place) as (_, address), connect(address) as client:
        result = attack(client, **wanted)
    expected = here(wanted["asked"])
    assert result.complete
    assert result.inputs == expected.inputs
    assert np.array_equal(result.adversarial, expected.adversarial)
