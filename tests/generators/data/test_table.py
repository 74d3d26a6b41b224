from typing import Any

import numpy as np
import pytest
import torch

from blackbox_am import maximise, plugins
from blackbox_am.core.columns import Column
from blackbox_am.core.rng import Stream
from blackbox_am.errors import InvalidSpec, ShapeMismatch
from blackbox_am.generators.data.table import Table
from blackbox_am.oracles.sklearn import Sklearn

MIXED = Table(
    (
        Column("mass", low=2.0, high=10.0),
        Column("legs", low=2, high=4, integer=True),
        Column("colour", categories=("red", "green", "blue")),
        Column("kind", categories=("cat", "dog"), encoding="one_hot"),
    )
)


def test_rows_of_numbers_integers_and_categories() -> None:
    latents = torch.tensor([[0.25, 0.0, 0.99, 0.6], [1.0, 0.5, 0.34, 0.2], [0.0, 1.0, 1.0, 1.0]])
    stimuli = MIXED.render(latents)
    expected = [[0.25, 0, 1, 0, 1], [1, 0.5, 0.5, 1, 0], [0, 1, 1, 0, 1]]
    torch.testing.assert_close(stimuli, torch.tensor(expected))
    assert MIXED.features == ("mass", "legs", "colour", "kind=cat", "kind=dog")
    assert MIXED.rows(stimuli) == [
        {"mass": 4.0, "legs": 2, "colour": "blue", "kind": "dog"},
        {"mass": 10.0, "legs": 3, "colour": "green", "kind": "cat"},
        {"mass": 2.0, "legs": 4, "colour": "blue", "kind": "dog"},
    ]
    assert not MIXED.differentiable


def test_values_have_equal_shares_of_the_prior() -> None:
    stimuli = MIXED.render(MIXED.space.sample(Stream(0, "test", 0), 6000)[0])
    for feature, values in ((1, 3), (2, 3), (3, 2)):
        _, counts = stimuli[:, feature].unique(return_counts=True)
        assert len(counts) == values
        assert (counts / 6000 - 1 / values).abs().max() < 0.03


def test_bounds_turn_a_stimulus_back_into_the_row() -> None:
    stimuli = MIXED.render(torch.rand(50, 4)).numpy()
    low, high = np.array(MIXED.low), np.array(MIXED.high)
    rows = low + stimuli * (high - low)
    assert rows.min(0).tolist() >= [2, 2, 0, 0, 0]
    assert rows.max(0).tolist() <= [10, 4, 2, 1, 1]
    np.testing.assert_allclose(rows[:, 1:], rows[:, 1:].round(), atol=1e-6)
    assert MIXED.rows(torch.from_numpy(stimuli))[7]["mass"] == pytest.approx(rows[7, 0])


def test_real_numbers_have_gradients_and_constant_columns_stay() -> None:
    table = Table((Column("a", low=0, high=5), Column("b", low=3.0, high=3.0)))
    latents = torch.rand(2, 2, requires_grad=True)
    stimuli = table.render(latents)
    assert table.differentiable
    assert stimuli[:, 1].eq(0).all()
    assert table.rows(stimuli)[0]["b"] == 3.0
    (slopes,) = torch.autograd.grad(stimuli.sum(), latents)
    assert slopes.tolist() == [[1, 0], [1, 0]]


def test_a_schema_from_a_data_frame() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "mass": [2.5, np.nan, 10.0],
            "legs": [4, 2, 3],
            "colour": ["red", "blue", None],
            "tame": [True, False, True],
            "size": pd.Categorical(["big", "small", "big"], ["small", "middle", "big"]),
        }
    )
    assert Table.of(frame, "one_hot").columns == (
        Column("mass", low=2.5, high=10.0, dtype="float64"),
        Column("legs", low=2, high=4, integer=True, dtype="int64"),
        Column(
            "colour",
            categories=("blue", "red"),
            encoding="one_hot",
            dtype=str(frame["colour"].dtype),
        ),
        Column("tame", categories=(False, True), encoding="one_hot", dtype="bool"),
        Column(
            "size",
            categories=("small", "middle", "big"),
            encoding="one_hot",
            dtype="category",
        ),
    )
    with pytest.raises(InvalidSpec, match="expected a pandas DataFrame, got list"):
        Table.of([1, 2])
    with pytest.raises(InvalidSpec, match="column 'a': it has no value"):
        Table.of(pd.DataFrame({"a": [np.nan]}))


