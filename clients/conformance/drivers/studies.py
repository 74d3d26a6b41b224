"""The verbs of the protocol about studies, for the Python client."""

from __future__ import annotations

from typing import Any

from blackbox_am.core.spec import ObjectiveSpec, SpaceSpec, from_plain, to_plain
from blackbox_am.core.types import StudyState
from clients.conformance.drivers import encoding
from clients.conformance.drivers.session import Plain, Session, given
from clients.conformance.drivers.watches import Watch


class StudyVerbs(Session):
    """Creates, reads, steers and watches studies."""

    def create_study(
        self,
        spec: Plain,
        study_id: str | None = None,
        request_id: str | None = None,
        validate_only: bool = False,
        adopt: bool = False,
    ) -> Plain:
        options: Plain = {"study_id": study_id, "validate_only": validate_only, "adopt": adopt}
        study = self._connected.create(**_create_arguments(spec), **options)
        if request_id:
            study = self._connected.create_from(study.spec(), request_id=request_id, **options)
        seed = str(study.spec().seed) if study.id else None
        return {"study_id": study.id, "seed": seed, "population": None}

    def get_study(self, study_id: str) -> Plain:
        return {"study": encoding.progress(self._study(study_id).progress())}

    def list_studies(
        self, states: list[str] | None = None, labels: dict[str, str] | None = None
    ) -> Plain:
        wanted = [StudyState[state] for state in states or ()]
        return {
            "studies": [
                {"study_id": found.study_id, "state": encoding.word(found.state)}
                for found in self._connected.studies(wanted, labels=labels)
            ]
        }

    def pause(self, study_id: str) -> Plain:
        return {"study": encoding.progress(self._study(study_id).pause())}

    def resume(self, study_id: str) -> Plain:
        return {"study": encoding.progress(self._study(study_id).resume())}

    def cancel(self, study_id: str) -> Plain:
        return {"study": encoding.progress(self._study(study_id).cancel())}

    def extend(self, study_id: str, **budget: Any) -> Plain:
        return {"study": encoding.progress(self._study(study_id).extend(**budget))}

    def delete(self, study_id: str) -> Plain:
        self._study(study_id).delete()
        return {}

    def wait(self, study_id: str, timeout_s: float | None = None) -> Plain:
        return {"study": encoding.progress(self._study(study_id).wait(timeout_s))}

    def generations(self, study_id: str, after: int | None = None) -> Plain:
        found = self._study(study_id).generations(-1 if after is None else after)
        return {"generations": [encoding.generation(one) for one in found]}

    def best(
        self,
        study_id: str,
        stimuli: bool = False,
        dtype: str = "uint8",
        targets: list[int] | None = None,
    ) -> Plain:
        found = self._study(study_id).best(stimuli, targets=targets or (), dtype=dtype)
        return {"best": [encoding.best(one) for one in found]}

    def watch_start(
        self,
        study_id: str,
        watch: str,
        after_sequence: int = 0,
        min_interval_s: float = 0.0,
        reconnect_s: float = 60.0,
    ) -> Plain:
        events = self._study(study_id).watch(
            after_sequence, min_interval_s, reconnect_seconds=reconnect_s
        )
        self._watches[watch] = Watch(events)
        return {}

    def watch_next(self, watch: str, count: int, timeout_s: float) -> Plain:
        return self._watches[watch].next(count, timeout_s)

    def watch_stop(self, watch: str) -> Plain:
        del self._watches[watch]
        return {}


def _create_arguments(spec: Plain) -> Plain:
    arguments = given(spec)
    arguments["targets"] = [
        ObjectiveSpec("mean", quantities=tuple(target)) if isinstance(target, list) else target
        for target in spec["targets"]
    ]
    if "space" in arguments:
        arguments["space"] = from_plain(SpaceSpec, to_plain(given(arguments["space"])))
    if "seed" in arguments:
        arguments["seed"] = int(arguments["seed"])
    return arguments
