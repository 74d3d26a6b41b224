"""Natural images as the baseline of a study in this process."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from blackbox_am.catalogue import Catalogue, ImagesFolder
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import BaselineSpec, ObjectiveSpec
from blackbox_am.core.types import StudyState
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec, NotFound, OracleFailed, ShapeMismatch
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.wrappers.delivery.quota import Quota
from blackbox_am.stores import SQLStore
from blackbox_am.studies import reports
from blackbox_am.studies.baselines import explained
from blackbox_am.studies.local import Result, maximise
from tests.closes import Closes

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 3, 8, 8), np.uint8)
TARGETS = ["units:0", "units:3", "units:7"]


@dataclass(frozen=True)
class Counting(Oracle):
    kind: ClassVar[str] = "counting"
    served: list[int] = field(default_factory=list)
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"served"})
    inner: Oracle = field(default_factory=lambda: Simulated(batch_size=16))

    def describe(self):
        return self.inner.describe()

    def observe(self, stimuli, units):
        self.served.append(len(stimuli))
        return self.inner.observe(stimuli, units)


def search(**changes) -> Result:
    wanted = {
        "oracle": Simulated(batch_size=16),
        "generator": Pixels((3, 8, 8)),
        "targets": TARGETS,
        "queries_per_target": 60,
        "baseline": IMAGES,
        "device": "cpu",
    }
    return maximise(**{**wanted, **changes})


def test_every_target_has_its_natural_maximum_and_pays_for_the_images_once(tmp_path: Path):
    oracle = Counting()
    result = search(oracle=oracle)
    truth = Simulated().observe(
        torch.from_numpy(IMAGES).float() / 255, [Unit.parse(target) for target in TARGETS]
    )
    for target, best, mine in zip(
        result.progress.targets, result.best, truth.T.numpy(), strict=True
    ):
        assert target.natural == best.natural
        assert best.natural.maximum == pytest.approx(mine.max())
        assert best.natural.images == 30
        assert best.natural.ratio == pytest.approx(best.score / mine.max())
        assert np.allclose(best.natural_stimulus, IMAGES[mine.argmax()] / 255)
    spent = result.progress.spent
    assert spent.baseline_rows == 30, "not once for each target"
    assert spent.rows == sum(oracle.served) == 180 + spent.rows_apart


def test_without_its_start_a_search_with_a_baseline_is_that_without_one(tmp_path: Path):
    Image.fromarray(IMAGES[0].transpose(1, 2, 0)).save(tmp_path / "a.png")
    catalogue = Catalogue()
    catalogue.add_images("mine", ImagesFolder(tmp_path))
    found = search(baseline=BaselineSpec("mine", start=False), catalogue=catalogue)
    assert [b.score for b in found.best] == [b.score for b in search(baseline=None).best]


def start_of(store: Path, **changes) -> np.ndarray | None:
    search(store=store, queries_per_target=20, **changes)
    opened = SQLStore(str(store))
    found = reports.load(opened, "local").created.start
    opened.close()
    return None if found is None else found.numpy()


def test_the_search_begins_at_the_best_image_of_each_target(tmp_path: Path):
    store = tmp_path / "s.sqlite3"
    start = start_of(store, optimizer="snes")
    generator = Pixels((3, 8, 8))
    with torch.no_grad():
        shown = generator.render(torch.from_numpy(start.copy())).numpy()
    natural = [best.natural_stimulus for best in search(store=store, optimizer="snes",
               queries_per_target=20).best]  # fmt: skip
    assert np.allclose(shown, np.stack(natural), atol=0.02)


def test_an_optimizer_that_learns_nothing_measures_the_start_too(tmp_path: Path):
    assert start_of(tmp_path / "s.sqlite3", optimizer="random") is not None


def test_the_callers_start_comes_first(tmp_path: Path):
    mine = np.full((3, 192), 0.25, np.float32)
    assert np.allclose(start_of(tmp_path / "s", optimizer="snes", start=mine), mine)


def test_what_an_encoder_explains():
    images = torch.from_numpy(IMAGES).float() / 255
    assert explained(images, images) == 1
    assert explained(images, images.mean((1, 2, 3), keepdim=True).expand_as(images)) < 1e-5


def test_the_shipped_images_and_a_folder(tmp_path: Path):
    shipped = search(baseline="shipped", oracle=Simulated(), targets="units:0")
    assert shipped.best[0].natural.images == 200
    for place, image in enumerate(IMAGES[:4]):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{place}.png")
    folder = search(baseline=tmp_path).best
    same = search(baseline=IMAGES[:4]).best
    assert [b.natural for b in folder] == [b.natural for b in same]
    catalogue = Catalogue()
    catalogue.add_images("mine", ImagesFolder(tmp_path))
    named = search(baseline=BaselineSpec("mine", rows=2), catalogue=catalogue).best
    assert named[0].natural.images == 2


def test_a_composed_objective_is_compared_too():
    spec = ObjectiveSpec("weighted", ("units:0", "stimulus.tv"), (-1.0, -0.1))
    (best,) = search(targets=spec).best
    assert best.natural.maximum < 0
    assert best.natural.ratio is None
    assert best.natural.standardised is not None


@pytest.mark.parametrize(
    ("baseline", "error", "field"),
    [
        ("shippd", NotFound, "images"),
        (np.zeros((2, 5, 8, 8), np.float32), ShapeMismatch, "baseline.artifact"),
        (np.zeros((0, 3, 8, 8), np.float32), ShapeMismatch, "artifact"),
        (np.full((2, 3, 8, 8), 2.0), InvalidSpec, "baseline"),
        (3, InvalidSpec, "baseline"),
    ],
)
def test_bad_images_are_refused(baseline, error, field):
    with pytest.raises(error) as found:
        search(baseline=baseline)
    assert found.value.field == field


def test_measures_that_natural_images_lack_are_refused():
    with pytest.raises(InvalidSpec, match=r"latent\.norm") as found:
        search(targets=ObjectiveSpec("weighted", ("units:0", "latent.norm"), (1.0, -1.0)))
    assert found.value.field == "baseline"


def test_an_oracle_that_fails_on_every_image_says_so():
    @dataclass(frozen=True)
    class Silent(Counting):
        kind: ClassVar[str] = "silent"

        def observe(self, stimuli, units):
            return super().observe(stimuli, units) * float("nan")

    with pytest.raises(OracleFailed, match="natural images"):
        search(oracle=Silent())


def test_a_quota_that_ends_among_the_images_pauses_the_study(closes: Closes, tmp_path: Path):
    store, oracle = tmp_path / "s.sqlite3", Counting()
    found = search(oracle=closes(Quota(oracle, rows=20)), store=store)
    assert found.progress.state is StudyState.PAUSED
    assert found.progress.spent.rows == sum(oracle.served)
    whole = search(oracle=closes(Quota(oracle, rows=10_000)), store=store, adopt=True)
    assert whole.progress.state is StudyState.SUCCEEDED
    spent = whole.progress.spent
    assert spent.baseline_rows == 30
    assert spent.rows == sum(oracle.served)
    assert spent.rows - spent.retried_rows == 180 + spent.rows_apart
