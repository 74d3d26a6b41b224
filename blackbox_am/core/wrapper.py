"""The contract of a wrapper, an oracle around another oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from blackbox_am.core.capability import Capability
from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.metering import observed
from blackbox_am.core.oracle import Oracle, check_answer
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec


@dataclass(frozen=True)
class Wrapper(Oracle):
    """An oracle that calls another oracle and changes its input, its output or the call itself.

    Wrappers can be put around any oracle, and around each other:
    ``Retry(Cache(Remote("host:50052"), path="answers.sqlite3"))``.

    Attributes:
        inner: the wrapped oracle.

    Raises:
        InvalidSpec: if `inner` is not an oracle.
    """

    counts_itself: ClassVar[bool] = True
    changes_answers: ClassVar[bool] = False
    """Whether the answers can differ from those of `inner`; if not, both are the same for a
    cache.
    """

    inner: Any

    def __post_init__(self) -> None:
        check_inner(self.kind, self.inner, Oracle, "an oracle")

    @property
    def billable(self) -> bool:  # type: ignore[override]  # as in the inner oracle
        """Whether a row costs something."""
        return bool(self.inner.billable)

    def describe(self) -> OracleInfo:
        # No cached_property: its lock is shared by all wrappers, and a model's description may be
        # slow.
        known: OracleInfo | None = vars(self).get("_info")
        if known is None:
            info = self.inner.describe()
            # The protocol of interventions belongs to the oracle itself.
            info = replace(info, capabilities=info.capabilities & ~Capability.INTERVENTION)
            known = self.around(replace(info, wrappers=(self.kind, *info.wrappers)))
            vars(self)["_info"] = known
        return known

    def around(self, info: OracleInfo) -> OracleInfo:
        """The description, from the description `info` of `inner`. Override what the wrapper
        changes.
        """
        return info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        return self.ask(stimuli, units)

    def ask(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """Activations (N, U) of `inner`. The call is counted.

        Raises:
            OracleFailed: if the answer has another shape.
        """
        answer = observed(self.inner, stimuli, units)
        check_answer(answer, len(stimuli), len(units))
        return answer

    def fingerprint(self) -> Fingerprint:
        """The fingerprint of `inner`, extended by the parameters of this wrapper if it changes
        answers.
        """
        own: Fingerprint = (
            super().fingerprint() if self.changes_answers else self.inner.fingerprint()
        )
        return own

    def close(self) -> None:
        """Close the inner oracle."""
        self.inner.close()


def check_inner(kind: str, inner: object, base: type, noun: str) -> None:
    """Check the object that is to be wrapped.

    Raises:
        InvalidSpec: if it is not a `base`, called `noun` in the message.
    """
    if not isinstance(inner, base):
        raise InvalidSpec(
            f"inner: {kind!r} is put around {noun}, got {type(inner).__name__}", field="inner"
        )
