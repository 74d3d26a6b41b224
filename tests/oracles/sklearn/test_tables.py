"""The score of a stimulus is exactly what the model says of the row that is reported."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from blackbox_am import maximise, plugins
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, OracleFailed
from blackbox_am.generators.data.table import Table
from blackbox_am.oracles.sklearn import Sklearn

RANDOM = np.random.default_rng(0)
ROWS = 600
MIXED = pd.DataFrame(
    {
        "age": RANDOM.uniform(18, 90, ROWS),
        "port": RANDOM.choice(["C", "Q", "S"], ROWS),
        "rooms": RANDOM.integers(1, 9, ROWS),
        "id": RANDOM.integers(0, 2**31, ROWS),
        "paid": RANDOM.random(ROWS) < 0.5,
        "weight": RANDOM.normal(size=ROWS).astype(np.float32),
    }
)
LIKED = ((MIXED.port == "Q") & (MIXED.age > 50) | (MIXED.rooms == 3) & MIXED.paid).astype(int)
CATEGORIES = MIXED.assign(port=MIXED.port.astype("category"))
REVERSED = MIXED.assign(port=pd.Categorical(MIXED.port, ["S", "Q", "C"]))


def pipeline(unknown: str) -> Any:
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["age", "id", "weight"]),
            ("codes", OneHotEncoder(handle_unknown=unknown), ["port", "rooms", "paid"]),
        ]
    )
    return make_pipeline(columns, LogisticRegression())


def lightgbm() -> Any:
    library = pytest.importorskip("lightgbm")
    return library.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1)


def xgboost() -> Any:
    library = pytest.importorskip("xgboost")
    return library.XGBClassifier(n_estimators=10, enable_categorical=True, n_jobs=1)


MODELS: dict[str, tuple[Callable[[], Any], pd.DataFrame]] = {
    "pipeline that ignores unknown values": (lambda: pipeline("ignore"), MIXED),
    "pipeline that refuses unknown values": (lambda: pipeline("error"), MIXED),
    "hist gradient boosting": (
        lambda: HistGradientBoostingClassifier(max_iter=10, categorical_features="from_dtype"),
        CATEGORIES,
    ),
    "lightgbm": (lightgbm, CATEGORIES),
    "lightgbm, other order of categories": (lightgbm, REVERSED),
    "xgboost": (xgboost, CATEGORIES),
    "xgboost, other order of categories": (xgboost, REVERSED),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("known", ["frame of the model", "frame of texts"])
def test_a_score_is_what_the_model_says_of_the_row(name: str, known: str) -> None:
    make, frame = MODELS[name]
    model = make().fit(frame, LIKED)
    # People give the frame they have: with texts where the model was fitted on categories.
    table = Table.of(frame if known == "frame of the model" else MIXED)
    oracle = Sklearn(model, table=table)
    stimuli = table.render(torch.rand(200, len(table.columns)))
    unit = Unit.parse("predict_proba:1")
    answer = oracle.observe(stimuli, [unit]).numpy()[:, 0]
    port = (
        pd.Categorical(table.frame(stimuli).port, frame.port.cat.categories)
        if (frame is not MIXED)
        else table.frame(stimuli).port
    )
    said = model.predict_proba(table.frame(stimuli).assign(port=port))[:, 1]
    assert len(np.unique(said)) > 5
    assert answer.tolist() == said.astype(np.float64).tolist()


@pytest.mark.parametrize("unknown", ["ignore", "error"])
@pytest.mark.parametrize("bare", [False, True])
def test_a_search_reports_the_score_of_the_row_it_reports(unknown: str, bare: bool) -> None:
    n = 2000
    frame = pd.DataFrame(
        {
            "age": RANDOM.uniform(18, 90, n),
            "quarter": RANDOM.integers(1, 5, n),
            "month": RANDOM.integers(1, 13, n),
        }
    )
    june = (frame.month == 6) & (frame.age > 40)
    liked = (june | (frame.quarter == 2) & (RANDOM.random(n) < 0.5)).astype(int)
    columns = ColumnTransformer(
        [
            ("n", StandardScaler(), ["age"]),
            ("c", OneHotEncoder(handle_unknown=unknown), ["quarter", "month"]),
        ]
    )
    model = make_pipeline(columns, LogisticRegression()).fit(frame, liked)
    table = Table.of(frame)
    oracle = Sklearn(model, low=table.low, high=table.high) if bare else Sklearn(model, table=table)
    found = maximise(
        oracle=oracle, generator=table, targets=["predict_proba:1"], queries_per_target=600
    )
    row = pd.DataFrame(table.rows(torch.tensor(found.best[0].stimulus)[None]))
    said = model.predict_proba(row)[0, 1]
    assert found.best[0].score == pytest.approx(said, rel=1e-6)
    grid = [{"age": 90.0, "quarter": q, "month": m} for q in range(1, 5) for m in range(1, 13)]
    best = model.predict_proba(pd.DataFrame(grid))[:, 1].max()
    assert found.best[0].score > 0.99 * best


def test_arrays_of_values_and_of_codes() -> None:
    values = MIXED[["port", "rooms"]]
    unnamed = make_pipeline(
        ColumnTransformer([("c", OneHotEncoder(), [0, 1])]), LogisticRegression()
    ).fit(values.to_numpy(object), LIKED)
    table = Table.of(values)
    stimuli = table.render(torch.rand(50, 2))
    unit = Unit.parse("predict_proba:1")
    answer = Sklearn(unnamed, table=table).observe(stimuli, [unit]).numpy()[:, 0]
    said = unnamed.predict_proba(table.frame(stimuli).to_numpy(object))[:, 1]
    assert answer.tolist() == said.tolist()
    coded = OrdinalEncoder().fit_transform(values)
    forest = RandomForestRegressor(5, random_state=0).fit(np.c_[coded[:, 0], values.rooms], LIKED)
    table = Table.of(values, encoding="code")
    stimuli = table.render(torch.rand(50, 2))
    answer = Sklearn(forest, table=table).observe(stimuli, [Unit.parse("predict:0")]).numpy()[:, 0]
    assert answer.tolist() == forest.predict(table.schema.model_input(stimuli).to_numpy()).tolist()
    assert answer.std() > 0


def test_one_hot_features_of_a_named_frame() -> None:
    frame = pd.DataFrame(
        {f"port={p}": (MIXED.port == p).astype(float) for p in "SQC"} | {"age": MIXED.age}
    )
    model = LogisticRegression(max_iter=2000).fit(frame, LIKED)
    table = Table.of(MIXED[["age", "port"]], "one_hot")
    stimuli = table.render(torch.rand(50, 2))
    answer = Sklearn(model, table=table).observe(stimuli, [Unit.parse("predict_proba:1")]).numpy()
    said = model.predict_proba(table.schema.model_input(stimuli)[frame.columns])[:, 1]
    assert answer[:, 0].tolist() == said.tolist()


def test_a_configuration_has_the_columns() -> None:
    model = HistGradientBoostingClassifier(max_iter=3).fit(MIXED[["age", "rooms"]], LIKED)
    columns = [
        {"name": "rooms", "low": 1, "high": 8, "integer": True, "dtype": "int64"},
        {"name": "age", "low": 18, "high": 90},
    ]
    oracle = plugins.oracles.build("sklearn", {"estimator": model, "table": columns})
    answer = oracle.observe(torch.tensor([[2 / 7, 0.5]]), [Unit.parse("predict_proba:1")])
    row = pd.DataFrame({"age": [54.0], "rooms": [3]})
    assert answer.item() == model.predict_proba(row)[0, 1]


def test_tables_that_do_not_fit() -> None:
    model = LogisticRegression(max_iter=2000).fit(MIXED[["age", "rooms"]], LIKED)
    with pytest.raises(
        InvalidSpec, match=r"lacks 'rooms' and has in addition 'weight'; give Table"
    ):
        Sklearn(model, table=MIXED[["age", "weight"]]).describe()
    unnamed = LogisticRegression(max_iter=2000).fit(MIXED[["age", "rooms"]].to_numpy(), LIKED)
    with pytest.raises(InvalidSpec, match="fitted on 2 columns, and the table makes 1"):
        Sklearn(unnamed, table=MIXED[["age"]]).describe()
    with pytest.raises(InvalidSpec, match="leave low and high out"):
        Sklearn(model, table=MIXED[["age", "rooms"]], high=(3.0,))
    texts = pipeline("error").fit(MIXED, LIKED)
    with pytest.raises(OracleFailed, match=r"give the columns: table=Table.of\(frame\)"):
        Sklearn(texts, low=Table.of(MIXED).low, high=Table.of(MIXED).high).describe()
