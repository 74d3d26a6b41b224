"""Natural images of a client as the baseline of a study on a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from blackbox_am.client import artifacts
from blackbox_am.client.connection import Connection
from blackbox_am.core.baselines import folder_array, is_local
from blackbox_am.core.pictures import Pictures, pictures
from blackbox_am.core.spec import BaselineSpec
from blackbox_am.core.tensors import npy_of
from blackbox_am.errors import InvalidSpec
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb

Baseline: TypeAlias = "Pictures | BaselineSpec | None"


def baseline_spec(
    connection: Connection, baseline: Baseline, oracle: str | None
) -> BaselineSpec | None:
    """The specification of a baseline; images of this machine are sent to the server.

    Args:
        connection: to the server.
        baseline: a set of the server by its name, a folder or file of this machine, an array or
            images of PIL as `core.pictures.pictures` takes them, a specification, or None.
        oracle: name of the study's oracle, which determines the size of a folder's pictures.

    Raises:
        InvalidSpec, ShapeMismatch: for images that cannot be read or sent.
        BlackboxError: the server's error.
    """
    if baseline is None or isinstance(baseline, BaselineSpec):
        return baseline
    if isinstance(baseline, str) and not is_local(baseline):
        return BaselineSpec(images=baseline)
    if isinstance(baseline, (str, os.PathLike)) and Path(baseline).is_dir():
        if oracle is None:
            raise InvalidSpec(
                "baseline: natural images are observed by the study's oracle; name an oracle",
                field="baseline",
            )
        request = oracle_pb.DescribeOracleRequest(oracle=oracle)
        described = connection.call(connection.oracles.DescribeOracle, request)
        baseline = folder_array(baseline, tuple(described.stimulus_shape), BaselineSpec("x").rows)
    digest = artifacts.write(connection, npy_of(pictures(baseline, field="baseline")))
    return BaselineSpec(artifact=digest)
