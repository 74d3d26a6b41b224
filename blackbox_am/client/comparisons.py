"""A comparison of search methods whose studies run on a server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.client.client import Client
from blackbox_am.client.study import Study
from blackbox_am.comparisons.choosing import units_of
from blackbox_am.comparisons.planning import (
    Examined,
    Member,
    Plan,
    check_generation,
    method_of,
    slug,
    stage_of,
    start_spec,
    study_spec,
)
from blackbox_am.comparisons.problem import ComparisonSpec, MethodSpec
from blackbox_am.comparisons.run import Compared, collected, plan_of, run
from blackbox_am.comparisons.running import Found, Natural
from blackbox_am.core.spec import BaselineSpec
from blackbox_am.core.types import OracleInfo, StudyProgress, StudyState
from blackbox_am.core.units import Unit
from blackbox_am.errors import (
    InvalidInput,
    InvalidSpec,
    ModelChanged,
    NotFound,
    OracleFailed,
    Unsupported,
)


def compare(
    client: Client,
    spec: ComparisonSpec,
    *,
    natural: NDArray[Any] | None = None,
    measure: bool = True,
    on_progress: Callable[[str, StudyProgress], None] = lambda stage, progress: None,
) -> Compared:
    """Compares methods on a model of a server, as `comparisons.local.compare` does in this process.

    The studies are a group on the server, which runs them also if this process ends; a repeated
    call finds and continues them. The id of the group follows from the comparison: another
    comparison of the same name is another group. The stimuli are measured no further:
    `comparisons.examining.examine` does it with models of this process.

    Args:
        client: a connection to the server.
        spec: the comparison. Its names are those of the server, except for the natural images.
        natural: (N, *stimulus) natural images in [0, 1], or uint8, which the server's model
            observes at each call; none if None.
        measure: whether the studies are run; else the result is what the server has.
        on_progress: called with the stage and its progress when it changes.

    Raises:
        NotFound: if the server lacks the oracle or the generator.
        OracleFailed: if the study of the start failed.
        ModelChanged: if the comparison began with other models of the same names.
        InvalidSpec: for natural images in a comparison with transforms.
        BlackboxError: as `comparisons.local.compare`.
    """
    if natural is not None and spec.transforms is not None:
        raise InvalidSpec(
            "baseline: a server does not transform natural images that a client shows to its "
            'model; leave them out (baseline = ""), or compare in this process',
            field="baseline",
        )
    runner = RemoteRunner(client, spec, natural, on_progress)
    plan = plan_of(spec, runner)
    return run(plan, runner) if measure else collected(plan, runner)


@dataclass(frozen=True)
class RemoteRunner:
    """Runs the studies of a comparison on a server.

    Attributes:
        client: a connection to the server.
        spec: the comparison.
        images: natural images; None for none.
        on_progress: as of `compare`.
    """

    client: Client
    spec: ComparisonSpec
    images: NDArray[Any] | None
    on_progress: Callable[[str, StudyProgress], None]

    def describe(self) -> OracleInfo:
        """See `Runner.describe`."""
        return self.client.oracle_info(self.spec.oracle)

    def identity(self) -> Mapping[str, str]:
        """See `Runner.identity`."""
        return {
            "oracle's fingerprint": self.describe().fingerprint,
            "server": self.client.server_info().version,
        }

    def baseline(self, spec: ComparisonSpec) -> BaselineSpec | None:
        """None: this process has the images, see `natural`."""
        del spec
        return None

    def examine(
        self, spec: ComparisonSpec, units: Sequence[str], methods: Sequence[MethodSpec]
    ) -> list[Examined]:
        """See `Runner.examine`."""
        self.client.preview(start_spec(spec, units, None))
        orders = {one.name: one.order for one in self.client.optimizers()}
        return [
            self._examined(spec, units, method, orders.get(method.searches_with, 0))
            for method in methods
        ]

    def begin(self, plan: Plan) -> None:
        """See `Runner.begin`.

        Raises:
            ModelChanged: if the comparison began with other models of the same names.
        """
        self.stored(plan, plan.start)
        self.client.create_group(
            {member.name: member.spec for member in (plan.start, *plan.members)},
            group_id=group_id_of(plan),
            labels={"comparison": slug(plan.spec.name, 60) or "comparison"},
        )

    def end(self, plan: Plan) -> None:
        """See `Runner.end`."""

    def run(self, plan: Plan, member: Member) -> Found:
        """See `Runner.run`.

        Raises:
            OracleFailed: if the study failed and found nothing.
        """
        study = self.client.create_from(member.spec, study_id=_study_id(plan, member))
        progress = study.progress()
        if progress.state in (StudyState.PAUSED, StudyState.FAILED):
            progress = study.resume()  # a repeated call continues the study
        stage = stage_of(plan, member)
        for progress in study.follow():
            self.on_progress(stage, progress)
            if progress.state is StudyState.PAUSED:
                break
        found = self.stored(plan, member)
        assert found is not None  # the study has just run
        if progress.state is StudyState.FAILED and not found.best:
            raise OracleFailed(f"study {study.id} failed: {progress.message}")
        return found

    def stored(self, plan: Plan, member: Member) -> Found | None:
        """See `Runner.stored`."""
        try:
            study = self.client.study(_study_id(plan, member))
        except NotFound:
            return None
        self._check_models(study)
        return Found(
            study.progress(),
            study.best(stimuli=True, dtype="float32"),
            list(study.generations()),
            study.noisy,
        )

    def natural(self, plan: Plan) -> Natural | None:
        """See `Runner.natural`."""
        if self.images is None or not len(self.images):
            return None
        images = self.images
        if images.dtype == np.uint8:
            images = images.astype(np.float32) / np.float32(255)
        images = images.astype(np.float32, copy=False)
        return Natural(self._scores(plan, images), images)

    def _scores(self, plan: Plan, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """(K, N) the scores of natural images, whose measures are computed in this process."""
        from blackbox_am.comparisons.targets import objectives_of
        from blackbox_am.evaluation.scoring import scores_of

        def observe(units: Sequence[Unit]) -> NDArray[np.float64]:
            found = self.client.observe(self.spec.oracle, images, [str(unit) for unit in units])
            return found.astype(np.float64)

        return scores_of(objectives_of(plan.units, plan.spec.penalties), images, observe)

    @cached_property
    def _fingerprints(self) -> tuple[str, str]:
        """The present fingerprints of the server's models, under the comparison's transforms."""
        units = units_of(self.spec, self.describe())
        return self.client.fingerprints(start_spec(self.spec, units, None))

    def _check_models(self, study: Study) -> None:
        """Checks that a study began with the models that the server has now.

        Raises:
            ModelChanged: if it did not.
        """
        pairs = zip(("oracle", "generator"), study.fingerprints, self._fingerprints, strict=True)
        changed = [noun for noun, before, now in pairs if before and now and before != now]
        if changed:
            raise ModelChanged(
                "a comparison mixes no models, and the study "
                f"{study.id} began with another {' and '.join(changed)} of the same name; give "
                "the comparison another name",
                field=changed[0],
            )

    def _examined(
        self, spec: ComparisonSpec, units: Sequence[str], method: MethodSpec, order: int
    ) -> Examined:
        planned = method_of(spec, method, Examined(order))
        request = study_spec(spec, units, planned, spec.all_seeds[0])
        try:
            population = self.client.preview(request)
        except Unsupported as error:
            return Examined(order, unavailable=error.message)
        except (InvalidInput, NotFound) as error:
            error.args = (f"method {method.name!r}: {error.message}", *error.args[1:])
            raise
        check_generation(method, spec, planned, population)
        restarts = method.parameters.get("restarts", 1)
        return Examined(order, population * (restarts if isinstance(restarts, int) else 1))


def group_id_of(plan: Plan) -> str:
    """The id of the group: the name of the comparison, and a digest of its studies."""
    names = ",".join(member.name for member in (plan.start, *plan.members))
    digest = hashlib.blake2b(names.encode(), digest_size=4).hexdigest()
    return f"{slug(plan.spec.name, 23) or 'comparison'}-{digest}"


def _study_id(plan: Plan, member: Member) -> str:
    return f"{group_id_of(plan)}-{member.name}"
