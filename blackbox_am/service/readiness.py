"""What health checks are told: whether the store can be used, and which oracles answer.

The services, and the empty name, are SERVING while the store can be used. `oracles/NAME` is SERVING
while no call of the oracle hangs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from grpc_health.v1 import health, health_pb2

from blackbox_am.errors import StoreError
from blackbox_am.service.backend import Backend

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Seconds between two looks at the store and the oracles."""
ORACLES = "oracles/"

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Readiness:
    """Keeps the answers to health checks up to date.

    Args:
        health: the servicer that answers.
        backend: the parts of the server.
        services: names of the services.
    """

    def __init__(
        self, health: health.aio.HealthServicer, backend: Backend, services: Sequence[str]
    ) -> None:
        self._health = health
        self._backend = backend
        self._services = ("", *services)
        self._said: dict[str, int] = {}

    async def watch(self) -> None:
        """Looks at the store and the oracles until the task is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Sets the answers to what the store and the oracles are now."""
        problem = await self._backend.in_thread(self._store_problem)
        if problem and self._said.get("") != _NOT_SERVING:
            log.error("not ready: %s", problem)
        for name in self._services:
            await self._say(name, not problem)
        hanging = self._backend.hanging()
        for name in self._backend.config.catalogue.oracle_names():
            await self._say(ORACLES + name, name not in hanging)

    def _store_problem(self) -> str:
        try:
            self._backend.store.check()
        except StoreError as error:
            return error.message
        return ""

    async def _say(self, name: str, ready: bool) -> None:
        status = _SERVING if ready else _NOT_SERVING
        if self._said.get(name) != status:
            self._said[name] = status
            await self._health.set(name, status)
