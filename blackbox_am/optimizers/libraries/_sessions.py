"""Searches that are run by other libraries: one session object for each target.

The objects of a library cannot be saved in a snapshot, because reading pickled objects is unsafe. A
search is therefore recovered by replay: the sessions start again from the same seeds, propose the
same latents, and receive the recorded scores. For this, every session derives its random numbers
from its seed, and keeps its proposals until it receives their scores.
"""

from __future__ import annotations

import random
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.optimizer import Optimizer
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space

Array = NDArray[Any]

_CALLS = threading.Lock()


class Session(ABC):
    """A library's search for one target.

    Attributes:
        device: of the study, which the library's latents are copied to.
    """

    device = torch.device("cpu")

    def __init__(self) -> None:
        self._seed: int | None = None
        self._proposed: Array | None = None

    def ask(self, seed: int) -> Array:
        """(P, D) latents for the generation of this `seed`. Repeated calls return the same latents
        until `tell` is called.
        """
        if self._proposed is None or seed != self._seed:
            with sealed(seed):
                self._proposed = self.propose(seed)
            self._seed = seed
        return self._proposed

    def tell(self, scores: Array) -> None:
        """Ends the generation that was asked last.

        Args:
            scores: (P,) float64, larger is better, nan for rows that failed.
        """
        assert self._seed is not None
        with sealed(self._seed + 1):
            self.learn(scores)
        self._proposed = None

    def proposed(self) -> Array:
        """(P, D) the latents of the last `ask`, for which `tell` was not called yet."""
        assert self._proposed is not None, "a session is asked before it is told"
        return self._proposed

    def start_at(self, latent: Array) -> None:
        """Begins the search anew around `latent` (D,), before its first generation."""
        with sealed(0):
            self.begin_at(latent)

    @abstractmethod
    def begin_at(self, latent: Array) -> None:
        """See `start_at`."""

    def center(self) -> Array:
        """(D,) the latent that the library recommends, see `recommended`."""
        with sealed(0):
            return self.recommended()

    @abstractmethod
    def recommended(self) -> Array:
        """(D,) the latent that the library recommends after the generations that it was told. Draws
        no random number that a later proposal depends on.
        """

    @abstractmethod
    def propose(self, seed: int) -> Array:
        """(P, D) latents of a new generation, drawn with random numbers from `seed` alone. Earlier
        proposals without scores are dropped.
        """

    @abstractmethod
    def learn(self, scores: Array) -> None:
        """Tells the library the scores of the last proposals, see `tell`."""


@dataclass
class Sessions:
    """State of K searches.

    Attributes:
        sessions: K sessions, one for each target.
    """

    sessions: tuple[Session, ...]


class LibraryOptimizer(Optimizer[Sessions]):
    """An optimizer of another library, run by one session for each target.

    A session receives scores of its own proposals only, in their original form; the projection by
    the space counts as a part of the measurement. A row whose latent is not the projected proposal
    counts as failed, since its score belongs to another latent.
    """

    replay_only: ClassVar[bool] = True
    exchangeable: ClassVar[bool] = False
    host_reads: ClassVar[str] = "the library computes on the CPU"
    state_type: ClassVar[type[Sessions]] = Sessions

    @abstractmethod
    def begin(self, space: Space, seed: int) -> Session:
        """A session before its first generation."""

    def init(self, space: Space, targets: int, stream: Stream) -> Sessions:
        del targets
        begun = []
        for seed in stream.seeds:
            with sealed(seed):
                begun.append(self.begin(space, seed))
                begun[-1].device = stream.device
        return Sessions(tuple(begun))

    def started_at(self, space: Space, state: Sessions, latents: torch.Tensor) -> Sessions:
        """Row 0, which the study sets, counts as failed: the library did not propose it."""
        del space
        for session, latent in zip(state.sessions, latents, strict=True):
            session.start_at(latent.cpu().numpy().astype(np.float64))
        return state

    def center(self, space: Space, state: Sessions) -> torch.Tensor:
        rows = torch.from_numpy(np.stack([session.center() for session in state.sessions]))
        device = state.sessions[0].device
        return space.project(rows.to(device, space.dtype or torch.float32))

    def ask(self, space: Space, state: Sessions, stream: Stream) -> torch.Tensor:
        del space
        pairs = zip(state.sessions, stream.seeds, strict=True)
        latents = np.stack([session.ask(seed) for session, seed in pairs])
        codes = latents.dtype.kind == "i"
        return torch.from_numpy(latents).to(stream.device, torch.int64 if codes else stream.dtype)

    def tell(
        self,
        space: Space,
        state: Sessions,
        latents: torch.Tensor,
        scores: torch.Tensor,
        gradients: torch.Tensor | None = None,
    ) -> Sessions:
        del gradients
        for session, told, values in zip(state.sessions, latents, scores, strict=True):
            session.tell(_own(space, session, told, values).double().cpu().numpy())
        return state


def _own(space: Space, session: Session, told: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """`scores` (P,), nan for rows of `told` (P, D) that the session did not propose."""
    proposed = torch.from_numpy(session.proposed()).to(told.device, told.dtype)
    same = (space.project(proposed) == told).all(-1)
    return torch.where(same, scores, torch.nan)


def numpy_words(seed: int) -> list[int]:
    """`seed`, of up to 64 bits, as an argument for numpy's generators."""
    return [seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF]


@contextmanager
def sealed(seed: int) -> Iterator[None]:
    """Keeps the effects of a library on global random numbers and warnings inside the context.

    Some libraries draw from numpy's global generator. Inside the context the generator is seeded
    with `seed`; afterwards its state is restored. The generator and the filters of warnings are
    shared by all threads, so one library call runs at a time. Warnings are dropped, because they
    concern settings that this package chooses.
    """
    with _CALLS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        numbers, others = np.random.get_state(), random.getstate()  # noqa: NPY002
        np.random.seed(numpy_words(seed))  # noqa: NPY002  # see above
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numbers)  # noqa: NPY002
            random.setstate(others)
