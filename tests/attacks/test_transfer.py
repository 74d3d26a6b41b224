"""A search that begins at the adversarial inputs of another model."""

from pathlib import Path
from statistics import median

import numpy as np
import pytest
import torch

from blackbox_am import Margin, Misclassified, Result, maximise, zoo
from blackbox_am.attacks import transfer
from blackbox_am.attacks.local import attack
from blackbox_am.attacks.transfer import TransferStart, transfer_start
from blackbox_am.bench.problems import resnet20
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.units import Unit
from blackbox_am.errors import GradientUnavailable, InvalidInput, InvalidSpec, StudyExists
from blackbox_am.generators.inputs.perturbation import Perturbation
from blackbox_am.oracles.function import Function
from blackbox_am.oracles.wrappers.delivery.quota import Quota
from tests.closes import Closes

ASSETS = Path(__file__).parents[3] / "shared" / "assets"
HEADS = tuple(f"head:{j}" for j in range(10))
EPS = 8 / 255


def answers(oracle: Oracle, stimuli: torch.Tensor) -> list[int]:
    with torch.no_grad():
        return oracle.observe(stimuli, [Unit("head", j) for j in range(10)]).argmax(1).tolist()


def ball(images: np.ndarray, norm: str = "linf", eps: float = EPS) -> Perturbation:
    return Perturbation(
        inputs=images,
        channels_last=True,
        ball=norm,  # type: ignore[arg-type]
        radius=eps,
        squash=False,
        bits=8,
    )


def rendered(images: np.ndarray, found: TransferStart, norm: str, eps: float) -> torch.Tensor:
    rows = torch.arange(len(images))
    return ball(images, norm, eps).render_targets(torch.from_numpy(found.latents), rows)


