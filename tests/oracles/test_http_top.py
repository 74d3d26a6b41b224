"""An attack on an API that names its five best classes, with two decimals."""

import base64
import io
import json
import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image

from blackbox_am import Result, maximise, zoo
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.units import Unit
from blackbox_am.criteria.misclassified import Misclassified
from blackbox_am.errors import OracleFailed
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.objectives.cross_entropy import CrossEntropy
from blackbox_am.objectives.margin import Margin
from blackbox_am.oracles.http import Http
from blackbox_am.testing.json_api import json_api

LABELS = zoo.entry("cifar_cnn").labels
SCORES = tuple(f"scores:{j}" for j in range(10))
UNITS = [Unit("scores", j) for j in range(10)]


class Api:
    """The shipped classifier as an API, which counts its requests."""

    def __init__(self) -> None:
        self.model = Catalogue.default().oracle("cifar_cnn")
        self.seen: Counter[str] = Counter()

    def answer(self, request: dict[str, str]) -> dict[str, object]:
        file = base64.b64decode(request["image"])
        self.seen["requests"] += 1
        pixels = np.array(Image.open(io.BytesIO(file)), np.float32) / 255
        stimulus = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        with torch.no_grad():
            logits = self.model.observe(stimulus, [Unit("head", j) for j in range(10)])
        shares, classes = logits.softmax(1)[0].topk(5)
        pairs = zip(classes.tolist(), shares.tolist(), strict=True)
        named = [{"label": LABELS[j], "score": round(share, 2)} for j, share in pairs]
        assert json.dumps(named)
        return {"predictions": named}


@pytest.fixture
def served() -> Iterator[tuple[Api, str]]:
    api = Api()
    with json_api(api.answer) as address:
        yield api, address


@pytest.fixture
def images() -> np.ndarray:
    return np.load(zoo.path("probe_images"))["x"][:60:20]


def top_five(address: str, missing: float | None) -> Http:
    return Http(
        f"http://{address}/",
        (3, 32, 32),
        LABELS,
        scores="predictions[].[label, score]",
        answer="top",
        missing=missing,
        parallel=3,
    )


def attacked(oracle: Http, images: np.ndarray, labels: list[int], budget: int) -> Result:
    return maximise(
        oracle=oracle,
        generator=Perturbation(
            inputs=images, channels_last=True, radius=16 / 255, squash=False, bits=8
        ),
        targets=[Margin(SCORES, k, scale="probabilities") for k in labels],
        criteria=[Misclassified(SCORES, k) for k in labels],
        optimizer="square",
        queries_per_target=budget,
        device="cpu",
    )


def test_absent_classes_have_the_stated_score(served: tuple[Api, str], images: np.ndarray) -> None:
    api, address = served
    oracle = top_five(address, 0.0)
    clean = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    shares = oracle.observe(clean, UNITS)
    assert ((shares > 0).sum(1) <= 5).all()
    assert torch.equal((shares * 100).round() / 100, shares)
    labels = shares.argmax(1).tolist()
    scores = [
        kind(SCORES, labels[k], scale="probabilities").score(shares[k].numpy())
        for k in range(3)
        for kind in (Margin, CrossEntropy)
    ]
    assert np.isfinite(scores).all()
    api.seen.clear()
    result = attacked(oracle, images, labels, 80)
    spent = result.progress.spent
    assert api.seen["requests"] == spent.rows
    fooled = [k for k in range(3) if result.best[k].score > 0]
    assert fooled
    for k in fooled:
        again = oracle.observe(torch.from_numpy(np.array(result.best[k].stimulus))[None], UNITS)
        assert int(again.argmax()) != labels[k]
    oracle.close()


def test_without_a_stated_score_the_error_says_what_to_do(
    served: tuple[Api, str], images: np.ndarray
) -> None:
    oracle = top_five(served[1], None)
    with pytest.raises(OracleFailed, match=r"set missing to the score of labels .* such as 0"):
        attacked(oracle, images, [0, 1, 2], 10)
    oracle.close()
    unknown = top_five(served[1], math.nan)
    with pytest.raises(OracleFailed, match="failed"):
        attacked(unknown, images, [0, 1, 2], 10)
    unknown.close()
