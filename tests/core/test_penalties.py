"""Penalties: read from text, subtracted from objectives, and left out of titles."""

import numpy as np
import pytest

from blackbox_am.core.expressions import objective
from blackbox_am.core.penalties import penalised, read_penalties, without_penalties
from blackbox_am.errors import InvalidInput
from blackbox_am.objectives.mean import Mean
from blackbox_am.plugins import build_objective

BOTH = {"stimulus.tv": 0.05, "latent.norm": -2.0}


def test_a_penalised_target_is_the_sum_written_with_the_algebra() -> None:
    found = build_objective(penalised(objective("head:3"), BOTH))
    assert [str(one) for one in found.reads()] == ["head:3", "stimulus.tv", "latent.norm"]
    assert float(found.score(np.array([10.0, 2.0, 3.0]))) == pytest.approx(10 - 0.1 + 6)
    one = penalised(objective("head:3"), {"stimulus.tv": 0.05})
    written = Mean(("head:3",)) - 0.05 * Mean(("stimulus.tv",))
    assert str(build_objective(one)) == str(written) == "head:3 - 0.05*stimulus.tv"
    assert penalised(objective("head:3"), {}) == objective("head:3")


def test_texts() -> None:
    assert read_penalties(["stimulus.tv=0.05", "latent.norm=-2"]) == BOTH
    assert read_penalties([]) == {}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["stimulus.tv"], "expected MEASURE=WEIGHT"),
        (["Stimulus.TV=1"], r"did you mean 'stimulus\.tv'"),
        (["head:3=1"], "expected a measure of the stimulus, such as stimulus.tv"),
        (["stimulus.tv=much"], "a number as its weight, got 'much'"),
        (["stimulus.tv=NaN"], "finite weight"),
        (["stimulus.tv=true"], "got True"),
        (["stimulus.tv=1", "stimulus.tv=2"], "given twice"),
    ],
)
def test_what_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_penalties(texts)


@pytest.mark.parametrize("title", ["head:3", '"a - b":1', "mean(a:1, a:2)", "a:1 - 0.5*b:2"])
@pytest.mark.parametrize("penalties", [BOTH, {"stimulus.tv": 1}, {"stimulus.l1_grey": 1e-7}, {}])
def test_titles_lose_their_penalties_and_nothing_else(
    title: str, penalties: dict[str, float]
) -> None:
    if title.startswith("a:1"):
        target = (Mean(("a:1",)) - 0.5 * Mean(("b:2",))).spec()
    elif title.startswith("mean"):
        target = Mean(("a:1", "a:2")).spec()
    else:
        target = objective(title)
    whole = str(build_objective(penalised(target, penalties)))
    assert without_penalties(whole)[0] == title
    assert bool(without_penalties(whole)[1]) == bool(penalties)
