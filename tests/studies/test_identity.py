"""A study knows which model it measured, and never mixes two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import blackbox_am as bam
from blackbox_am.core.types import StudyState
from blackbox_am.errors import InvalidSpec, ModelChanged, StudyExists
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.wrappers.cache import Cache
from blackbox_am.oracles.wrappers.delivery.retry import Retry
from blackbox_am.stores import SQLStore
from blackbox_am.studies.events import Adopted, Created, OracleProbed, decode
from tests.closes import Closes

SHAPE = (3, 8, 8)


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 4)).eval()


def oracle(module: nn.Module) -> bam.TorchModule:
    return bam.TorchModule(module, stimulus_shape=SHAPE, device="cpu")


@pytest.fixture
def go(tmp_path: Path) -> Callable[..., bam.Result]:
    def run(model: Any = None, **changes: Any) -> bam.Result:
        given: dict[str, Any] = {
            "oracle": oracle(net()) if model is None else model,
            "generator": bam.Pixels(shape=SHAPE),
            "targets": ["output:1"],
            "queries_per_target": 60,
            "store": tmp_path / "studies.sqlite3",
            "device": "cpu",
        }
        return bam.maximise(**{**given, **changes})

    return run


Go = Callable[..., bam.Result]


def events(tmp_path: Path, study_id: str = "local") -> list[Any]:
    store = SQLStore(str(tmp_path / "studies.sqlite3"))
    found = [decode(record.body) for record in store.read(study_id)]
    store.close()
    return found


def probe_of(tmp_path: Path) -> OracleProbed:
    (found,) = [event for event in events(tmp_path) if isinstance(event, OracleProbed)]
    return found


def test_another_checkpoint_under_the_same_id_is_refused(go: Go) -> None:
    go()
    with pytest.raises(ModelChanged, match="the content of model changed") as caught:
        go(oracle(net(1)))
    for way in ("another id", "fresh store", "adopt=True"):
        assert way in str(caught.value)


def test_the_same_weights_in_another_object_are_the_same_model(go: Go) -> None:
    first = go()
    again = go(oracle(net()))
    assert again.best[0].score == first.best[0].score
    assert go(Retry(oracle(net()))).best[0].score == first.best[0].score


def test_a_model_that_was_trained_in_between_is_refused(go: Go) -> None:
    module = net()
    go(oracle(module))
    with torch.no_grad():
        module[3].bias += 1  # type: ignore[index, operator]
    with pytest.raises(ModelChanged):
        go(oracle(module))


def test_another_generator_is_refused(go: Go) -> None:
    first = np.zeros((1, *SHAPE), np.float32)
    from blackbox_am.generators.inputs.perturbation import Perturbation

    go(generator=Perturbation(first, radius=0.1))
    with pytest.raises(ModelChanged, match=r"parameter radius was 0\.1 and is 0\.2"):
        go(generator=Perturbation(first, radius=0.2))
    with pytest.raises(ModelChanged, match="the content of inputs changed"):
        go(generator=Perturbation(first + 0.5, radius=0.1))


def test_adopting_a_model_is_journalled(go: Go, tmp_path: Path) -> None:
    go()
    other = oracle(net(1))
    result = go(other, adopt=True, queries_per_target=120)
    assert result.progress.search_rows == 120
    (adopted,) = [event for event in events(tmp_path) if isinstance(event, Adopted)]
    assert adopted.oracle_fingerprint == other.fingerprint()
    assert "the content of model changed" in adopted.message
    assert adopted.generation > 0
    go(other, queries_per_target=120)  # it is the study's own now
    with pytest.raises(ModelChanged):
        go(queries_per_target=120)


def test_a_generator_of_another_space_cannot_be_adopted(go: Go) -> None:
    go()
    with pytest.raises(InvalidSpec, match="cannot adopt this generator"):
        go(oracle(net()), generator=bam.Pixels(shape=(3, 4, 16)), adopt=True)


def test_the_fingerprints_stand_in_the_journal(go: Go, tmp_path: Path) -> None:
    model = oracle(net())
    go(model)
    created = events(tmp_path)[0]
    assert isinstance(created, Created)
    assert created.oracle_fingerprint == model.fingerprint()
    assert created.generator_fingerprint == bam.Pixels(shape=SHAPE).fingerprint()


def test_a_larger_budget_goes_on(go: Go) -> None:
    first = go()
    more = go(queries_per_target=180)
    assert more.progress.search_rows == 180
    assert more.best[0].score >= first.best[0].score
    whole = go(queries_per_target=180, study_id="whole")
    assert more.best[0].score == whole.best[0].score
    assert go().progress.search_rows == 180  # the first request again is no other study


def test_other_differences_are_named_with_both_values(go: Go) -> None:
    go()
    with pytest.raises(StudyExists, match="seed was not set and is 7"):
        go(seed=7)
    with pytest.raises(StudyExists, match=r"targets\[0\].quantities\[0\] was 'output:1'"):
        go(targets=["output:2"])
    with pytest.raises(StudyExists, match="queries_per_target was 60 and is 30"):
        go(queries_per_target=30)


def test_a_function_is_resumed_by_its_name(go: Go) -> None:
    def bright(x: np.ndarray) -> np.ndarray:
        return x.mean((1, 2, 3))

    go(Function(bright, SHAPE), targets="scores:0")
    go(Function(bright, SHAPE), targets="scores:0")  # this process knows that it is the same
    with pytest.raises(ModelChanged, match="model='v1'"):
        go(Function(lambda x: x.mean((1, 2, 3)), SHAPE), targets="scores:0")
    for function in (bright, lambda x: x.mean((1, 2, 3))):
        go(Function(function, SHAPE, model="v1"), targets="scores:0", study_id="named")


class Dropping(nn.Module):
    """Functional dropout: `eval` does not switch it off."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(192, 64), nn.Linear(64, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(functional.dropout(functional.relu(self.first(x.flatten(1))), 0.5))


