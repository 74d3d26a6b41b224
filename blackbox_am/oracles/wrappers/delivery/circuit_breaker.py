"""A model that fails again and again gets no calls for a while."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.abandoning import CallAbandoned
from blackbox_am.core.parameters import check
from blackbox_am.core.units import Unit
from blackbox_am.core.wrapper import Wrapper
from blackbox_am.errors import BlackboxError, OracleError, OracleUnavailable
from blackbox_am.oracles.wrappers.delivery._clock import Clock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CircuitBreaker(Wrapper):
    """After some failures in a row, refuses calls at once instead of waiting for each to fail.

    The circuit is then open for `seconds`: calls raise `OracleUnavailable` with the time that is
    left. After that one call is let through. If the call succeeds the circuit closes, and if it
    fails the circuit is open again. `OracleError` and exceptions of other kinds are failures;
    a wrong request, or a call that nobody waits for any more, is none.

    Attributes:
        failures: number of failures in a row that open the circuit.
        seconds: how long it stays open.
    """

    kind: ClassVar[str] = "circuit_breaker"
    clock: ClassVar[Clock] = Clock()

    failures: int = 5
    seconds: float = 30.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.failures >= 1, "failures", "1 or more", self.failures)
        check(0 < self.seconds < math.inf, "seconds", "a positive number", self.seconds)
        _ = self._circuit  # made before threads can race for it

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        probe = self._circuit.enter(self.clock.now(), self.seconds)
        failed: bool | None = None
        try:
            answer = self.ask(stimuli, units)
            failed = False
        except CallAbandoned:
            raise  # says nothing about the model
        except OracleError:
            failed = True
            raise
        except BlackboxError:
            raise  # the request was wrong, not the model
        except Exception:
            failed = True
            raise
        finally:
            self._circuit.leave(self.clock.now(), probe, failed, self.failures)
        return answer

    @cached_property
    def _circuit(self) -> _Circuit:
        return _Circuit()


class _Circuit:
    """The state: closed, open, or open with one call that tries the oracle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._opened: float | None = None
        self._probing = False

    def enter(self, now: float, seconds: float) -> bool:
        """Admits a call, or raises `OracleUnavailable`; returns whether the call is a trial."""
        with self._lock:
            if self._opened is None:
                return False
            left = self._opened + seconds - now
            if left > 0 or self._probing:
                raise OracleUnavailable(
                    f"the oracle failed {self._failures} times in a row and is left alone"
                    + (f" for another {left:.3g} s" if left > 0 else " while one call tries it"),
                    retry_after=max(left, 0.0),
                )
            self._probing = True
            return True

    def leave(self, now: float, probe: bool, failed: bool | None, limit: int) -> None:
        """Records whether a call failed; None if the call is not conclusive."""
        with self._lock:
            if probe:
                self._probing = False
            if failed is None or (self._opened is not None and not probe):
                return  # this call began before the circuit opened
            self._failures = self._failures + 1 if failed else 0
            if not failed:
                self._opened = None
            elif self._failures >= limit:
                log.warning("an oracle failed %d times in a row; it is left alone", self._failures)
                self._opened = now
