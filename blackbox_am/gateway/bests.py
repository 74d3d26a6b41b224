"""Best candidates with their stimuli, read for many targets at a time.

A page asks for the pictures of all targets one by one, and rendering many stimuli costs the server
little more than rendering one. Requests for targets of one block therefore share a call, and
rendered stimuli are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from blackbox_am.errors import InvalidInput
from blackbox_am.gateway.answers import tag
from blackbox_am.gateway.kept import Kept
from blackbox_am.gateway.upstream import Upstream
from blackbox_am.rpc.names import study_name
from blackbox_am.v1 import study_pb2, tensor_pb2
from blackbox_am.v1 import study_service_pb2 as pb

BLOCK = 32
"""Number of targets of a block."""
GATHER_SECONDS = 0.01
"""Seconds in which requests gather before a call."""
KEPT_BYTES = 2**26

Found = dict[int, study_pb2.Best]
Block = tuple[int, int, Found]
"""When the study was created, the number of its targets, and candidates by target."""
Key = tuple[str, int, int | None, bool]


@dataclass(frozen=True, slots=True)
class Place:
    """A best candidate, and what it is the best of.

    Attributes:
        study_id: the study.
        made: when the study was created, in nanoseconds; another study of the same id has another
            time.
        best: the candidate.
    """

    study_id: str
    made: int
    best: study_pb2.Best

    def tag(self, *more: object) -> str:
        """A tag for what follows from the candidate.

        Latents alone do not determine a stimulus: a study may have another input for each target.
        """
        best = self.best
        return tag(self.study_id, self.made, best.target, best.latent.data, *more)


class Bests:
    """Reads best candidates.

    Args:
        upstream: the connection.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._rendered = Kept(KEPT_BYTES)
        self._gathering: dict[Key, asyncio.Future[Block]] = {}
        self._calling = asyncio.Semaphore(4)

    async def best(self, study_id: str, target: int, generation: int | None) -> Place | None:
        """The best candidate of a target, without its stimulus; None if there is none.

        Args:
            study_id: the study.
            target: the target.
            generation: the best as it stood after this generation; now if None.

        Raises:
            InvalidInput: for a target that the study does not have.
            BlackboxError: the server's error.
        """
        return await self._one((study_id, target // BLOCK, generation, False), target)

    async def rendered(self, place: Place, generation: int | None) -> Place:
        """A best candidate with its stimuli as uint8. A better one may be found meanwhile.

        Args:
            place: as `best` returned it.
            generation: as of `best`.

        Raises:
            InvalidInput: for a study without a generator.
            BlackboxError: the server's error.
        """
        kept = self._rendered.get(_key(place))
        if kept is not None:
            return Place(place.study_id, place.made, study_pb2.Best.FromString(kept))
        target = place.best.target
        found = await self._one((place.study_id, target // BLOCK, generation, True), target)
        return found or place

    async def _one(self, key: Key, target: int) -> Place | None:
        """The best candidate of a target, read with its block by a call that begins after this."""
        waiting = self._gathering.get(key)
        if waiting is None:
            waiting = asyncio.ensure_future(self._called(key))
            self._gathering[key] = waiting
        # One caller that leaves does not stop the others.
        made, count, found = await asyncio.shield(waiting)
        if target >= count:
            raise InvalidInput(
                f"targets: the study has targets 0 to {count - 1}, got {target}", field="target"
            )
        return Place(key[0], made, found[target]) if target in found else None

    async def _called(self, key: Key) -> Block:
        """The best candidates of a block of targets."""
        study_id, block, generation, stimuli = key
        await asyncio.sleep(GATHER_SECONDS)
        async with self._calling:
            del self._gathering[key]  # later callers want what is known later
            made, count = await self._study(study_id)
            targets = range(block * BLOCK, min((block + 1) * BLOCK, count))
            if not targets:
                return made, count, {}
            request = pb.GetBestRequest(
                name=study_name(study_id),
                with_stimuli=stimuli,
                stimulus_dtype=tensor_pb2.DTYPE_UINT8,
                targets=targets,
                generation=generation,
            )
            found = await _pages(request, self._call)
        for best in found.values() if stimuli else ():
            self._rendered.put(_key(Place(study_id, made, best)), best.SerializeToString())
        return made, count, found

    async def _study(self, study_id: str) -> tuple[int, int]:
        """When a study was created, and the number of its targets."""
        request = pb.GetStudyRequest(name=study_name(study_id), view=study_pb2.STUDY_VIEW_BASIC)
        answer = await self._upstream.call(self._upstream.studies.GetStudy, request)
        return answer.study.create_time.ToNanoseconds(), answer.study.target_count

    async def _call(self, request: pb.GetBestRequest) -> pb.GetBestResponse:
        answer: pb.GetBestResponse = await self._upstream.call(
            self._upstream.studies.GetBest, request
        )
        return answer


async def _pages(
    request: pb.GetBestRequest,
    call: Callable[[pb.GetBestRequest], Awaitable[pb.GetBestResponse]],
) -> Found:
    found: Found = {}
    while True:
        answer = await call(request)
        found |= {best.target: best for best in answer.best}
        request.page_token = answer.next_page_token
        if not request.page_token:
            return found


def _key(place: Place) -> str:
    """A key for the stimuli of a best candidate, which it and its natural images determine."""
    natural = place.best.natural
    return place.tag(natural.best_image, natural.maximum)
