"""A whole study in one call, in this process."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Literal

import torch
from numpy.typing import NDArray

from blackbox_am.catalogue import Catalogue, Images
from blackbox_am.core.criterion import Criterion
from blackbox_am.core.devices import resolve_device
from blackbox_am.core.generator import Generator
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.penalties import penalised
from blackbox_am.core.pictures import Pictures
from blackbox_am.core.spec import (
    BaselineSpec,
    CriterionSpec,
    StudySpec,
    from_plain,
    start_spec,
    to_plain,
)
from blackbox_am.core.store import Store
from blackbox_am.core.transform import Transform
from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec, transforms_plain
from blackbox_am.core.types import Best, StudyProgress, StudyState
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import NotOwner, OracleFailed, Unsupported
from blackbox_am.results import Result
from blackbox_am.results.notebooks import shown_while
from blackbox_am.stores import SQLStore
from blackbox_am.studies import equipment, loop, reports
from blackbox_am.studies.baselines import natural_rows
from blackbox_am.studies.following import owned
from blackbox_am.studies.given import (
    Target,
    baseline_of,
    checked_id,
    generator_of,
    latents_of,
    objectives_of,
    oracle_of,
    plain,
)
from blackbox_am.studies.inputs import baseline_images, study_generator
from blackbox_am.studies.measuring import evaluator_of
from blackbox_am.studies.ownership import Owner
from blackbox_am.studies.randomness import own_random_numbers
from blackbox_am.studies.rendered import with_natural, with_stimuli
from blackbox_am.studies.resolving import Request, open_study, reopen
from blackbox_am.studies.shown import Models
from blackbox_am.studies.stored import again, result_of
from blackbox_am.studies.transforming import transformed

log = logging.getLogger(__name__)


def maximise(
    *,
    oracle: Oracle | str | torch.nn.Module | Callable[..., Any],
    generator: Generator | str,
    targets: Target | Sequence[Target],
    penalties: Mapping[str, float] | None = None,
    criteria: Sequence[Criterion | CriterionSpec] = (),
    optimizer: str = "auto",
    parameters: dict[str, Any] | None = None,
    queries_per_target: int = 1000,
    seconds: float | None = None,
    target_score: float | None = None,
    patience: int | None = None,
    seed: int = 0,
    start: str | NDArray[Any] | Result | Best | Sequence[Best] | None = None,
    baseline: Pictures | BaselineSpec | None = None,
    transforms: TransformsSpec | Sequence[str | TransformSpec | Transform] | None = None,
    copies: int | None = None,
    recheck_fraction: float | None = None,
    keep_latents: Literal["best", "all"] = "best",
    store: str | Path = ":memory:",
    study_id: str = "local",
    adopt: bool = False,
    catalogue: Catalogue | None = None,
    device: str = "auto",
    progress: bool | None = None,
    on_generation: Callable[[StudyProgress], None] = lambda progress: None,
    on_message: Callable[[str], None] = log.warning,
) -> Result:
    """Finds stimuli that maximise each target. All targets are searched at once.

    If `store` contains a study of this id and specification, the study continues from its last
    state, also with a larger budget. A study never mixes two models: if the oracle or the generator
    differs from that of the study's beginning, `ModelChanged` names the differences. If the
    oracle's quota is used up, the study is returned paused, with the bill in its message.

    Before a study begins, the oracle observes 4 or 6 rows to test whether it repeats its answers;
    these rows are in `progress.spent`. An oracle that does not repeat its answers is treated as
    noisy, and `progress.warning` says so.

    Args:
        oracle: the model, or its name in the catalogue; also a torch module, a fitted estimator
            (with a `Table` as generator) or a function of stimuli (N, *stimulus), which then
            receive the generator's stimuli.
        generator: the generator of stimuli, or its name in the catalogue.
        targets: a unit (``"head:3"``), an objective, or a list of K of them.
        penalties: measures of the stimulus to subtract from every target, and their weights:
            ``{"stimulus.tv": 0.05}``.
        criteria: criteria of success, which end a target: none, one for all targets, or one for
            each target.
        optimizer: name of the optimizer, and its `parameters`; `auto` chooses.
        queries_per_target: rows observed for each target.
        seconds, target_score, patience: further limits, see `Budget`.
        seed: determines every random number.
        start: the start of the search: the id of a study in `store` with best latents, latents
            (K, D) or (D,), or the `Result` or `Best` of an earlier study; the prior if None.
        baseline: natural images that the oracle observes before the search, once for all targets:
            the name of a set in the catalogue such as ``"shipped"``, a folder, images of PIL, or an
            array of images (N, channels, height, width) or stimuli (N, *stimulus). Results then
            have the place of each best score among those of the images (`Best.natural`), and the
            search begins at the best image of each target if the generator can encode it well. A
            `BaselineSpec` chooses among the images of a set.
        transforms: random transformations under which the oracle sees each stimulus, for searches
            with and without gradients: names, `TransformSpec` or transformations such as
            ``Jitter(0.1)``, in the order of their application. A `TransformsSpec` can also have
            them drawn anew in each generation.
        copies: number of transformed copies of each stimulus, whose mean answer counts; 8 if None.
            A candidate is one of `queries_per_target`, and costs `copies` rows of the oracle.
        recheck_fraction: fraction of `queries_per_target` that measures the best candidates again
            at the end; None is 0.1 for a noisy oracle, else 0.
        keep_latents: latents that the journal keeps: the best latent of each target, or all
            latents, which are then in `Result.latents`.
        store: path or URL of the journal.
        study_id: the study's id in the store.
        adopt: whether to continue with another oracle or generator than at the study's beginning.
            Earlier measurements are kept; the journal records the differences.
        catalogue: the catalogue in which names are looked up; the shipped models if None.
        device: of the optimizer's tensors: `cpu`, `cuda`, or `auto`.
        progress: whether to show a progress bar; None shows it in a notebook.
        on_generation: called after each generation, for progress.
        on_message: called with a message if another process runs the study. The study is then
            followed to its end, and continued here if the other process ends before.

    Raises:
        InvalidInput, Unsupported: for a study that cannot work.
        StudyExists: if the store contains a study of this id with another specification.
        ModelChanged: if the study began with another oracle or generator, and `adopt` is false.
        OracleError: if the model fails.
    """
    catalogue = catalogue or Catalogue.default()
    device = resolve_device(device)
    study_id = checked_id(study_id)
    maker = generator_of(generator, catalogue)
    model = oracle_of(oracle, maker, catalogue, device)
    wanted = {
        "targets": [
            to_plain(penalised(target, plain(penalties or {}))) for target in objectives_of(targets)
        ],
        "criteria": [
            to_plain(one.spec() if isinstance(one, Criterion) else one) for one in criteria
        ],
        "budget": {
            "queries_per_target": queries_per_target,
            "seconds": seconds,
            "target_score": target_score,
            "patience": patience,
            "recheck_fraction": recheck_fraction,
        },
        "generator": generator if isinstance(generator, str) else maker.kind,
        "oracle": oracle if isinstance(oracle, str) else kind_of(model),
        "optimizer": {"name": optimizer, "parameters": parameters or {}},
        "seed": seed,
        "start": to_plain(start_spec(latents_of(start))),
        "transforms": transforms_plain(transforms, copies),
        "keep_latents": keep_latents,
    }
    natural, images = baseline_of(baseline, catalogue, tuple(maker.stimulus_shape))
    wanted["baseline"] = to_plain(natural)
    with shown_while(progress, on_generation) as shown:
        return run(
            from_plain(StudySpec, plain(wanted)),
            oracle=model,
            generator=maker,
            store=store,
            study_id=study_id,
            device=device,
            network=catalogue.oracle,
            images=images,
            adopt=adopt,
            on_generation=shown,
            on_message=on_message,
        )


def repeat(
    spec: StudySpec,
    *,
    catalogue: Catalogue | None = None,
    store: str | Path = ":memory:",
    study_id: str = "local",
    device: str = "auto",
    progress: bool | None = None,
) -> Result:
    """Runs the study of a specification again, such as that of a loaded result.

    With the same models, the same versions and on the same machine, the result is the same to the
    last bit; `Result.provenance` says what they were.

    Args:
        spec: the specification; a study that clients measured cannot be repeated here.
        catalogue: has the models that `spec` names; the shipped ones if None. A model that was
            given to `maximise` as an object has to be added by the name of its kind.
        store, study_id, device, progress: as for `maximise`.

    Raises:
        NotFound: for a model, a start or an input that is not here.
        Unsupported: for a study that clients measured.
        BlackboxError: as for `maximise`.
    """
    catalogue = catalogue or Catalogue.default()
    if spec.oracle is None or spec.generator is None:
        raise Unsupported(
            "clients measured this study, so it cannot be repeated here; create it on a server "
            "with create_from(spec), and measure again"
        )
    place = os.fspath(store)
    with closing(SQLStore(place)) as artifacts, shown_while(progress) as shown:
        generator = study_generator(catalogue, artifacts.artifacts, spec.generator)
        images = (
            None
            if spec.baseline is None
            else baseline_images(catalogue, artifacts.artifacts, spec.baseline)
        )
        return run(
            spec,
            oracle=catalogue.oracle(spec.oracle),
            generator=generator,
            store=place,
            study_id=checked_id(study_id),
            device=device,
            network=catalogue.oracle,
            images=images,
            on_generation=shown,
        )


def run(
    spec: StudySpec,
    *,
    oracle: Oracle,
    generator: Generator,
    store: str | Path | SQLStore,
    study_id: str,
    device: str = "auto",
    network: Callable[[str], Oracle] = equipment.no_network,
    images: Images | None = None,
    adopt: bool = False,
    on_generation: Callable[[StudyProgress], None] = lambda progress: None,
    on_message: Callable[[str], None] = log.warning,
) -> Result:
    """Runs the study that `spec` describes to its end. Arguments are those of `maximise`; `network`
    returns a network by its name, for optimizers that use a network as prior knowledge, and
    `images` are those of the baseline. A store that is given by its path is closed at the end.
    """
    device = resolve_device(device)
    generator.to(device)
    request = Request(
        spec=spec,
        generator=generator,
        oracle=transformed(oracle, spec),
        network=network,
        device=device,
        images=images,
    )
    place = None if isinstance(store, SQLStore) else os.fspath(store)
    with ExitStack() as opened:
        opened.enter_context(own_random_numbers(spec.seed))
        if not isinstance(store, SQLStore):
            store = opened.enter_context(closing(SQLStore(os.fspath(store))))
        owner = opened.enter_context(closing(Owner(store)))
        while True:
            try:
                _go_on(store, study_id, request, owner, adopt, on_generation, on_message)
                break
            except NotOwner as error:  # this process was suspended for longer than its lease
                log.warning("%s", error)
        study = reports.load(store, study_id)
        natural = natural_rows(spec, images, generator)
        best = with_natural(with_stimuli(reports.best(study_id, study), generator), natural)
        equip = equipment.given(generator, network)
        models = Models(generator=generator, equip=equip, device=device)
        return result_of(store, study_id, study, best, again(store, place, study_id, models))


def _go_on(
    store: Store,
    study_id: str,
    request: Request,
    owner: Owner,
    adopt: bool,
    on_generation: Callable[[StudyProgress], None],
    on_message: Callable[[str], None],
) -> None:
    """Runs the study to its end, as soon as no other process runs it.

    Raises:
        NotOwner: if another process has taken the study.
    """
    with owned(
        store,
        study_id,
        owner,
        check=lambda: reopen(study_id, reports.load(store, study_id), request, adopt=adopt),
        on_generation=on_generation,
        on_message=on_message,
    ) as ownership:
        live = open_study(store, study_id, request, adopt=adopt, ownership=ownership)
        if live.study.state in (StudyState.PAUSED, StudyState.FAILED):
            live.resume()  # a repeated call continues the study
        try:
            evaluator = evaluator_of(live, request)
            if evaluator is not None:
                loop.run(
                    live,
                    evaluator,
                    after_generation=lambda live: on_generation(live.published.progress),
                )
        except OracleFailed as error:
            if not live.best:
                raise
            live.fail(error.message)  # the best candidates so far are returned with the reason


def kind_of(oracle: Oracle) -> str:
    """The kind of the answering oracle; wrappers that only deliver answers are ignored."""
    while isinstance(oracle, Wrapper) and not oracle.changes_answers:
        oracle = oracle.inner
    return oracle.kind
