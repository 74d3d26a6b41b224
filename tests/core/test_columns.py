import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from blackbox_am.core.columns import Column, TableSchema, schema_of
from blackbox_am.errors import InvalidInput, InvalidSpec, ShapeMismatch
from blackbox_am.generators.data.table import Table

INTEGERS = st.integers(-(2**31), 2**31 - 1)
REALS = st.floats(-1e300, 1e300)


@given(INTEGERS, INTEGERS, st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
@settings(max_examples=300, deadline=None)
def test_every_integer_column_is_read_as_whole_numbers_within_its_bounds(
    a: int, b: int, places: list[float]
) -> None:
    low, high = sorted((a, b))
    table = Table((Column("k", low=low, high=high, integer=True, dtype="int64"),))
    stimuli = table.render(torch.tensor([*places, 0.0, 1.0])[:, None])
    rows = [row["k"] for row in table.rows(stimuli)]
    assert all(type(k) is int and low <= k <= high for k in rows)
    assert rows[-2:] == [low, high]
    # What the model is given, what is reported, and what is read once more, are the same.
    frame = table.schema.model_input(stimuli)
    assert frame["k"].dtype == np.int64
    assert frame["k"].tolist() == rows == table.frame(stimuli)["k"].tolist()
    assert table.rows(stimuli.double().numpy()) == table.rows(stimuli)


@given(INTEGERS, st.integers(0, 2**24 - 1), st.data())
@settings(max_examples=300, deadline=None)
def test_each_of_2_to_the_24_integers_is_reached(low: int, span: int, data: st.DataObject) -> None:
    table = Table((Column("k", low=low, high=low + span, integer=True),))
    step = data.draw(st.integers(0, span))
    stimulus = torch.tensor([[step / max(span, 1)]], dtype=torch.float32)
    assert table.rows(stimulus) == [{"k": low + step}]


@given(st.lists(st.floats(0, 1, width=32), min_size=1), REALS, REALS)
@settings(max_examples=300, deadline=None)
def test_real_numbers_have_the_precision_of_float64(
    places: list[float], a: float, b: float
) -> None:
    low, high = sorted((a / 2, b / 2))
    table = Table((Column("x", low=low, high=high, dtype="float64"),))
    stimuli = table.render(torch.tensor(places)[:, None])
    frame = table.schema.model_input(stimuli)
    rows = [float(row["x"]) for row in table.rows(stimuli)]
    assert frame["x"].dtype == np.float64
    assert frame["x"].tolist() == rows
    assert all(low <= x <= high for x in rows)
    for place, x in zip(places, rows, strict=True):
        # In exact arithmetic, not in float32: a third of 3 is 1 to the last bits of float64.
        expected = low + place * (high - low) if low < high else low
        assert x == pytest.approx(expected, rel=1e-15, abs=1e-15 * max(abs(low), abs(high)))


def test_integers_that_no_float64_holds() -> None:
    top, time = 2**64 - 1, 1_700_000_000_000_000_001
    schema = TableSchema(
        (
            Column("id", low=top - 1, high=top, integer=True, dtype="uint64"),
            Column("time", low=time, high=time + 10, integer=True, dtype="int64"),
            Column("any", low=-(2**63), high=2**63 - 1, integer=True, dtype="int64"),
        )
    )
    rows = schema.rows(np.array([[0, 0, 0], [1, 0.5, 1]]))
    assert rows[0] == {"id": top - 1, "time": time, "any": -(2**63)}
    assert rows[1] == {"id": top, "time": time + 5, "any": 2**63 - 1}
    frame = schema.frame(np.array([[0, 0, 0], [1, 0.5, 1]]))
    assert [str(t) for t in frame.dtypes] == ["uint64", "int64", "int64"]
    assert frame["id"].tolist() == [top - 1, top]


FRAME = pd.DataFrame(
    {
        "mass": np.array([2.5, 3.25, 10.0], np.float32),
        "speed": [0.1, 0.2, 0.7],
        "legs": np.array([4, 2, 8], np.int16),
        "eyes": pd.array([2, None, 8], "Int64"),
        "tame": [True, False, True],
        "colour": ["red", "blue", "red"],
        "thing": pd.Series(["a", 1, 2.5], dtype=object),
        "size": pd.Categorical(["big", "small", "big"], ["small", "middle", "big"], ordered=True),
        "level": pd.Categorical([3, 1, 3], [3, 1]),
    }
)


def test_a_frame_gets_its_dtypes_back() -> None:
    schema = TableSchema.of(FRAME)
    rng = np.random.default_rng(0)
    stimuli = rng.random((50, len(schema.features)), np.float32)
    frame = schema.frame(stimuli)
    assert frame.dtypes.to_dict() == FRAME.dtypes.to_dict()
    assert frame["size"].cat.ordered
    for row, (_, read) in zip(schema.rows(stimuli), frame.iterrows(), strict=True):
        assert row == {name: value for name, value in read.items()}  # noqa: C416  # to compare
    assert frame["mass"].isin(frame["mass"].astype(np.float32)).all()
    assert set(frame["colour"]) == {"blue", "red"}
    assert set(frame["level"]) == {1, 3}


def test_encodings_of_a_category() -> None:
    columns = [Column("c", categories=("x", "y", "z"), encoding=e) for e in ("value", "code")]
    stimuli = np.array([[0.0], [0.5], [1.0]])
    value, code = (TableSchema((column,)).model_input(stimuli) for column in columns)
    assert value["c"].tolist() == ["x", "y", "z"]
    assert code["c"].tolist() == [0, 1, 2]
    hot = TableSchema((Column("c", categories=("x", "y", "z"), encoding="one_hot"),))
    made = hot.model_input(np.array([[0.1, 0.7, 0.3]]))
    assert made.to_dict("records") == [{"c=x": 0.0, "c=y": 1.0, "c=z": 0.0}]
    assert hot.rows(np.array([[0.1, 0.7, 0.3]])) == [{"c": "y"}]


def test_what_is_no_stimulus_is_refused() -> None:
    schema = TableSchema((Column("a", low=0, high=1), Column("b", low=0, high=5, integer=True)))
    with pytest.raises(ShapeMismatch, match=r"expected shape \(N, 2\).* a, b, got \(3,\)"):
        schema.rows(np.zeros(3))
    with pytest.raises(InvalidInput, match="got nan for b in row 1"):
        schema.rows(torch.tensor([[0.0, 0.0], [0.0, math.nan]]))


def test_columns_that_cannot_be_said_in_plain_values_are_refused() -> None:
    dates = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2020-01-02"])})
    with pytest.raises(InvalidSpec, match="column 'day': expected texts, numbers or booleans"):
        TableSchema.of(dates)
    with pytest.raises(InvalidSpec, match="column 'a': expected encoding value, code or one_hot"):
        Column("a", categories=("x",), encoding="hot")  # type: ignore[arg-type]  # the test


def test_a_schema_from_whatever_has_columns() -> None:
    table = Table.of(FRAME)
    assert schema_of(table) == schema_of(FRAME) == schema_of(table.columns) == table.schema
    plain = [{"name": "a", "low": 0, "high": 3, "integer": True}]
    assert schema_of(plain).columns == (Column("a", low=0, high=3, integer=True),)
    with pytest.raises(InvalidSpec, match="expected a table generator, its columns or a pandas"):
        schema_of(3)
