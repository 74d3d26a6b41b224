"""Studies whose oracle sees transformed stimuli: what they find, cost and repeat."""

import numpy as np
import pytest
import torch
from torch import nn

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.spec import to_plain
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec, transforms_plain
from blackbox_am.errors import InvalidSpec, StudyExists
from blackbox_am.evaluation.robustness import robust_scores
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.objectives.mean import Mean
from blackbox_am.oracles.simulated import Simulated
from blackbox_am.oracles.torch.torch_module import TorchModule
from blackbox_am.oracles.wrappers.measurement.transformed import Transformed
from blackbox_am.studies.local import Result, maximise
from blackbox_am.transforms.jitter import Jitter
from blackbox_am.transforms.rotate import Rotate

ANEW = TransformsSpec((TransformSpec("jitter"), TransformSpec("rotate")), 4, "generation")


def net() -> TorchModule:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(216, 5))
    return TorchModule(nn.Sequential(*layers), (3, 8, 8), device="cpu")


def search(optimizer: str = "sep_cma", **options) -> Result:
    asked = {"targets": ["output:1", "output:3"], "queries_per_target": 60} | options
    return maximise(
        oracle=net(), generator=Pixels((3, 8, 8)), optimizer=optimizer, device="cpu", **asked
    )


@pytest.mark.parametrize("optimizer", ["sep_cma", "adam"])
def test_a_score_is_that_of_the_copies_and_a_candidate_is_one_query(optimizer: str) -> None:
    chain = (Jitter(0.2), Rotate(30.0))
    result = search(optimizer, transforms=chain, copies=4, seed=3, recheck_fraction=0.0)
    oracle = Transformed(net(), chain, copies=4, seed=3)
    for best in result.best:
        shown = torch.from_numpy(np.array(best.stimulus))[None]
        (score,) = oracle.observe(shown, list(Mean((best.title,)).reads()))[0]
        assert best.score == pytest.approx(float(score), abs=1e-4)
    progress = result.progress
    assert progress.search_rows == 120
    spent = progress.spent
    assert spent.probe_rows == 16
    assert spent.rows % 4 == 0
    assert spent.rows >= 4 * 120 + 16
    assert spent.backward_rows == (spent.rows - 16 if optimizer == "adam" else 0)


@pytest.mark.parametrize("optimizer", ["sep_cma", "adam"])
def test_new_draws_make_a_study_noisy_and_its_best_is_measured_again(optimizer: str) -> None:
    result = search(optimizer, transforms=ANEW)
    for best in result.best:
        assert best.recheck is not None
        assert best.recheck.best.standard_error > 0
    assert result.progress.spent.recheck_rows >= 4 * 2 * 6
    again = search(optimizer, transforms=ANEW)
    assert [best.score for best in again.best] == [best.score for best in result.best]


def test_a_target_finds_alone_what_it_finds_beside_others() -> None:
    together = search(transforms=ANEW)
    for place, target in enumerate(("output:1", "output:3")):
        alone = search(transforms=ANEW, targets=[target])
        assert alone.best[0].latent.tobytes() == together.best[place].latent.tobytes()
        assert alone.best[0].score == pytest.approx(together.best[place].score, abs=1e-5)


def test_the_end_of_another_target_does_not_change_the_draws_of_a_recheck() -> None:
    asked = {"transforms": ANEW, "patience": 1, "queries_per_target": 400}
    together = search(**asked)
    for place, target in enumerate(("output:1", "output:3")):
        alone = search(**asked, targets=[target])
        assert alone.best[0].score == pytest.approx(together.best[place].score, abs=1e-5)


@pytest.mark.parametrize("transforms", [("jitter", "rotate"), ANEW], ids=["fixed", "anew"])
def test_an_interrupted_study_goes_on_to_the_same_bits(tmp_path, transforms) -> None:
    class Stop(Exception):
        pass

    def stop(progress) -> None:
        if progress.search_rows >= 40:
            raise Stop

    whole = search(transforms=transforms)
    store = str(tmp_path / "runs.sqlite3")
    with pytest.raises(Stop):
        search(transforms=transforms, store=store, on_generation=stop)
    resumed = search(transforms=transforms, store=store)
    for one, other in zip(resumed.best, whole.best, strict=True):
        assert one.latent.tobytes() == other.latent.tobytes()
        assert one.score == other.score
    with pytest.raises(StudyExists, match=r"transforms.copies was .* and is 5"):
        search(transforms=transforms, copies=5, store=store)


