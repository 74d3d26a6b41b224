"""The natural images that excite a unit most: observed once for a layer, and remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.baselines import which
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import MAX_BASELINE_ROWS, BaselineSpec
from blackbox_am.core.units import Unit, check_unit, find_layer
from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import tensors
from blackbox_am.service.backend import Backend
from blackbox_am.service.oracles import observe
from blackbox_am.service.stimuli import as_dtype, check_stimulus_dtype
from blackbox_am.v1 import catalog_service_pb2 as pb

SHIPPED = "shipped"
DEFAULT_COUNT = 9
MAX_COUNT = 100
DEFAULT_ROWS = 200
UNITS_AT_ONCE = 4096
"""Largest number of units of a layer that are observed together with the requested unit."""
KEPT_BYTES = 2**26
"""Bytes of the remembered answers; the least recently used are dropped first."""

Answers = NDArray[Any]


class TopImages:
    """Finds natural images for units, and remembers the activations of whole layers.

    Args:
        backend: the server's oracles and images.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._kept: OrderedDict[tuple[Any, ...], Answers] = OrderedDict()
        self._lock = threading.Lock()
        self._observing = threading.Lock()

    def answer(self, request: pb.GetTopImagesRequest) -> pb.GetTopImagesResponse:
        """The images with the highest activation of a unit.

        Raises:
            NotFound: for an unknown oracle or set of images.
            UnknownUnit: for a unit that the oracle lacks.
            ShapeMismatch: if the images cannot become stimuli of the oracle.
            InvalidInput: for numbers that are out of range.
            OracleError: if the oracle fails.
        """
        dtype = check_stimulus_dtype(request.stimulus_dtype)
        count = _between(request.count or DEFAULT_COUNT, MAX_COUNT, "count")
        rows = _between(request.rows or DEFAULT_ROWS, MAX_BASELINE_ROWS, "rows")
        oracle, unit = self._backend.oracle(request.oracle), Unit.parse(request.unit)
        info = oracle.describe()
        check_unit(info, unit)
        name = request.images or SHIPPED
        images = self._backend.config.catalogue.images(name)
        chosen = which(BaselineSpec(images=name, rows=rows), len(images))
        stimuli = images.stimuli(info.stimulus_shape, chosen).numpy()
        found = self._activations(oracle, unit, (request.oracle, name, rows), stimuli)
        known = np.flatnonzero(~np.isnan(found))
        order = known[np.argsort(-found[known], kind="stable")][:count]
        return pb.GetTopImagesResponse(
            images=[
                pb.TopImage(
                    image=place,
                    activation=found[place],
                    stimulus=tensors.to_proto(as_dtype(stimuli[place], dtype)),
                )
                for place in order.tolist()
            ],
            observed=len(chosen),
        )

    def _activations(
        self, oracle: Oracle, unit: Unit, key: tuple[Any, ...], stimuli: Answers
    ) -> Answers:
        """(N,) activations of a unit for the images."""
        block, units = _together(oracle, unit)
        key = (*key, oracle.fingerprint().digest, block)
        with self._observing:  # two readers of one layer pay for one observation
            with self._lock:
                answers = self._kept.get(key)
            if answers is None:
                answers = observe(oracle, stimuli, units, self._backend.authority.quotas.rows)
                self._keep(key, answers)
        return answers[:, units.index(str(unit))]

    def _keep(self, key: tuple[Any, ...], answers: Answers) -> None:
        with self._lock:
            self._kept[key] = answers
            while sum(kept.nbytes for kept in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)


def _together(oracle: Oracle, unit: Unit) -> tuple[str, list[str]]:
    """The units to observe with `unit`: those of its layer with the same position and reduction,
    and a name for them.
    """
    if unit.index is None:
        return str(unit), [str(unit)]
    layer = find_layer(oracle.describe(), unit)
    first = unit.index // UNITS_AT_ONCE * UNITS_AT_ONCE
    numbers = range(first, min(first + UNITS_AT_ONCE, layer.units))
    units = [str(replace(unit, index=index)) for index in numbers]
    return units[0], units


def _between(number: int, most: int, field: str) -> int:
    if not 1 <= number <= most:
        raise InvalidInput(f"{field} must be 1 to {most}, got {number}", field=field)
    return number
