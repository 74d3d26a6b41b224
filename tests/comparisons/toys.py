"""A small comparison."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from blackbox_am.comparisons.local import compare
from blackbox_am.comparisons.results import ComparisonResult
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import (
    OracleFailed,
)
from blackbox_am.generators.parametric.pixels import Pixels
from blackbox_am.oracles.simulated import Simulated

SHAPE = (3, 6, 6)
IMAGES = np.random.default_rng(2).integers(0, 256, (12, *SHAPE), np.uint8)
SMALL = {"units": ["units:0", "units:4"], "budget": 60, "seeds": 2, "baseline": IMAGES}


def toy(**fields) -> Simulated:
    return Simulated(**{"stimulus_shape": SHAPE, "gradients": True, "batch_size": 16, **fields})


def compared(oracle: Oracle | None = None, **fields) -> ComparisonResult:
    methods = fields.pop("methods", ["adam", "sep_cma"])
    return compare(
        oracle=oracle or toy(),
        generator=Pixels(SHAPE),
        methods=methods,
        **{**SMALL, **fields},
    )


def facts(result: ComparisonResult) -> list[object]:
    """Everything that must not depend on the run: all but the seconds."""
    runs = [
        [
            value.tobytes() if isinstance(value, np.ndarray) else repr(value)
            for value in vars(replace(run, seconds=0.0)).values()
        ]
        for run in result.runs
    ]
    units = [(unit.unit, unit.natural.tobytes(), unit.start) for unit in result.units]
    return [runs, units, result.methods, result.protocol, result.best_known, result.warnings]


@dataclass(frozen=True)
class Failing(Wrapper):
    """Fails after a number of rows."""

    kind: ClassVar[str] = "failing"
    changes_answers: ClassVar[bool] = False
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"after", "served"})
    after: int = 0
    served: list[int] = field(default_factory=list)

    def observe(self, stimuli, units):
        self.served.append(len(stimuli))
        if self.after and sum(self.served) > self.after:
            raise OracleFailed("the rig is off")
        return self.inner.observe(stimuli, units)