class Centred(nn.Module):
    """Takes the mean of its batch off, so that an answer depends on the neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.net(x - 0.5 * x.mean(0, keepdim=True))
        return out


def test_a_random_model_is_noisy_and_the_study_says_so(
    closes: Closes, go: Go, tmp_path: Path
) -> None:
    result = go(oracle(Dropping()))
    assert "another answer each time" in result.progress.warning
    assert probe_of(tmp_path).noisy
    with pytest.raises(InvalidSpec, match="answers differently"):
        closes(Cache(oracle(Dropping()), ":memory:")).describe()


def test_a_batch_dependent_model_is_asked_one_row_at_a_time(
    closes: Closes, go: Go, tmp_path: Path
) -> None:
    result = go(oracle(Centred()))
    assert "one row at a time" in result.progress.warning
    assert not probe_of(tmp_path).noisy
    stimulus = torch.from_numpy(result.best[0].stimulus)[None]
    alone = Centred().eval()(stimulus)[0, 1].item()
    assert result.best[0].score == pytest.approx(alone, abs=1e-5)
    with pytest.raises(InvalidSpec, match="depends on the other stimuli"):
        closes(Cache(oracle(Centred()), ":memory:")).describe()


def test_a_cache_does_not_hide_that_a_paid_model_answers_differently(
    closes: Closes, go: Go, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    paid = Function(lambda x: x.mean((1, 2, 3)) + rng.random(len(x)), SHAPE, model="noise")
    path = str(tmp_path / "answers.sqlite3")
    with pytest.raises(InvalidSpec, match="a cache would repeat the first one"):
        go(closes(Cache(paid, path)), targets="scores:0")
    told = go(closes(Cache(paid, path, nondeterministic=True)), targets="scores:0")
    assert not told.progress.warning


def test_the_rows_of_the_probe_are_on_the_bill(go: Go) -> None:
    served: list[np.ndarray] = []

    def bright(x: np.ndarray) -> np.ndarray:
        served.extend(x)
        return x.mean((1, 2, 3))

    result = go(Function(bright, SHAPE), targets="scores:0")
    spent = result.progress.spent
    assert 0 < spent.probe_rows <= 5  # 4, and one to see which layers there are
    assert spent.rows == len(served) == result.progress.search_rows + spent.probe_rows
    before = [row.copy() for row in served[:4]]
    served.clear()
    go(Function(bright, SHAPE), targets="scores:0", study_id="again")
    assert all((a == b).all() for a, b in zip(before, served[:4], strict=False))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": net()},
        {"model": lambda x: x.mean((1, 2, 3)), "targets": "scores:0"},
        {"targets": "output:1"},
        {"seed": np.arange(3)[1]},
        {"queries_per_target": np.int64(40)},
        {"target_score": np.float32(1e6)},
        {"targets": ("output:1", "output:2")},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_first_tries_work(go: Go, changes: dict[str, Any]) -> None:
    model = changes.pop("model", None)
    assert go(model, **changes).progress.state is StudyState.SUCCEEDED


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"oracle": nn.Linear}, "make one of it first"),
        ({"oracle": 3}, "expected an oracle, its name in the catalogue"),
        ({"generator": net()}, "expected a generator, or its name"),
        ({"generator": bam.Pixels}, "make one, such as Pixels"),
        ({"targets": 3}, "expected units such as 'head:3'"),
        ({"targets": [3]}, "expected a unit such as 'head:3'"),
    ],
)
def test_first_tries_that_cannot_work_teach(go: Go, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec, match=sentence):
        go(**changes)


def test_a_fitted_estimator_is_taken_with_a_table_and_asks_for_ranges_without(go: Go) -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    rng = np.random.default_rng(0)
    features = rng.random((50, 4))
    model = ensemble.RandomForestClassifier(5, random_state=0).fit(features, features[:, 0] > 0.5)
    with pytest.raises(InvalidSpec, match=r"Sklearn\(RandomForestClassifier, low="):
        go(model, generator=bam.Pixels(shape=(4,)))


def test_a_store_that_was_given_by_its_path_is_closed(go: Go) -> None:
    go()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(5):
        go(study_id=f"s{number}")
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
