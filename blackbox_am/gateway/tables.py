"""Rows of tables: the columns of the server's generators, and the values of a row."""

from __future__ import annotations

import time
from typing import Any

from numpy.typing import NDArray

from blackbox_am.core.columns import Column, TableSchema
from blackbox_am.core.spec import from_plain
from blackbox_am.gateway.upstream import Upstream
from blackbox_am.rpc import structs
from blackbox_am.v1 import catalog_service_pb2 as pb
from blackbox_am.v1 import study_pb2

FRESH_SECONDS = 60.0
"""Seconds for which a list of columns is used."""


class Tables:
    """The columns of the server's generators of table rows, read now and then.

    Args:
        upstream: the connection.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._schemas: dict[str, TableSchema] = {}
        self._read_at = -FRESH_SECONDS

    async def row(self, study: study_pb2.Study, stimulus: NDArray[Any]) -> dict[str, Any] | None:
        """The value of each column for a stimulus (D,) of a study; None if its columns are unknown.

        Raises:
            BlackboxError: the server's error.
        """
        spec = study.spec.generator
        if spec.inputs or "columns" in spec.parameters.fields:
            return None
        if time.monotonic() - self._read_at >= FRESH_SECONDS:
            self._schemas = {
                found.name: _schema(found)
                for found in await generators(self._upstream)
                if found.columns
            }
            self._read_at = time.monotonic()
        schema = self._schemas.get(spec.name)
        if schema is None or len(schema.features) != len(stimulus):
            return None
        return schema.rows(stimulus[None])[0]


async def generators(upstream: Upstream) -> list[pb.GeneratorInfo]:
    """The generators of the server.

    Raises:
        BlackboxError: the server's error.
    """
    found: list[pb.GeneratorInfo] = []
    token = ""
    while True:
        request = pb.ListGeneratorsRequest(page_token=token)
        answer = await upstream.call(upstream.catalog.ListGenerators, request)
        found += answer.generators
        token = answer.next_page_token
        if not token:
            return found


def _schema(message: pb.GeneratorInfo) -> TableSchema:
    plain = [structs.from_proto(column, field="columns") for column in message.columns]
    return TableSchema(tuple(from_plain(Column, column) for column in plain))
