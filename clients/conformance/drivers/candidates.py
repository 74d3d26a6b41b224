"""The verbs of the protocol about candidates, for the Python client."""

from __future__ import annotations

from typing import Any

import numpy as np

from blackbox_am.client import Candidates
from clients.conformance.drivers import encoding
from clients.conformance.drivers.models import Model
from clients.conformance.drivers.session import Plain, Session, given


class CandidateVerbs(Session):
    """Asks for candidates, measures and tells."""

    def __init__(self) -> None:
        super().__init__()
        self._leases: dict[str, Candidates] = {}

    def ask(self, study_id: str, n: int = 0, **options: Any) -> Plain:
        renamed = {
            "stimuli": options.get("stimuli"),
            "dtype": options.get("dtype"),
            "lease": options.get("lease_s"),
        }
        wait = options.get("timeout_s")
        found = self._study(study_id).ask(n, timeout=wait or 0, **given(renamed))
        self._leases[found.lease_id] = found
        return {
            "candidate_ids": [str(number) for number in found.ids],
            "targets": list(found.targets),
            "generation": found.generation,
            "latents": encoding.tensor(found.latents),
            "stimuli": encoding.tensor(found.stimuli),
            "lease_id": found.lease_id,
            "lease_s": found.lease_seconds,
            "state": encoding.word(found.state),
            "done": found.done,
            "retry_after_s": found.retry_after,
        }

    def tell(
        self,
        study_id: str,
        candidate_ids: list[str],
        scores: list[float | str] | None = None,
        values: Plain | None = None,
        all_units: bool = False,
    ) -> Plain:
        array = encoding.array_of(values) if values else None
        numbers = [encoding.number_of(score) for score in scores or ()]
        told = self._study(study_id).tell(
            [int(number) for number in candidate_ids],
            np.array(numbers, np.float64) if array is None else array,
            all_units=all_units,
        )
        return {
            "accepted": told.accepted,
            "repeated": told.repeated,
            "state": encoding.word(told.state),
            "generation": told.generation,
            "sequence": told.sequence,
            "done": told.done,
        }

    def renew(self, study_id: str, lease_id: str, lease_s: float) -> Plain:
        return {"held": self._study(study_id).renew(self._leases[lease_id], lease_s)}

    def ask_tell(
        self,
        study_id: str,
        model: Plain,
        input: str = "latents",  # noqa: A002  # the protocol's word
        dtype: str = "uint8",
        n: int = 0,
        pause_ms: float = 0,
    ) -> Plain:
        function = Model(model, pause_ms / 1000)
        self._study(study_id).ask_tell(function, n, stimuli=input == "stimuli", dtype=dtype)
        return {"measured": function.measured, "calls": function.calls}