def stimuli(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.load(zoo.path("probe_images"))["x"][5::70]


@pytest.fixture(scope="module")
def labels(images: np.ndarray) -> list[int]:
    return answers(Catalogue.default().oracle("cifar_cnn"), stimuli(images))


@pytest.mark.parametrize(("norm", "eps", "optimizer"), [("linf", EPS, "pgd"), ("l2", 1.0, "apgd")])
def test_its_changes_lie_in_the_ball_and_fool_the_surrogate(
    images: np.ndarray, labels: list[int], norm: str, eps: float, optimizer: str
) -> None:
    found = transfer_start(
        "cifar_cnn",
        images,
        labels,
        HEADS,
        norm=norm,  # type: ignore[arg-type]
        eps=eps,
        channels_last=True,
        optimizer=optimizer,
        device="cpu",
    )
    assert found.latents.shape == (3, 3 * 32 * 32)
    assert found.latents.dtype == np.float32
    assert np.abs(found.latents).max() <= 1
    changed = rendered(images, found, norm, eps)
    change = (changed - stimuli(images)).flatten(1).double()
    lengths = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
    assert lengths.max() <= eps + 1e-6
    fooled = answers(Catalogue.default().oracle("cifar_cnn"), changed)
    assert all(answer != label for answer, label in zip(fooled, labels, strict=True))
    assert found.spent.rows - found.spent.probe_rows == 3 * 11


def test_a_targeted_start_wins_the_class(images: np.ndarray, labels: list[int]) -> None:
    wanted = [(label + 1) % 10 for label in labels]
    found = transfer_start(
        "cifar_cnn", images, wanted, HEADS, targeted=True, channels_last=True, device="cpu"
    )
    changed = answers(Catalogue.default().oracle("cifar_cnn"), rendered(images, found, "linf", EPS))
    assert changed == wanted


def test_a_search_on_another_model_begins_at_it(images: np.ndarray, labels: list[int]) -> None:
    found = transfer_start("cifar_cnn", images, labels, channels_last=True, device="cpu")
    other = Catalogue.default().oracle("cifar_vit")
    result = maximise(
        oracle=other,
        generator=ball(images),
        targets=[Margin(HEADS, label) for label in labels],
        optimizer="square",
        queries_per_target=3,
        start=found.latents,
        keep_latents="all",
        device="cpu",
    )
    assert np.array_equal(result.latents[0][:, 0], found.latents)
    with torch.no_grad():
        values = other.observe(
            rendered(images, found, "linf", EPS), [Unit("head", j) for j in range(10)]
        )
    for k, label in enumerate(labels):
        expected = float(Margin(HEADS, label).score(values[k].double()))
        assert result.history[0].scores[k, 0] == pytest.approx(expected, abs=1e-4)
    # The rows of the surrogate are not those of this model.
    assert result.progress.spent.rows - result.progress.spent.probe_rows == 3 * 3


def test_bad_requests(images: np.ndarray, labels: list[int]) -> None:
    with pytest.raises(InvalidInput, match="expected one an image, got 2 labels for 3 images"):
        transfer_start("cifar_cnn", images, labels[:2], HEADS, channels_last=True)
    with pytest.raises(InvalidSpec, match="label from 0 to 9"):
        transfer_start("cifar_cnn", images, [10] * 3, HEADS, channels_last=True)
    black_box = Function(
        lambda x: np.zeros((len(x), 10), np.float32),
        stimulus_shape=(3, 32, 32),
        labels=zoo.entry("cifar_cnn").labels,
    )
    scores = tuple(f"scores:{j}" for j in range(10))
    with pytest.raises(GradientUnavailable, match="pgd needs the capability GRADIENTS"):
        transfer_start(black_box, images, labels, scores, channels_last=True)


@pytest.mark.slow
def test_it_saves_most_queries_of_square_on_resnet20() -> None:
    """The surrogate learnt from the answers of this ResNet-20, so that it is a good one."""
    if not (ASSETS / "cifar10_resnet20.safetensors").is_file():
        pytest.skip(f"needs the ResNet-20 of {ASSETS}")
    victim, data = resnet20(ASSETS), np.load(ASSETS / "cifar10_test_1000.npz")
    found = np.array(answers(victim, stimuli(data["x"][:30]))) == data["y"][:30]
    images = data["x"][:30][found]
    labels = data["y"][:30][found].tolist()
    begun = transfer_start("cifar_cnn", images, labels, HEADS, channels_last=True, device="cpu")

    def attacked(start: np.ndarray | None) -> Result:
        return maximise(
            oracle=victim,
            generator=ball(images),
            targets=[Margin(HEADS, label) for label in labels],
            criteria=[Misclassified(HEADS, label) for label in labels],
            optimizer="square",
            queries_per_target=100,
            start=start,
            device="cpu",
        )

    def queries(result: Result) -> list[int]:
        """Rows of each image until its first success; 100 without one."""
        rows = [0] * len(images)
        for generation in result.history:
            for target in generation.targets:
                rows[target] += 1
        return rows

    cold, warm = attacked(None), attacked(begun.latents)
    assert median(queries(warm)) <= 2
    assert sum(queries(warm)) < sum(queries(cold)) / 2


def test_a_journalled_start_is_not_computed_again(closes: Closes, images, tmp_path, monkeypatch):
    wanted = {
        "images": np.moveaxis(images[:4], -1, 1),
        "surrogate": "cifar_vit",
        "method": "square",
        "eps": 4 / 255,
        "budget": 20,
    }
    whole = attack(oracle="cifar_cnn", **wanted)
    model = Catalogue.default().oracle("cifar_cnn")
    store = tmp_path / "s.sqlite3"
    part = attack(oracle=closes(Quota(model, rows=12)), store=store, **wanted)
    assert not part.complete
    assert part.spent.searched_rows

    def never(*_, **__):
        raise AssertionError("the start was computed again")

    with monkeypatch.context() as patched:
        patched.setattr(transfer, "transfer_start", never)
        done = attack(oracle=closes(Quota(model, rows=500)), store=store, **wanted)
    assert done.complete
    assert [one.queries for one in done.inputs] == [one.queries for one in whole.inputs]
    with pytest.raises(StudyExists):  # another surrogate is another attack
        attack(oracle=model, store=store, **{**wanted, "surrogate": "cifar_cnn"})
