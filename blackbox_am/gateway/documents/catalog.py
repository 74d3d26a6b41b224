"""Oracles and generators as JSON."""

from __future__ import annotations

from typing import Any

from blackbox_am.core.stimuli import kind_of
from blackbox_am.gateway.documents import words
from blackbox_am.rpc import structs
from blackbox_am.v1 import catalog_service_pb2 as pb
from blackbox_am.v1 import oracle_service_pb2 as oracle_pb
from blackbox_am.v1 import study_pb2

Document = dict[str, Any]


def oracle(message: pb.OracleInfo, *, labels: bool = False) -> Document:
    """An oracle with its layers.

    Args:
        message: the oracle.
        labels: whether to give the names of units too.
    """
    info = message.description
    shape = list(info.stimulus_shape)
    return {
        "name": message.name,
        "problem": message.problem,
        "kind": info.kind,
        "capabilities": [words.capability(number) for number in info.capabilities],
        "deterministic": info.deterministic,
        "stimulus_shape": shape,
        "stimulus_kind": kind_of(shape) if shape else None,
        "wrappers": list(info.wrappers),
        "fingerprint": info.fingerprint,
        "notes": list(info.notes),
        "unit_count": sum(layer.units for layer in info.layers),
        "layers": [_layer(layer, labels) for layer in info.layers],
    }


def _layer(layer: oracle_pb.Layer, labels: bool) -> Document:
    found: Document = {
        "name": layer.name,
        "kind": layer.kind,
        "shape": list(layer.shape),
        "axes": list(layer.axes),
        "units": layer.units,
        "after_nonlinearity": layer.after_nonlinearity,
    }
    return found | {"labels": list(layer.labels)} if labels else found


def generator(message: pb.GeneratorInfo) -> Document:
    """A generator."""
    shape = list(message.stimulus_shape)
    return {
        "name": message.name,
        "kind": message.kind,
        "summary": message.summary,
        "problem": message.problem,
        "licence": message.licence,
        "space": {
            "kind": study_pb2.SpaceKind.Name(message.space.kind)
            .removeprefix("SPACE_KIND_")
            .lower(),
            "dimension": message.space.dimension,
        },
        "stimulus_shape": shape,
        "stimulus_kind": kind_of(shape) if shape else None,
        "differentiable": message.differentiable,
        "targets": message.targets,
        "columns": [structs.from_proto(column, field="columns") for column in message.columns],
    }
