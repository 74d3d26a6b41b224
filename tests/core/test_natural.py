"""The place of a score among the scores of natural images."""

import numpy as np
import pytest

from blackbox_am.core.natural import has_ratios, in_words, relative, standing, standings

NATURAL = np.array([1.0, 4.0, np.nan, 2.0, 3.0])


def test_the_place_of_a_score():
    found = standing(NATURAL, 6.0)
    assert (found.images, found.best_image, found.maximum, found.mean) == (4, 1, 4.0, 2.5)
    assert found.standard_deviation == pytest.approx(np.std([1, 4, 2, 3], ddof=1))
    assert (found.rank, found.ratio) == (1.0, 1.5)
    assert found.standardised == pytest.approx(3.5 / found.standard_deviation)
    assert standing(NATURAL, 3.0).rank == 0.5, "equal is not above"


@pytest.mark.parametrize("shift", [4.0, 9.0])
def test_no_ratio_where_the_natural_maximum_is_not_above_zero(shift):
    found = standing(NATURAL - shift, 6.0 - shift)
    assert found.ratio is None
    assert found.rank == 1.0
    assert found.standardised == pytest.approx(standing(NATURAL, 6.0).standardised)
    assert "sd" in in_words(found)
    assert "natural max" not in in_words(found)


def test_before_the_first_score_there_is_only_the_maximum():
    found = standing(NATURAL, None)
    assert (found.rank, found.standardised, found.ratio) == (None, None, None)
    assert found.maximum == 4.0
    assert in_words(found) == ""


def test_equal_images_have_no_standardised_value():
    assert standing(np.full(3, -1.0), 2.0).standardised is None
    assert standing(np.array([5.0]), 10.0).standard_deviation == 0.0


def test_a_target_without_a_natural_score_has_no_place():
    two = standings(np.stack([NATURAL, np.full(5, np.nan)]), [6.0, 6.0])
    assert two[0] == standing(NATURAL, 6.0)
    assert two[1] is None


def test_one_scale_for_all_targets():
    natural = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    assert has_ratios(natural)
    assert relative([[6.0, 6.0]], natural).tolist() == [[2.0, 1.0]]
    natural[1] -= 6.0  # its maximum is 0
    assert not has_ratios(natural)
    assert relative([6.0, 0.0], natural).tolist() == [4.0, 1.0], "standardised, both"
