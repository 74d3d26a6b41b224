"""Best candidates with their stimuli, read for many targets at a time.

A page asks for the pictures of all targets one by one, and rendering many stimuli costs the server
little more than rendering one. Requests for targets of one block therefore share a call, and
rendered stimuli are kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

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
COUNT_SECONDS = 10.0
"""Seconds for which the number of targets of a study is used."""

Found = dict[int, study_pb2.Best]
Key = tuple[str, int, int | None, bool]


class Bests:
    """Reads best candidates.

    Args:
        upstream: the connection.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._rendered = Kept(KEPT_BYTES)
        self._gathering: dict[Key, asyncio.Future[Found]] = {}
        self._counts: dict[str, tuple[int, float]] = {}
        self._calling = asyncio.Semaphore(4)

    async def best(
        self, study_id: str, target: int, generation: int | None
    ) -> study_pb2.Best | None:
        """The best candidate of a target, without its stimulus; None if there is none.

        Args:
            study_id: the study.
            target: the target.
            generation: the best as it stood after this generation; now if None.

        Raises:
            InvalidInput: for a target that the study does not have.
            BlackboxError: the server's error.
        """
        count = await self._count(study_id)
        if target >= count:
            raise InvalidInput(
                f"targets: the study has targets 0 to {count - 1}, got {target}", field="target"
            )
        return (await self._block((study_id, target // BLOCK, generation, False), count)).get(
            target
        )

    async def rendered(
        self, study_id: str, best: study_pb2.Best, generation: int | None
    ) -> study_pb2.Best:
        """A best candidate with its stimuli as uint8. A better one may be found meanwhile.

        Args:
            study_id: the study.
            best: as `best` returned it.
            generation: as of `best`.

        Raises:
            InvalidInput: for a study without a generator.
            BlackboxError: the server's error.
        """
        kept = self._rendered.get(_key(study_id, best))
        if kept is not None:
            return study_pb2.Best.FromString(kept)
        count = await self._count(study_id)
        found = await self._block((study_id, best.target // BLOCK, generation, True), count)
        for one in found.values():
            self._rendered.put(_key(study_id, one), one.SerializeToString())
        return found.get(best.target, best)

    async def _count(self, study_id: str) -> int:
        """Number of targets of a study."""
        count, read_at = self._counts.get(study_id, (0, -COUNT_SECONDS))
        if time.monotonic() - read_at >= COUNT_SECONDS:
            request = pb.GetStudyRequest(name=study_name(study_id), view=study_pb2.STUDY_VIEW_BASIC)
            answer = await self._upstream.call(self._upstream.studies.GetStudy, request)
            count = answer.study.target_count
            if len(self._counts) > 1000:
                self._counts.clear()
            self._counts[study_id] = (count, time.monotonic())
        return count

    async def _block(self, key: Key, count: int) -> Found:
        """The best candidates of a block, of a call that begins after this one."""
        waiting = self._gathering.get(key)
        if waiting is None:
            waiting = asyncio.ensure_future(self._called(key, count))
            self._gathering[key] = waiting
        return await asyncio.shield(waiting)  # one caller that leaves does not stop the others

    async def _called(self, key: Key, count: int) -> Found:
        study_id, block, generation, stimuli = key
        await asyncio.sleep(GATHER_SECONDS)
        async with self._calling:
            del self._gathering[key]  # later callers want what is known later
            request = pb.GetBestRequest(
                name=study_name(study_id),
                with_stimuli=stimuli,
                stimulus_dtype=tensor_pb2.DTYPE_UINT8,
                targets=range(block * BLOCK, min((block + 1) * BLOCK, count)),
                generation=generation,
            )
            return await _pages(request, self._call)

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


def _key(study_id: str, best: study_pb2.Best) -> str:
    """A key for the stimuli of a best candidate, which its latent and its baseline determine."""
    natural = best.natural
    return tag(study_id, best.target, best.latent.data, natural.best_image, natural.maximum)
