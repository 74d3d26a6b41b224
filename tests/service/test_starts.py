"""Where a search begins and what searches it, settled when it is created."""

import numpy as np
import pytest

from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec, NotFound, ShapeMismatch

D = 6


def create(client, study_id, **changes):
    wanted = {
        "targets": ["u:0", "u:1"],
        "space": SpaceSpec("normal", D),
        "optimizer": "snes",
        "parameters": {"population": 8, "sigma": 0.01},
        "queries_per_target": 16,
        "study_id": study_id,
    }
    return client.create(**{**wanted, **changes})


def run(study):
    while (candidates := study.ask()).state.active:
        study.tell(candidates, -np.square(candidates.latents - 1).sum(1))
    return study


def first_latents(study):
    candidates = study.ask()
    assert len(candidates) == 16
    return {target: candidates.latents[np.equal(candidates.targets, target)] for target in (0, 1)}


def test_a_search_begins_at_given_latents(client):
    start = np.stack([np.full(D, 3.0), np.full(D, -3.0)]).astype(np.float32)
    found = first_latents(create(client, "given", start=start))
    np.testing.assert_allclose(found[0], 3.0, atol=0.1)
    np.testing.assert_allclose(found[1], -3.0, atol=0.1)


def test_one_latent_serves_all_targets(client):
    found = first_latents(create(client, "one", start=np.full(D, 2.0, np.float32)))
    for target in (0, 1):
        np.testing.assert_allclose(found[target], 2.0, atol=0.1)


def test_a_search_begins_where_another_ended(client):
    run(create(client, "source", parameters={"population": 8, "sigma": 1.0}))
    best = {entry.target: entry.latent for entry in client.study("source").best()}
    found = first_latents(create(client, "follower", start="source"))
    for target, latents in found.items():
        np.testing.assert_allclose(latents, np.broadcast_to(best[target], latents.shape), atol=0.1)


@pytest.mark.parametrize(
    ("start", "error", "words"),
    [
        ("nobody", NotFound, "nobody"),
        ("empty", InvalidSpec, "nothing was measured yet"),
        (np.zeros((2, D + 1), np.float32), ShapeMismatch, rf"\(2, {D}\) or \(1, {D}\)"),
        (np.zeros((3, D), np.float32), ShapeMismatch, r"got \(3, 6\)"),
        (np.full((2, D), np.nan, np.float32), InvalidSpec, "finite"),
        (np.zeros((1, 1, D), np.float32), InvalidSpec, "shape"),
    ],
    ids=["unknown", "empty", "dimension", "number", "nan", "axes"],
)
def test_a_start_that_cannot_be_is_refused(client, start, error, words):
    create(client, "empty")
    with pytest.raises(error, match=words):
        create(client, "refused", start=start)
    with pytest.raises(NotFound):
        client.study("refused").progress()


@pytest.mark.parametrize("optimizer", ["snes", "sphere_cma", "pso", "random", "auto"])
def test_the_start_is_measured_first_and_never_lost(client, optimizer):
    start = np.stack([np.full(D, 1.5), np.full(D, 0.5)]).astype(np.float32)
    name = f"led-{optimizer.replace('_', '-')}"
    study = create(client, name, optimizer=optimizer, parameters={}, start=start)
    candidates = study.ask()
    for target in (0, 1):
        first = candidates.latents[np.equal(candidates.targets, target)][0]
        np.testing.assert_array_equal(first, start[target])
    study.tell(candidates, -np.square(candidates.latents - 1).sum(1))
    scores = {entry.target: entry.score for entry in run(study).best()}
    assert all(scores[target] >= -D * 0.25 for target in (0, 1))


@pytest.mark.parametrize("optimizer", ["auto", "pbil", "ga"])
def test_a_search_of_codes_begins_at_given_codes(client, optimizer):
    codes = np.array([[0, 3, 1, 2, 3, 0], [3, 3, 3, 0, 0, 0]], np.float32)
    space = SpaceSpec("categorical", D, categories=4)
    study = create(client, optimizer, optimizer=optimizer, parameters={}, start=codes, space=space)
    candidates = study.ask()
    for target in (0, 1):
        latents = candidates.latents[np.equal(candidates.targets, target)]
        np.testing.assert_array_equal(latents[0], codes[target])
        assert (latents == codes[target]).mean() > 0.6  # a random code is equal in 1 of 4


@pytest.mark.parametrize("others", [["u:2", "u:1", "u:0"], ["u:1"]], ids=["moved", "alone"])
def test_a_unit_ends_alike_wherever_it_stands(client, others):
    name = f"beside-{len(others)}"
    here = run(create(client, f"{name}-a", targets=["u:0", "u:1"], seed=3))
    there = run(create(client, f"{name}-b", targets=others, seed=3))
    latents = [
        next(entry.latent for entry in study.best() if entry.target == targets.index("u:1"))
        for study, targets in ((here, ["u:0", "u:1"]), (there, others))
    ]
    np.testing.assert_array_equal(*latents)


def test_auto_is_what_searches_where_nobody_is_named(client):
    study = client.create(
        targets=["u:0"], space=SpaceSpec("normal", D), queries_per_target=40, study_id="unnamed"
    )
    progress = run(study).progress()
    assert progress.optimizer == "snes"
    assert progress.warning == ""


def test_a_budget_below_a_generation_runs_a_smaller_one_and_says_so(client):
    study = create(client, "small", queries_per_target=5)
    assert run(study).progress().search_rows == 2 * 5
    assert "5 queries a target are less than a generation of snes, which has 8" in (
        study.progress().warning
    )


def test_auto_leaves_the_population_to_who_names_it(client):
    study = create(client, "own", optimizer="auto", parameters={"population": 6})
    assert len(study.ask()) == 12
    with pytest.raises(InvalidSpec, match="auto has no parameter 'sigma'"):
        create(client, "wrong", optimizer="auto")
