import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from skops import io

from blackbox_am import plugins
from blackbox_am.core.capability import Capability
from blackbox_am.core.types import LayerInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, MissingExtra, NotFound, OracleFailed
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.sklearn import Sklearn
from blackbox_am.service.config import load_config
from blackbox_am.testing.oracles import OracleContract

DIGITS = load_digits()
IRIS = load_iris()


def units(*addresses: str) -> list[Unit]:
    return [Unit.parse(address) for address in addresses]


def layers(oracle: Sklearn) -> dict[str, LayerInfo]:
    return {layer.name: layer for layer in oracle.describe().layers}


@pytest.fixture(scope="module")
def forest() -> RandomForestClassifier:
    return RandomForestClassifier(20, random_state=0).fit(DIGITS.data[:1200], DIGITS.target[:1200])


class TestForest(OracleContract):
    @pytest.fixture
    def oracle(self, forest: RandomForestClassifier) -> Sklearn:
        return Sklearn(forest, (1, 8, 8), high=(16.0,))


def test_a_forest_says_of_digits_what_it_says(forest: RandomForestClassifier) -> None:
    oracle = Sklearn(forest, (1, 8, 8), high=(16.0,))
    info = oracle.describe()
    assert info.capabilities == Capability.SCORES
    assert [layer.name for layer in info.layers] == ["predict_proba", "predict"]
    assert info.layers[0].labels == tuple("0123456789")
    stimuli = torch.tensor(DIGITS.images[1200:] / 16, dtype=torch.float32).unsqueeze(1)
    answer = oracle.observe(stimuli, units(*(f"predict_proba:{i}" for i in range(10))))
    expected = forest.predict_proba(DIGITS.data[1200:])
    assert torch.equal(answer, torch.tensor(expected))
    assert (answer.argmax(1).numpy() == DIGITS.target[1200:]).mean() > 0.85
    said = oracle.observe(stimuli, units(*(f"predict:{i}" for i in range(10))))
    assert said.sum(1).eq(1).all()
    assert (said.argmax(1).numpy() == forest.predict(DIGITS.data[1200:])).all()


def test_features_have_their_own_ranges() -> None:
    low, high = IRIS.data.min(0), IRIS.data.max(0)
    names = IRIS.target_names[IRIS.target]
    model = make_pipeline(StandardScaler(), SVC(random_state=0)).fit(IRIS.data, names)
    oracle = Sklearn(model, low=tuple(low), high=tuple(high))
    assert oracle.describe().stimulus_shape == (4,)
    assert layers(oracle)["decision_function"].labels == ("setosa", "versicolor", "virginica")
    stimuli = torch.tensor((IRIS.data - low) / (high - low), dtype=torch.float64)
    answer = oracle.observe(stimuli, units("decision_function:2", "predict:1"))
    expected = model.decision_function(IRIS.data)[:, 2]
    torch.testing.assert_close(answer[:, 0], torch.tensor(expected))
    assert (answer[:, 1].numpy() == (model.predict(IRIS.data) == "versicolor")).all()


