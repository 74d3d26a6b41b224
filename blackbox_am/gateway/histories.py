"""Histories of searches, read from the server in a bounded number of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.gateway.documents import events
from blackbox_am.gateway.upstream import Upstream
from blackbox_am.rpc import tensors
from blackbox_am.rpc.names import study_name
from blackbox_am.v1 import study_pb2
from blackbox_am.v1 import study_service_pb2 as pb

MAX_POINTS = 120_000
"""Largest number of targets x generations of one call of the server."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """The course of a search in G generations, for K targets.

    Attributes:
        generations, rows, sequences: (G) number of each generation, rows measured up to its end,
            and number of the event that closed it.
        targets: (K) the targets.
        best_so_far, mean_scores, best_scores: (K, G); nan for none.
        closed_generations: number of generations of which the G were chosen.
    """

    generations: list[int]
    rows: list[int]
    sequences: list[int]
    targets: list[int]
    best_so_far: Numbers
    mean_scores: Numbers
    best_scores: Numbers
    closed_generations: int

    def generation(self, column: int) -> dict[str, Any]:
        """The content of the message about one of the generations."""
        part = np.flatnonzero(~np.isnan(self.mean_scores[:, column]))
        return events.generation(
            self.generations[column],
            self.rows[column],
            [self.targets[place] for place in part.tolist()],
            self.best_scores[part, column].tolist(),
            self.mean_scores[part, column].tolist(),
            self.best_so_far[part, column].tolist(),
        )


async def curves(
    upstream: Upstream, study_id: str, targets: Sequence[int], count: int, after: int = 0
) -> Curves:
    """The course of a search in `count` generations at most, always with the first and the last.

    Args:
        upstream: the connection.
        study_id: the study.
        targets: the targets; all if empty.
        count: 2 or more.
        after: only generations that were closed by an event after this number.

    Raises:
        BlackboxError: the server's error.
    """
    request = pb.GetCurvesRequest(
        name=study_name(study_id), targets=targets, max_generations=count, after_sequence=after
    )
    answer = await upstream.call(upstream.studies.GetCurves, request)
    return Curves(
        list(answer.generations),
        list(answer.search_rows),
        list(answer.sequences),
        list(answer.targets),
        tensors.from_proto(answer.best_so_far),
        tensors.from_proto(answer.mean_scores),
        tensors.from_proto(answer.best_scores),
        answer.closed_generations,
    )


def targets_of_message(study: study_pb2.Study) -> list[int]:
    """The targets of a study of which a reader is told, as many as one call can have."""
    return list(range(min(study.target_count, MAX_POINTS // 2)))
