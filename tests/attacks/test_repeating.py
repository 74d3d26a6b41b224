"""Repeated measurements of clean inputs, which show a model that does not repeat its answers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from blackbox_am.attacks.asked import Asked
from blackbox_am.attacks.local import attack, attack_as
from blackbox_am.attacks.repeating import unequal
from blackbox_am.attacks.report import write_report
from blackbox_am.attacks.results import AttackResult
from blackbox_am.catalogue import Catalogue
from blackbox_am.errors import InvalidInput
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.delivery.quota import Quota

from .conftest import CLASSES, SHAPE, Counting


@dataclass(frozen=True)
class Randomised(Counting):
    """Adds noise to dark pictures only, so that a few probes do not show it."""

    kind: ClassVar[str] = "randomised"

    def observe(self, stimuli, units):
        found = super().observe(stimuli, units)
        dark = stimuli.flatten(1).mean(1) < 0.3
        return found + dark[:, None] * torch.randn(found.shape) * 3


def test_a_random_model_is_flagged_in_the_report(images, tmp_path: Path):
    images[:6] //= 3
    torch.manual_seed(0)
    oracle = Randomised()
    result = attack(oracle=oracle, images=images, budget=20)
    assert result.repeated is not None
    assert result.repeated.shape == (5, 12, CLASSES)
    write_report([result], tmp_path)
    (summary,) = json.loads((tmp_path / "summary.json").read_text())["results"]
    (flag,) = [flag for flag in summary["flags"] if flag["kind"] == "random"]
    assert flag["severe"]
    assert "5 measurements of the clean inputs differ on 6 of 12 inputs" in flag["text"]
    assert flag["text"].split(".")[0] in (tmp_path / "index.html").read_text()
    assert summary["identity"]["repeatability"].endswith("differ on 6")
    assert result.spent.rows == sum(oracle.served)


def test_the_rows_of_the_test_are_apart_and_a_steady_model_has_no_flag(images, tmp_path: Path):
    oracle = Counting()
    once = attack(oracle=Counting(), images=images, budget=20, repeats=1)
    result = attack(oracle=oracle, images=images, budget=20)
    assert once.repeated is None
    assert result.spent.rows == sum(oracle.served)
    assert result.spent.clean_rows == once.spent.clean_rows == 12
    # The study of the test tests the model itself, too.
    assert result.spent.probe_rows - once.spent.probe_rows == 4 * 12 + 4
    write_report([result], tmp_path)
    (summary,) = json.loads((tmp_path / "summary.json").read_text())["results"]
    assert "random" not in [flag["kind"] for flag in summary["flags"]]


def test_answers_of_a_cache_are_no_test(images, tmp_path: Path):
    result = attack(oracle=Cache(Counting(), path=tmp_path / "c.sqlite3"), images=images, budget=20)
    text = "not tested: a cache gave 48 of the repeated answers, and asked no model"
    assert result.identity["repeatability"] == text


def test_a_batch_of_many_inputs_and_the_known_ones_are_repeated():
    images = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), np.uint8)
    result = attack(oracle=Counting(), images=images, budget=3, repeats=3)
    assert result.repeated is not None
    assert result.repeated.shape == (3, 16, CLASSES)


def test_of_several_attacks_the_first_that_tests_the_model_has_the_rows(images, tmp_path: Path):
    oracle = Counting()
    shared: dict[str, Any] = {
        "images": images,
        "surrogate": None,
        "layer": None,
        "store": tmp_path / "s.sqlite3",
        "adopt": False,
        "catalogue": Catalogue.default(),
        "device": "cpu",
        "on_progress": lambda *_: None,
        "on_message": lambda _: None,
        "clean_id": "all",
    }
    results: list[AttackResult] = []
    for eps, model in ((2, Quota(oracle, rows=60)), (8, oracle), (16, oracle)):
        asked = Asked(eps=eps / 255, budget=40)
        found = attack_as(asked, oracle=model, study_id=f"eps-{eps}", before=results, **shared)
        results.append(found)
    assert [found.complete for found in results] == [False, True, True]
    assert [found.repeated is not None for found in results] == [False, True, True]
    assert [found.spent.clean_rows for found in results] == [12, 0, 0]
    assert sum(found.spent.rows for found in results) == sum(oracle.served)


@pytest.mark.parametrize("repeats", [0, -1, 101])
def test_a_number_of_repeats_out_of_range_is_refused(images, repeats):
    with pytest.raises(InvalidInput, match=r"1 \(no test\) to 100"):
        attack(oracle=Counting(), images=images, repeats=repeats)


def test_rounding_is_no_difference():
    answers = np.ones((5, 3, 4))
    answers[1, 0] *= 1 + 1e-7
    answers[2, 1] *= 1.01
    answers[3, 2] = np.nan
    assert (unequal(answers) > 0).tolist() == [False, True, False]