def test_finds_what_a_forest_takes_for_a_wine_of_a_class() -> None:
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_wine
    from sklearn.ensemble import RandomForestClassifier

    data, labels = load_wine(return_X_y=True, as_frame=True)
    forest = RandomForestClassifier(40, random_state=0, n_jobs=1).fit(data, labels)
    table = Table.of(data)
    # Magnesium and proline are whole numbers that the data holds as floating-point ones.
    assert [column.integer for column in table.columns].count(True) == 0
    oracle = Sklearn(forest, low=table.low, high=table.high)
    found = maximise(
        oracle=oracle,
        generator=table,
        targets=["predict_proba:1"],
        queries_per_target=300,
        optimizer="ga",
        device="cpu",
    )
    (row,) = table.rows(torch.from_numpy(found.best[0].stimulus)[None])
    import pandas as pd

    confidence = forest.predict_proba(pd.DataFrame([row]))[0, 1]
    assert confidence == pytest.approx(found.best[0].score, abs=1e-6)
    # The middle of the box, not of the data, is where a search begins: it is no wine of class 1.
    middle = table.rows(table.render(torch.full((1, 13), 0.5)))
    assert confidence > 0.85 > forest.predict_proba(pd.DataFrame(middle))[0, 1]


def test_integers_and_codes_arrive_whole_at_a_tree() -> None:
    pytest.importorskip("sklearn")
    from sklearn.tree import DecisionTreeClassifier

    rows = np.array([[legs, colour] for legs in (2, 3, 4) for colour in (0, 1, 2)] * 5, float)
    spider = (rows[:, 0] == 3) & (rows[:, 1] == 2)
    tree = DecisionTreeClassifier(random_state=0).fit(rows, spider)
    table = Table(MIXED.columns[1:3])
    found = maximise(
        oracle=Sklearn(tree, low=table.low, high=table.high),
        generator=table,
        targets=["predict_proba:1"],
        queries_per_target=100,
        optimizer="ga",
        device="cpu",
    )
    assert found.best[0].score == 1.0
    (row,) = table.rows(torch.from_numpy(found.best[0].stimulus)[None])
    assert row == {"legs": 3, "colour": "blue"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], "expected one column or more"),
        ([{"name": "a", "low": 0, "high": 1}] * 2, "two are called 'a'"),
        ([{"name": "a"}], "column 'a': expected low and high, or categories"),
        ([{"name": "a", "low": 2, "high": 1}], "low at most high, got 2.0 and 1.0"),
        ([{"name": "a", "low": 0, "high": 1.5, "integer": True}], "whole bounds"),
        ([{"name": "a", "low": 0, "categories": ["x"]}], "not both"),
        ([{"name": "a", "categories": ["x", "x"]}], "must differ"),
        ([{"name": "a", "hihg": 3}], "hihg"),
        ([{"low": 0, "high": 1}], "name"),
    ],
)
def test_bad_schemas(columns: Any, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.generators.build("table", {"columns": columns})


def test_schemas_come_from_configurations_and_latents_are_checked() -> None:
    columns = [{"name": "a", "low": 0, "high": 1.5}, {"name": "b", "categories": ["x", 2.5, True]}]
    table = plugins.generators.build("table", {"columns": columns})
    with pytest.raises(ShapeMismatch, match=r"expected shape \(N, 2\), got \(1, 3\)"):
        table.render(torch.zeros(1, 3))
    assert plugins.generators.schema("table")["required"] == ["columns"]


def test_a_failed_coordinate_gives_a_failed_feature() -> None:
    stimuli = MIXED.render(torch.full((1, 4), torch.nan))
    assert stimuli.isnan().all()


def test_its_fingerprint_is_that_of_its_columns() -> None:
    again, other = Table(MIXED.columns), Table(MIXED.columns[1:])
    assert MIXED.fingerprint() == again.fingerprint()
    assert not MIXED.fingerprint().unnamed
    assert MIXED.fingerprint().digest != other.fingerprint().digest