def test_studies_of_different_seeds_can_share_their_draws() -> None:
    common = TransformsSpec((TransformSpec("rotate", {"degrees": 30.0}),), 4, seed=9)
    oracle = Transformed(net(), (Rotate(30.0),), copies=4, seed=9)
    for seed in (1, 2):
        (best,) = search(targets=["output:1"], transforms=common, seed=seed).best
        shown = torch.from_numpy(np.array(best.stimulus))[None]
        expected = float(oracle.observe(shown, list(Mean(("output:1",)).reads())))
        assert best.score == pytest.approx(expected, abs=1e-4)


def test_measures_are_of_the_stimulus_without_transformations() -> None:
    result = search(targets=[Mean(("output:1",)) - 2 * Mean(("stimulus.tv",))], transforms=["flip"])
    (best,) = result.best
    picture = np.asarray(best.stimulus)
    pairs = [np.abs(np.diff(picture, axis=axis)).ravel() for axis in (1, 2)]
    assert best.values[1] == pytest.approx(float(np.concatenate(pairs).mean()), rel=1e-4)


def test_natural_images_are_transformed_as_well() -> None:
    pictures = np.random.default_rng(0).random((6, 3, 8, 8)).astype(np.float32)
    result = search(baseline=pictures, transforms=[Rotate(90.0)], copies=4, seed=2)
    shown = Transformed(net(), (Rotate(90.0),), copies=4, seed=2)
    scores = shown.observe(torch.from_numpy(pictures), list(Mean(("output:1",)).reads()))
    assert result.best[0].natural is not None
    assert result.best[0].natural.maximum == pytest.approx(float(scores.max()), abs=1e-4)
    assert result.progress.spent.baseline_rows >= 24


def test_short_forms_mean_the_same() -> None:
    expected = {"chain": [{"name": "jitter", "parameters": {"amount": 0.1, "fill": 0.5}}]}
    assert transforms_plain([Jitter(0.1)]) == expected
    assert transforms_plain(Jitter(0.1)) == expected
    assert transforms_plain(["jitter"], 3) == {"chain": [{"name": "jitter"}], "copies": 3}
    assert transforms_plain(ANEW) == to_plain(ANEW)
    assert transforms_plain(None) is transforms_plain([]) is None


def test_what_cannot_be_transformed_is_said() -> None:
    with pytest.raises(InvalidSpec, match="did you mean 'jitter'") as caught:
        search(transforms=["rotate", "jiter"])
    assert caught.value.field == "transforms.chain[1].name"
    with pytest.raises(InvalidSpec, match="amount: expected 0 to below 1") as caught:
        search(transforms=[TransformSpec("jitter", {"amount": 3})])
    assert caught.value.field == "transforms.chain[0].parameters.amount"
    with pytest.raises(InvalidSpec, match="copies"):
        search(transforms=["jitter"], copies=0)
    with pytest.raises(InvalidSpec, match="crop has a schedule"):
        search(transforms=[TransformSpec("crop", {"last": 0.1, "over": 9})])
    with pytest.raises(InvalidSpec, match=r"jitter: transformations need images .* \(5,\)"):
        maximise(
            oracle=Simulated((5,)), generator=Pixels((5,)), targets="units:1", transforms=["jitter"]
        )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("optimizer", "queries"), [("adam", 100), ("sep_cma", 200)])
def test_what_is_found_with_transforms_is_more_robust(optimizer: str, queries: int) -> None:
    """Judged on 64 transformations that were not searched on, at equal candidates. Measured: more
    robust on 8 of 8 units with adam and on 7 with sep_cma, 1.11 and 1.10 times in the median.
    """
    network = Catalogue.default().oracle("cifar_cnn")
    head, deep, middle = (0, 3, 5, 8), (7, 40), (4, 20)
    targets = [f"head:{unit}" for unit in head]
    targets += [f"layer3:{unit}" for unit in deep] + [f"layer2:{unit}" for unit in middle]
    objectives = [Mean((target,)) for target in targets]
    means = {}
    for name, transforms in (("plain", None), ("robust", ["scale", "rotate", "jitter"])):
        result = maximise(
            oracle=network,
            generator="fourier_32",
            targets=targets,
            optimizer=optimizer,
            transforms=transforms,
            queries_per_target=queries,
            device="cpu",
        )
        shown = torch.stack([torch.from_numpy(np.array(b.stimulus)) for b in result.best])
        means[name] = robust_scores(network, shown, objectives, seed=1).mean(axis=1)
    ratios = means["robust"] / means["plain"]
    assert (ratios > 1).sum() >= 6, means
    assert np.median(ratios) > 1.05, means
