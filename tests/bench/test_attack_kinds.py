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


@pytest.mark.slow
def test_an_api_and_a_network_of_integers_are_attacked():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    seen = []
    for kind in kinds(("int8", "api"), 4):
        success, queries, rows = lines_of(kind, budget=12)
        assert 0 <= success.value <= 1
        assert 1 <= queries.value <= 12
        assert rows.value >= 4
        seen.append(success.name)
    assert [name.split()[1] for name in seen] == ["int8,", "api,"]
