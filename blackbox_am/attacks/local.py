"""An attack in one call, in this process."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from blackbox_am import plugins
from blackbox_am.attacks.asked import REPEATS, Asked, Labels
from blackbox_am.attacks.classes import classes_of
from blackbox_am.attacks.inputs import Given, given_inputs
from blackbox_am.attacks.planning import GENERATOR, NEIGHBOURHOOD, Inputs, generator_spec
from blackbox_am.attacks.problem import AUTOENCODER, LATENT, Norm, Problem
from blackbox_am.attacks.reference import decoded, judged_by, reference_of
from blackbox_am.attacks.results import AttackResult, float_stimuli
from blackbox_am.attacks.run import Run, run
from blackbox_am.attacks.running import Found
from blackbox_am.attacks.transfer import suggestions_of
from blackbox_am.catalogue import Catalogue
from blackbox_am.core.devices import resolve_device
from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.pictures import Pictures
from blackbox_am.core.spec import OptimizerSpec, StudySpec
from blackbox_am.core.types import StudyProgress
from blackbox_am.errors import NotFound
from blackbox_am.stores import SQLStore
from blackbox_am.studies import local, reports
from blackbox_am.studies.given import oracle_of

log = logging.getLogger(__name__)


def attack(
    *,
    oracle: Oracle | str | torch.nn.Module | Callable[..., Any],
    images: Pictures,
    labels: Labels | None = None,
    targets: Labels | int | None = None,
    norm: Norm = "linf",
    eps: float = 8 / 255,
    method: str | Sequence[str] = "auto",
    parameters: Mapping[str, Any] | None = None,
    budget: int = 2000,
    surrogate: Oracle | str | torch.nn.Module | None = None,
    layer: str | None = None,
    bits: int | None = None,
    seed: int = 0,
    repeats: int = REPEATS,
    tiles: Sequence[int] = (),
    autoencoder: str = AUTOENCODER,
    reference: Oracle | str | torch.nn.Module | None = None,
    store: str | Path = ":memory:",
    study_id: str = "attack",
    adopt: bool = False,
    catalogue: Catalogue | None = None,
    device: str = "auto",
    on_progress: Callable[[str, StudyProgress], None] = lambda stage, progress: None,
    on_message: Callable[[str], None] = log.warning,
) -> AttackResult:
    """Searches, for each input, a change within a ball that makes a classifier answer wrongly.

    All inputs are attacked at once, each with a budget of its own; an input drops out at its first
    success. The attack is three studies in `store`: one measures each clean input once, one
    searches, and one measures what was found afresh. A repeated call with the same store continues
    them.

    Args:
        oracle: the classifier, or its name in the catalogue; also a torch module, a fitted
            estimator or a function of inputs (N, *input).
        images: a folder of pictures, a .npz or .npy file, images of PIL, or an array (N, *input),
            uint8 or in [0, 1]; `blackbox_am.pictures` makes one of other ranges and sizes.
        labels: the true classes: (N,) numbers or names, or a file of them. None or `auto` for
            labels beside the images in a .npz file, else for the classifier's own answers to the
            clean inputs. Inputs that the classifier gets wrong are skipped.
        targets: for a targeted attack the wanted classes: (N,) classes, a file of them, one class
            for all, `next` or `least-likely`.
        norm, eps: the ball: `linf`, `l2`, `l0` (places), or `latent` (distance of codes), and its
            radius. In a latent space the clean inputs are those that the autoencoder decodes.
        method: the attack: an optimizer's name; `auto` chooses by what the classifier answers and
            by the norm. A list is an ensemble: each attack after the first gets the inputs that
            those before it have left.
        parameters: of the optimizer.
        budget: greatest number of search rows for each input and attack.
        surrogate: a local model with gradients and the same classes. Its adversarial inputs, for
            which the classifier is not asked, are where the search begins.
        layer: the layer of the class scores, or with the number of the predicted class; the last
            layer of several scores if None.
        bits: bits of the values of adversarial inputs; 0 for real numbers. None is 8 if the inputs
            are pictures, whole numbers of 255ths, else 0.
        seed: determines every random number.
        repeats: how often up to 16 clean inputs are measured, to test whether the classifier
            repeats its answers; 1 for no test. The report has a flag if it does not.
        tiles: for an optimizer such as `sep_cma`, numbers of tiles in each direction of an image,
            from coarse to fine, which share the budget; one number by the image's size if empty.
        autoencoder: for `latent`, weights as of `neighbourhood`.
        reference: another classifier of the same classes; a success counts only if it still sees
            the true class, since a change of the latent may change what an image shows.
        store: path or URL of the journal.
        study_id: the studies are `{study_id}-clean`, `-search`, `-verify-` with a digest of what
            was found, and `-repeat-` with the number of repeats; further attacks of an ensemble
            have `-2` and so on.
        adopt: whether to continue with another classifier than at the beginning.
        catalogue: the catalogue in which names are looked up; the shipped models if None.
        device: `cpu`, `cuda`, or `auto`.
        on_progress: called after each generation with the stage and its progress.
        on_message: as of `maximise`.

    Returns:
        The result. If the classifier's quota was used up, it is partial (`complete` is false).

    Raises:
        InvalidInput: for inputs, labels or limits that cannot work.
        Unsupported: if the attack needs more than the classifier tells.
        StudyExists: if `store` has studies of this id for another attack.
        ModelChanged: if the classifier has changed, and `adopt` is false.
        OracleError: if the classifier fails.
    """
    return attack_as(
        Asked(
            labels,
            targets,
            norm,
            eps,
            method,
            parameters,
            budget,
            bits,
            seed,
            repeats,
            tiles,
            autoencoder,
        ),
        oracle=oracle,
        images=images,
        surrogate=surrogate,
        reference=reference,
        layer=layer,
        store=store,
        study_id=study_id,
        adopt=adopt,
        catalogue=catalogue or Catalogue.default(),
        device=device,
        on_progress=on_progress,
        on_message=on_message,
    )


def attack_as(
    asked: Asked,
    *,
    oracle: Oracle | str | torch.nn.Module | Callable[..., Any],
    images: Pictures,
    surrogate: Oracle | str | torch.nn.Module | None,
    layer: str | None,
    store: str | Path,
    study_id: str,
    adopt: bool,
    catalogue: Catalogue,
    device: str,
    on_progress: Callable[[str, StudyProgress], None],
    on_message: Callable[[str], None],
    clean_id: str = "",
    before: Sequence[AttackResult] = (),
    reference: Oracle | str | torch.nn.Module | None = None,
) -> AttackResult:
    """The same as `attack`, for a request in one object.

    Args:
        clean_id: the beginning of the id of the study that measures the clean inputs, which several
            attacks may share; empty for `study_id`.
        before: results of the attacks that share this study, whose accounts have it.
    """
    device = resolve_device(device)
    given, model = _model(oracle, images, catalogue, device)
    given, goals, problems = asked.about(given)
    originals = given.stimuli
    if asked.norm == LATENT:
        given = replace(given, stimuli=decoded(originals, asked.autoencoder))
    name = oracle if isinstance(oracle, str) else local.kind_of(model)
    inputs = Inputs(
        tuple(given.stimuli.shape[1:]),
        len(given.stimuli),
        name,
        fingerprint=model.fingerprint().digest,
    )
    for problem in problems:
        _check(problem, inputs, originals)
    with ExitStack() as opened:
        kept = opened.enter_context(closing(SQLStore(os.fspath(store))))
        runner = LocalRunner(
            model,
            kept,
            study_id,
            catalogue,
            device,
            adopt,
            on_progress,
            on_message,
            clean_id or study_id,
            originals,
        )
        classes = classes_of(model.describe(), layer, name)
        suggest = None
        if surrogate is not None:
            suggest = suggestions_of(surrogate, catalogue, device, inputs.shape)
        what = Run(given, goals, classes, inputs, suggest, before, asked.repeats)
        result = run(problems, what, runner)
    if reference is None:
        return result
    return judged_by(reference_of(reference, catalogue, device, inputs.shape), result)


def _model(oracle: Any, images: Any, catalogue: Catalogue, device: str) -> tuple[Given, Oracle]:
    """The inputs and the classifier, which may be known only by the shape of the inputs."""
    if isinstance(oracle, (str, Oracle)):
        model = catalogue.oracle(oracle) if isinstance(oracle, str) else oracle
        return given_inputs(images, tuple(model.describe().stimulus_shape)), model
    given = given_inputs(images)
    return given, oracle_of(oracle, _generator(GENERATOR, {}, given.stimuli), catalogue, device)


def _check(problem: Problem, inputs: Inputs, stimuli: NDArray[Any]) -> None:
    """Check what can be checked before the classifier is asked.

    Raises:
        InvalidInput: for an unknown attack, its parameters, or a ball smaller than one step.
    """
    if problem.attack == "auto":
        return
    plugins.build_optimizer(OptimizerSpec(problem.attack, dict(problem.parameters)))
    spec = generator_spec(problem, inputs, range(inputs.count))
    _ = _generator(spec.name, spec.parameters, stimuli).space


def _generator(kind: str, parameters: Mapping[str, Any], stimuli: NDArray[Any]) -> Generator:
    wanted = {**parameters, "inputs": float_stimuli(stimuli)}
    generator = plugins.generators.build(kind, wanted)
    assert isinstance(generator, Generator)
    return generator


@dataclass(frozen=True)
class LocalRunner:
    """Runs the studies of an attack in this process.

    Attributes:
        model: the classifier.
        store: of the studies.
        study_id: the beginning of their ids.
        catalogue: for optimizers that use a network of it.
        device: `cpu` or `cuda`.
        adopt, on_progress, on_message: as of `attack`.
        clean_id: the beginning of the id of the study of the clean inputs.
        originals: (N, *input) the inputs that an attack in a latent space encodes.
    """

    model: Oracle
    store: SQLStore
    study_id: str
    catalogue: Catalogue
    device: str
    adopt: bool
    on_progress: Callable[[str, StudyProgress], None]
    on_message: Callable[[str], None]
    clean_id: str
    originals: NDArray[Any]

    def keep(self, stimuli: NDArray[Any]) -> str:
        """See `Runner.keep`."""
        del stimuli
        return ""

    def known(self, name: str) -> StudySpec | None:
        """See `Runner.known`."""
        try:
            return reports.load(self.store, self._id(name)).spec
        except NotFound:
            return None

    def _id(self, name: str) -> str:
        shared = name == "clean" or name.startswith("repeat")
        return f"{self.clean_id if shared else self.study_id}-{name}"

    def run(self, name: str, spec: StudySpec, stimuli: NDArray[Any]) -> Found:
        """See `Runner.run`."""
        assert spec.generator is not None  # an attack changes inputs
        kind, parameters = spec.generator.name, spec.generator.parameters
        around = self.originals if kind == NEIGHBOURHOOD else stimuli
        result = local.run(
            spec,
            oracle=self.model,
            generator=_generator(kind, parameters, around),
            store=self.store,
            study_id=self._id(name),
            device=self.device,
            network=self.catalogue.oracle,
            adopt=self.adopt,
            on_generation=lambda progress: self.on_progress(name, progress),
            on_message=self.on_message,
        )
        return Found(result.progress, result.best)
