"""Runs the studies of a comparison in this process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blackbox_am.catalogue import Catalogue, Images
from blackbox_am.comparisons import journal
from blackbox_am.comparisons.planning import (
    Examined,
    Member,
    Plan,
    check_generation,
    method_of,
    stage_of,
    start_spec,
    study_spec,
)
from blackbox_am.comparisons.problem import ComparisonSpec, MethodSpec
from blackbox_am.comparisons.running import Found, Natural
from blackbox_am.core.generator import Generator, check_fit
from blackbox_am.core.linear_algebra import numerics
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import BaselineSpec, OptimizerSpec, StudySpec
from blackbox_am.core.types import OracleInfo, StudyProgress
from blackbox_am.errors import InvalidInput, ModelChanged, NotFound, Unsupported
from blackbox_am.groups.spec import member_id
from blackbox_am.oracles.wrappers.delivery.halving import Halving
from blackbox_am.plugins import build_optimizer
from blackbox_am.stores import SQLStore
from blackbox_am.studies import local, reports
from blackbox_am.studies.baselines import natural_stimuli
from blackbox_am.studies.rendered import with_stimuli
from blackbox_am.studies.reopening import check_models
from blackbox_am.studies.resolving import Request, resolve
from blackbox_am.studies.study import Study
from blackbox_am.studies.transforming import transformed


@dataclass(frozen=True)
class Models:
    """What the names of a comparison stand for.

    Attributes:
        oracle: the model.
        generator: the generator.
        images: the natural images; None for none.
        artifact: digest of the images, where they are not a set of the catalogue.
        second: the model of the transfer; None for none.
        independent: the model whose features say how natural a stimulus is; None for none.
        catalogue: for optimizers that use a network of it.
        device: `cpu` or `cuda`.

    Raises:
        ShapeMismatch: if the second or the independent model takes stimuli of another shape than
            those of the generator.
    """

    oracle: Oracle
    generator: Generator
    images: Images | None
    artifact: str
    second: Oracle | None
    independent: Oracle | None
    catalogue: Catalogue
    device: str

    def __post_init__(self) -> None:
        for name, network in (("second", self.second), ("independent", self.independent)):
            if network is not None:
                check_fit(self.generator, network.describe(), "the generator", f"the {name} model")

    def halved(self) -> Models:
        """The same models, whose batches are halved where they do not fit into memory."""
        return replace(
            self,
            oracle=Halving(self.oracle),
            second=None if self.second is None else Halving(self.second),
            independent=None if self.independent is None else Halving(self.independent),
        )

    def stimuli(self, spec: ComparisonSpec) -> NDArray[np.float32] | None:
        """(N, *stimulus) the natural images of a comparison; None for none."""
        if self.images is None:
            return None
        baseline = BaselineSpec(images=spec.baseline or "given", rows=spec.baseline_rows)
        shown = natural_stimuli(baseline, self.images, self.generator.stimulus_shape)
        return shown.cpu().numpy()


@dataclass(frozen=True)
class LocalRunner:
    """Runs the studies of a comparison in this process, one after another.

    Attributes:
        models: of the comparison.
        store: of the studies.
        on_progress: called after each generation with the stage and its progress.
        on_message: as of `maximise`.
    """

    models: Models
    store: SQLStore
    on_progress: Callable[[str, StudyProgress], None]
    on_message: Callable[[str], None]

    def describe(self) -> OracleInfo:
        """See `Runner.describe`."""
        return self.models.oracle.describe()

    def identity(self) -> Mapping[str, str]:
        """See `Runner.identity`."""
        return {
            "oracle's fingerprint": self.models.oracle.fingerprint().digest,
            "generator's fingerprint": self.models.generator.fingerprint().digest,
            "processor": numerics(self.models.device),
        }

    def baseline(self, spec: ComparisonSpec) -> BaselineSpec | None:
        """See `Runner.baseline`."""
        artifact = self.models.artifact
        if not artifact and not spec.baseline:
            return None
        return BaselineSpec(
            images=None if artifact else spec.baseline,
            artifact=artifact or None,
            rows=spec.baseline_rows,
            start=False,
        )

    def examine(
        self, spec: ComparisonSpec, units: Sequence[str], methods: Sequence[MethodSpec]
    ) -> list[Examined]:
        """See `Runner.examine`."""
        self.models.generator.to(self.models.device)
        resolve(self._request(start_spec(spec, units, self.baseline(spec))))
        return [self._examined(spec, units, method) for method in methods]

    def begin(self, plan: Plan) -> None:
        """See `Runner.begin`."""
        journal.begin(self.store, plan, self._images(plan))

    def end(self, plan: Plan) -> None:
        """See `Runner.end`."""
        journal.end(self.store, plan)

    def run(self, plan: Plan, member: Member) -> Found:
        """See `Runner.run`."""
        stage, models = stage_of(plan, member), self.models
        try:
            local.run(
                member.spec,
                oracle=models.oracle,
                generator=models.generator,
                store=self.store,
                study_id=member_id(plan.group_id, member.name),
                device=models.device,
                network=models.catalogue.oracle,
                images=models.images,
                on_generation=lambda progress: self.on_progress(stage, progress),
                on_message=self.on_message,
            )
        except ModelChanged as error:
            raise _mixed(error) from error
        study_id = member_id(plan.group_id, member.name)
        return self._found(study_id, reports.load(self.store, study_id))

    def stored(self, plan: Plan, member: Member) -> Found | None:
        """See `Runner.stored`."""
        study_id = member_id(plan.group_id, member.name)
        try:
            study = reports.load(self.store, study_id)
        except NotFound:
            return None
        try:
            check_models(study_id, study, *self._request(member.spec).fingerprints)
        except ModelChanged as error:
            raise _mixed(error) from error
        return self._found(study_id, study)

    def _found(self, study_id: str, study: Study) -> Found:
        return Found(
            reports.progress(study_id, study),
            with_stimuli(reports.best(study_id, study), self.models.generator),
            list(reports.generations(self.store, study_id)),
            study.created.noisy,
        )

    def natural(self, plan: Plan) -> Natural | None:
        """See `Runner.natural`."""
        stimuli = self.models.stimuli(plan.spec)
        study = reports.load(self.store, member_id(plan.group_id, plan.start.name))
        if stimuli is None or study.natural is None:
            return None
        if study.natural.shape[1] != len(stimuli):
            raise journal.images_changed(plan)
        journal.check_images(self.store, plan, self._images(plan))
        return Natural(study.natural, stimuli)

    def _images(self, plan: Plan) -> str:
        """A digest of the natural images; empty without images. Values are rounded to 8 bits, so
        that other libraries for pictures do not change the digest.
        """
        stimuli = self.models.stimuli(plan.spec)
        if stimuli is None:
            return ""
        pixels = np.rint(255 * stimuli).astype(np.uint8)
        return hashlib.blake2b(pixels.tobytes(), digest_size=16).hexdigest()

    def _request(self, spec: StudySpec) -> Request:
        models = self.models
        return Request(
            spec=spec,
            generator=models.generator,
            oracle=transformed(models.oracle, spec),
            network=models.catalogue.oracle,
            device=models.device,
            images=models.images,
        )

    def _examined(self, spec: ComparisonSpec, units: Sequence[str], method: MethodSpec) -> Examined:
        try:
            asked = OptimizerSpec(method.searches_with, dict(method.parameters))
            found = Examined(build_optimizer(asked).order)
            planned = method_of(spec, method, found)
            request = self._request(study_spec(spec, units, planned, spec.all_seeds[0]))
            resolved = resolve(request)
        except Unsupported as error:
            return Examined(found.order, unavailable=error.message)
        except (InvalidInput, NotFound) as error:
            error.args = (f"method {method.name!r}: {error.message}", *error.args[1:])
            raise
        population = resolved.created.population
        check_generation(method, spec, planned, population)
        restarts = getattr(resolved.optimizer, "restarts", 1)
        return Examined(found.order, population * max(1, restarts or 1))


def _mixed(error: ModelChanged) -> ModelChanged:
    """The error for a comparison whose studies belong to another model."""
    return ModelChanged(
        "a comparison mixes no models, and this one began with another one "
        f"({error.message.partition('. ')[0]}); choose another folder",
        field="oracle",
    )
