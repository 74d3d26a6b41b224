"""A whole study in one call, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.criterion import Criterion
from blackbox_am.core.generator import Generator
from blackbox_am.core.objective import Objective
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import (
    CriterionSpec,
    ObjectiveSpec,
    StudySpec,
    from_plain,
    objective,
    start_spec,
    to_plain,
)
from blackbox_am.core.types import Best, GenerationScores, StudyProgress, StudyState
from blackbox_am.errors import OracleFailed
from blackbox_am.evaluation import LocalEvaluator
from blackbox_am.stores import SQLStore
from blackbox_am.studies import checks, equipment, loop, reports
from blackbox_am.studies.live import LiveStudy
from blackbox_am.studies.starts import source_of

Target = str | ObjectiveSpec | Objective


@dataclass(frozen=True)
class Result:
    """The result of a study.

    Attributes:
        progress: the final progress.
        best: the best candidate of each target, with its stimulus.
        history: scores by generation.
    """

    progress: StudyProgress
    best: list[Best]
    history: list[GenerationScores]


def maximise(
    *,
    oracle: Oracle | str,
    generator: Generator | str,
    targets: Sequence[Target],
    criteria: Sequence[Criterion | CriterionSpec] = (),
    optimizer: str = "auto",
    parameters: dict[str, Any] | None = None,
    queries_per_target: int = 1000,
    seconds: float | None = None,
    target_score: float | None = None,
    patience: int | None = None,
    seed: int = 0,
    start: str | NDArray[Any] | None = None,
    store: str = ":memory:",
    study_id: str = "local",
    catalogue: Catalogue | None = None,
    device: str = "auto",
    on_generation: Callable[[StudyProgress], None] = lambda progress: None,
) -> Result:
    """Finds stimuli that maximise each target. All targets are searched at once.

    Where `store` holds a study of this id and this specification, it goes on from where
    it was left. Where the oracle has a quota and that is used up, the study comes back
    paused, with the bill in its message.

    Args:
        oracle: the model, or its name in the catalogue.
        generator: what makes stimuli, or its name in the catalogue.
        targets: units (``"head:3"``) or objectives, K of them.
        criteria: when a target has succeeded, which ends it: none, one for all targets, or one a
            target.
        optimizer: name of the optimizer, and its `parameters`; `auto` chooses.
        queries_per_target: rows observed for each target.
        seconds, target_score, patience: further limits, see `Budget`.
        seed: fixes every random number.
        start: where to begin: the id of a study in `store` that has found something, or latents
            (K, D) or (D,); the prior where None.
        store: path or URL of the journal.
        study_id: the study's id in the store.
        catalogue: where names are looked up; the shipped models where None.
        device: of the optimizer's tensors: `cpu`, `cuda`, or `auto`.
        on_generation: called after each generation, for progress.

    Raises:
        InvalidInput, Unsupported: for a study that cannot work.
        OracleError: where the model fails.
    """
    catalogue = catalogue or Catalogue.default()
    model = catalogue.oracle(oracle) if isinstance(oracle, str) else oracle
    maker = catalogue.generator(generator) if isinstance(generator, str) else generator
    plain = {
        "targets": [to_plain(_objective_spec(target)) for target in targets],
        "criteria": [
            to_plain(one.spec() if isinstance(one, Criterion) else one) for one in criteria
        ],
        "budget": {
            "queries_per_target": queries_per_target,
            "seconds": seconds,
            "target_score": target_score,
            "patience": patience,
        },
        "generator": generator if isinstance(generator, str) else generator.kind,
        "oracle": oracle if isinstance(oracle, str) else oracle.kind,
        "optimizer": {"name": optimizer, "parameters": parameters or {}},
        "seed": seed,
        "start": to_plain(start_spec(start)),
    }
    spec = from_plain(StudySpec, plain)
    return run(
        spec,
        oracle=model,
        generator=maker,
        store=SQLStore(store),
        study_id=study_id,
        device=device,
        network=catalogue.oracle,
        on_generation=on_generation,
    )


def run(
    spec: StudySpec,
    *,
    oracle: Oracle,
    generator: Generator,
    store: SQLStore,
    study_id: str,
    device: str = "auto",
    network: Callable[[str], Oracle] = equipment.no_network,
    on_generation: Callable[[StudyProgress], None] = lambda progress: None,
) -> Result:
    """Runs the study that `spec` describes to its end. Arguments as of `maximise`; `network`
    finds the networks by name that the optimizer may use as prior knowledge.
    """
    created = checks.created(spec, generator, oracle, network, source_of(spec, store))
    live = LiveStudy.create(
        store,
        study_id,
        created,
        device=resolve_device(device),
        equip=equipment.given(generator, network),
    )
    if live.study.state in (StudyState.PAUSED, StudyState.FAILED):
        live.resume()  # a repeated call asks the study to continue
    evaluator = evaluator_of(live, generator, oracle)
    try:
        loop.run(
            live,
            evaluator,
            after_generation=lambda live: on_generation(reports.progress(study_id, live.study)),
        )
    except OracleFailed as error:
        if not reports.best(study_id, live.study):
            raise
        live.fail(error.message)  # what was found so far comes back with the reason
    return Result(
        reports.progress(study_id, live.study),
        with_stimuli(reports.best(study_id, live.study), generator),
        list(reports.generations(store, study_id)),
    )


def evaluator_of(live: LiveStudy, generator: Generator, oracle: Oracle) -> LocalEvaluator:
    """The evaluator of a study's candidates."""
    study = live.study
    return LocalEvaluator(
        generator,
        oracle,
        tuple(target.objective for target in study.targets),
        study.created.batch_size,
        tuple(target.criterion for target in study.targets if target.criterion is not None),
    )


def with_stimuli(best: Sequence[Best], generator: Generator) -> list[Best]:
    """`best`, each with its rendered stimulus."""
    if not best:
        return []
    latents = torch.from_numpy(np.stack([entry.latent for entry in best]))
    with torch.no_grad():
        targets = torch.tensor([entry.target for entry in best])
        stimuli = generator.render_targets(latents, targets).float().cpu().numpy()
    return [replace(entry, stimulus=s) for entry, s in zip(best, stimuli, strict=True)]


def resolve_device(device: str) -> str:
    """`auto` is CUDA where there is one, else the CPU."""
    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def _objective_spec(target: Target) -> ObjectiveSpec:
    return target.spec() if isinstance(target, Objective) else objective(target)
