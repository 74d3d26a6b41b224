"""The natural images that excite a unit most: observed once for a layer, and remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
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
ANSWER_BYTES = KEPT_BYTES // 4
"""Bytes of one answer, so that several are remembered: fewer units are observed together for more
images.
"""
BYTES = 8
"""Of an activation, at most."""

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
        self._observing: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

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

        def stimuli(places: Sequence[int]) -> Answers:
            return images.stimuli(info.stimulus_shape, [chosen[at] for at in places]).numpy()

        found = self._activations(
            oracle, unit, (request.oracle, name, rows), lambda: stimuli(range(len(chosen)))
        )
        known = np.flatnonzero(~np.isnan(found))
        order = known[np.argsort(-found[known], kind="stable")][:count].tolist()
        shown = stimuli(order) if order else ()
        return pb.GetTopImagesResponse(
            images=[
                pb.TopImage(
                    image=place,
                    activation=found[place],
                    stimulus=tensors.to_proto(as_dtype(stimulus, dtype)),
                )
                for place, stimulus in zip(order, shown, strict=True)
            ],
            observed=len(chosen),
        )

    def _activations(
        self,
        oracle: Oracle,
        unit: Unit,
        key: tuple[str, str, int],
        stimuli: Callable[[], Answers],
    ) -> Answers:
        """(N,) activations of a unit for the images.

        Args:
            oracle: the oracle.
            unit: the unit.
            key: names of the oracle and the images, and the largest number of images.
            stimuli: makes the stimuli (N, *stimulus).
        """
        name, _, rows = key
        block, units = _together(oracle, unit, min(UNITS_AT_ONCE, ANSWER_BYTES // (BYTES * rows)))
        place = (*key, oracle.fingerprint().digest, block)
        with self._lock:
            observing = self._observing[name]
        with observing:  # two readers of one layer pay for one observation
            answers = self._known(place)
            if answers is None:
                counting = self._backend.authority.quotas.rows
                answers = observe(oracle, stimuli(), units, counting)
                self._keep(place, answers)
        return answers[:, units.index(str(unit))]

    def _known(self, key: tuple[Any, ...]) -> Answers | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[Any, ...], answers: Answers) -> None:
        with self._lock:
            self._kept[key] = answers
            while sum(kept.nbytes for kept in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)


def _together(oracle: Oracle, unit: Unit, most: int) -> tuple[str, list[str]]:
    """The units to observe with `unit`, `most` of them: those of its layer with the same position
    and reduction, and a name for them.
    """
    if unit.index is None:
        return str(unit), [str(unit)]
    layer = find_layer(oracle.describe(), unit)
    first = unit.index // most * most
    numbers = range(first, min(first + most, layer.units))
    units = [str(replace(unit, index=index)) for index in numbers]
    return units[0], units


def _between(number: int, most: int, field: str) -> int:
    if not 1 <= number <= most:
        raise InvalidInput(f"{field} must be 1 to {most}, got {number}", field=field)
    return number