@pytest.mark.parametrize(
    ("estimator", "target", "expected"),
    [
        (
            LinearSVC(),
            IRIS.target > 0,
            {"decision_function": ("True",), "predict": ("False", "True")},
        ),
        (GaussianNB(), IRIS.target, {"predict_proba": ("0", "1", "2"), "predict": ("0", "1", "2")}),
        (
            VotingClassifier([("tree", DecisionTreeClassifier())]),
            IRIS.target,
            {"predict": ("0", "1", "2")},
        ),
        (Ridge(), IRIS.target, {"predict": ()}),
        (RandomForestRegressor(3), IRIS.data[:, :2], {"predict": ()}),
        (IsolationForest(n_estimators=3), None, {"decision_function": (), "predict": ()}),
        (
            GradientBoostingClassifier(n_estimators=2),
            IRIS.target == 1,
            {
                "decision_function": ("True",),
                "predict_proba": ("False", "True"),
                "predict": ("False", "True"),
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_estimators_have_the_layers_that_fit_them(
    estimator: Any, target: Any, expected: dict[str, tuple[str, ...]]
) -> None:
    oracle = Sklearn(estimator.fit(IRIS.data, target), high=(8.0,))
    assert {name: layer.labels for name, layer in layers(oracle).items()} == expected
    stimuli = torch.tensor(IRIS.data / 8, dtype=torch.float64)
    for name, layer in layers(oracle).items():
        asked = [Unit(name, i) for i in range(layer.units)]
        answer = oracle.observe(stimuli, asked).numpy()
        value = np.asarray(getattr(estimator, name)(IRIS.data))
        if name == "predict" and layer.labels:
            value = value[:, None] == estimator.classes_
        np.testing.assert_allclose(answer, value.reshape(150, -1).astype(float), 1e-4, 1e-5)


def test_an_estimator_of_named_columns_gets_them() -> None:
    table = pd.DataFrame(IRIS.data, columns=list("abcd"))
    pick = FunctionTransformer(lambda frame: frame[["d", "a"]], feature_names_out=None)
    model = make_pipeline(pick, Ridge()).fit(table, IRIS.target)
    pick.feature_names_in_ = np.array(list("abcd"), dtype=object)
    pick.n_features_in_ = 4
    answer = Sklearn(model, high=(8.0,)).observe(
        torch.tensor(IRIS.data / 8, dtype=torch.float64), units("predict:0")
    )
    np.testing.assert_allclose(answer[:, 0].numpy(), model.predict(table), rtol=1e-4, atol=1e-5)


def test_an_operator_writes_it_in_the_configuration(
    forest: RandomForestClassifier, tmp_path: Path
) -> None:
    io.dump(forest, tmp_path / "forest.skops")
    (tmp_path / "server.toml").write_text(
        f'[oracles.forest]\nkind = "sklearn"\nestimator = "{tmp_path / "forest.skops"}"\n'
        "stimulus_shape = [1, 8, 8]\nhigh = [16.0]\n"
        'trusted = ["sklearn.tree._tree.Tree"]\n'
    )
    oracle = load_config(tmp_path / "server.toml").catalogue.oracle("forest")
    stimuli = torch.rand(4, 1, 8, 8)
    asked = units("predict_proba:3", "predict:2")
    here = Sklearn(forest, (1, 8, 8), high=(16.0,))
    assert torch.equal(oracle.observe(stimuli, asked), here.observe(stimuli, asked))


class Doubling(StandardScaler):
    """A type that skops has never heard of."""


def test_types_that_nobody_vouches_for_must_be_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, Doubling.__module__, sys.modules[__name__])
    model = make_pipeline(Doubling(), Ridge()).fit(IRIS.data, IRIS.target)
    io.dump(model, tmp_path / "own.skops")
    with pytest.raises(
        InvalidSpec, match=r"not known to be harmless: .*Doubling.*`trusted`"
    ) as found:
        Sklearn(tmp_path / "own.skops").describe()
    assert found.value.field == "trusted"
    name = f"{Doubling.__module__}.Doubling"
    assert layers(Sklearn(tmp_path / "own.skops", trusted=(name,)))["predict"].units == 1


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "exploded",)

    for name in ("model.pkl", "model.skops"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(InvalidSpec, match=r"as a file of skops.*skops\.io\.dump"):
            Sklearn(tmp_path / name).describe()
    assert not (tmp_path / "exploded").exists()


def test_missing_files_and_extras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match=r"no file .*absent\.skops"):
        Sklearn(str(tmp_path / "absent.skops")).describe()
    monkeypatch.setitem(sys.modules, "skops", None)
    with pytest.raises(MissingExtra, match=r"blackbox-am\[sklearn\]"):
        Sklearn(str(tmp_path / "absent.skops")).describe()


@pytest.mark.parametrize(
    ("estimator", "parameters", "message"),
    [
        (LogisticRegression(), {}, "expected a fitted .* got LogisticRegression; fit it first"),
        (StandardScaler().fit(IRIS.data), {}, "one of decision_function, .* got StandardScaler"),
        (
            Ridge().fit(IRIS.data, IRIS.target),
            {"stimulus_shape": (3, 2)},
            r"4 features, and \(3, 2\)",
        ),
        (Ridge().fit(IRIS.data, IRIS.target), {"low": (0.0, 0.0)}, "low: expected 1 or 4"),
    ],
)
def test_estimators_that_do_not_fit(
    estimator: Any, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSpec, match=message):
        Sklearn(estimator, **parameters).describe()


def test_several_outputs_are_refused() -> None:
    two = np.stack([IRIS.target > 0, IRIS.target > 1], axis=1)
    model = MultiOutputClassifier(GaussianNB()).fit(IRIS.data, two)
    with pytest.raises(OracleFailed, match="answers for 2 outputs at once"):
        Sklearn(model).describe()


def test_an_estimator_that_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Ridge().fit(IRIS.data, IRIS.target)
    oracle = Sklearn(model)
    oracle.describe()
    model.coef_ = np.ones(3)
    with pytest.raises(OracleFailed, match=r"Ridge\.predict raised ValueError on 2 rows of 4"):
        oracle.observe(torch.rand(2, 4), units("predict:0"))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"stimulus_shape": (0,)}, "stimulus_shape"),
        ({"high": (float("inf"),)}, "high: expected finite"),
    ],
)
def test_bad_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        plugins.oracles.build("sklearn", {"estimator": "x.skops", **parameters})


@pytest.mark.parametrize(
    ("library", "way"), [("xgboost", "XGBClassifier"), ("lightgbm", "LGBMClassifier")]
)
def test_a_native_booster_is_refused_with_the_way(library: str, way: str, tmp_path: Path) -> None:
    trees = pytest.importorskip(library)
    rows = np.arange(40.0).reshape(20, 2)
    answers = (rows[:, 0] > 20).astype(int)
    if library == "xgboost":
        booster = trees.train({"objective": "binary:logistic"}, trees.DMatrix(rows, answers), 2)
        booster.save_model(tmp_path / "b.json")
        model = trees.XGBClassifier()
        model.load_model(tmp_path / "b.json")
        function = booster.inplace_predict
    else:
        settings = {"objective": "binary", "verbose": -1, "min_data_in_leaf": 2}
        booster = trees.train(settings, trees.Dataset(rows, answers), 2)
        model = trees.LGBMClassifier(n_estimators=2, min_child_samples=2, verbose=-1)
        model.fit(rows, answers)
        function = booster.predict
    with pytest.raises(InvalidSpec, match=f"a native Booster .*{way}.*Function\\(booster"):
        Sklearn(booster).describe()
    # Both ways that the message names.
    assert Sklearn(model).describe().stimulus_shape == (2,)
    stimuli = torch.tensor([[0.0, 0.0], [30.0, 31.0]]) / 40
    scaled = Function(lambda x: function(np.asarray(x, float) * 40), (2,))
    found = scaled.observe(stimuli, [Unit("scores", 0)])[:, 0].numpy()
    np.testing.assert_allclose(found, function(stimuli.numpy() * 40.0), rtol=1e-6)
