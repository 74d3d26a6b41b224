"""Attacks with tiles from coarse to fine."""

import numpy as np
import pytest

from blackbox_am.attacks.local import attack
from blackbox_am.attacks.planning import Inputs
from blackbox_am.attacks.problem import Problem
from blackbox_am.attacks.results import Outcome
from blackbox_am.attacks.stages import refined, stages_of
from blackbox_am.errors import InvalidInput
from blackbox_am.generators.inputs.perturbation import Perturbation

from .conftest import SHAPE, Counting


def test_a_budget_is_divided_and_each_part_begins_where_the_one_before_ended():
    problem = Problem(attack="sep_cma", budget=100, tiles=(2, 4, 8))
    parts = stages_of(problem, Inputs(SHAPE, 3, "toy"))
    assert [part.problem.tiles for part in parts] == [(2,), (4,), (8,)]
    assert [part.problem.budget for part in parts] == [33, 33, 34]
    assert [part.coarser for part in parts] == [0, 2, 4]


def test_a_refined_latent_is_the_same_stimulus():
    image = np.full((1, *SHAPE), 128, np.uint8)
    latent = np.random.default_rng(0).normal(size=3 * 8 + 3 * 4).astype(np.float32)
    finer = refined(latent, SHAPE, 2, 8)
    shown = [
        Perturbation(inputs=image, basis="stripes", size=size, bits=8).render(one)
        for size, one in ((2, _row(latent)), (8, _row(finer)))
    ]
    assert (shown[0] == shown[1]).all()
    assert (shown[0] != 128 / 255).any()


def _row(latent: np.ndarray):
    import torch

    return torch.from_numpy(latent)[None]


def test_finer_parts_attack_what_the_coarse_ones_have_left(images):
    wanted = {"images": images[[0, 4, 11]], "method": "sep_cma", "eps": 4 / 255, "repeats": 1}
    oracle = Counting()
    result = attack(oracle=oracle, budget=80, tiles=[1, 8], **wanted)
    assert (result.attack, result.budget) == ("sep_cma", 80)
    assert result.spent.rows == sum(oracle.served)
    queries = [one.queries for one in result.inputs]
    assert result.spent.searched_rows == sum(queries)
    assert all(one.queries == 80 for one in result.of(Outcome.FAILED))
    found = result.of(Outcome.SUCCESS)
    assert [one for one in found if one.queries > 40], "no input was fooled by the finer part"
    coarse = attack(oracle=Counting(), budget=40, tiles=[1], **wanted)
    early = [one.index for one in found if one.queries <= 40]
    assert early == [one.index for one in coarse.of(Outcome.SUCCESS)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tiles": [8, 4]}, "from coarse to fine"),
        ({"tiles": [0]}, "from coarse to fine"),
        ({"tiles": [4, 16]}, "at most 8 tiles"),
        ({"tiles": [2, 4], "budget": 1}, "for each of 1 queries"),
        ({"tiles": [4], "method": "signhunter"}, "signhunter does not search tiles"),
        ({"tiles": [4], "norm": "l0", "eps": 3}, "does not search tiles in l0"),
        ({"tiles": [4], "method": "auto"}, "signhunter does not search tiles"),
        ({"tiles": [4], "images": np.zeros((2, 5), np.float32)}, "are for images"),
    ],
)
def test_tiles_that_cannot_be_searched_are_refused(images, changes, message):
    wanted = {"oracle": Counting(), "images": images, "method": "sep_cma", **changes}
    if changes.get("images") is not None:
        wanted["oracle"] = lambda rows: np.stack([rows[:, 0], 1 - rows[:, 0]], 1)
    with pytest.raises(InvalidInput, match=message):
        attack(**wanted)
