"""The kinds of model that `bench attacks` attacks."""

import pytest

from blackbox_am.bench.attack_kinds import kinds, lines_of


@pytest.mark.slow
def test_a_forest_that_tells_labels_is_attacked_with_labels_alone():
    pytest.importorskip("sklearn")
    (forest,) = kinds(("forest",), 6)
    assert forest.inputs.shape == (6, 30)
    success, queries, rows = lines_of(forest, budget=8)
    assert "rays" in success.name
    assert 0 <= success.value <= 1
    assert 1 <= queries.value <= 8
    assert rows.value >= 6
