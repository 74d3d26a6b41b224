"""Inputs are recognised by their content."""

from __future__ import annotations

import numpy as np

from blackbox_am.attacks.report.digests import input_digests, matches, paired

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 4), np.uint8)


def test_bytes_and_floats_of_one_picture_are_one_input() -> None:
    floats = IMAGES.astype(np.float32) / np.float32(255)
    assert input_digests(IMAGES) == input_digests(floats)
    assert len(set(input_digests(IMAGES))) == 5


def test_one_value_or_another_shape_makes_another_input() -> None:
    other = IMAGES.copy()
    other[0, 0, 0, 0] ^= 1
    assert input_digests(other)[0] != input_digests(IMAGES)[0]
    assert input_digests(IMAGES.reshape(5, 48))[0] != input_digests(IMAGES)[0]


def test_inputs_are_found_in_another_order() -> None:
    order = np.asarray([3, 1, 4])
    assert paired(IMAGES, IMAGES[order]) == [(1, 1), (3, 0), (4, 2)]


def test_equal_inputs_are_matched_one_by_one() -> None:
    assert matches(["a", "a", "b"], ["a", "b", "a", "a"]) == [(0, 0), (1, 2), (2, 1)]
