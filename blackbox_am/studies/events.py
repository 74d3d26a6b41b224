"""Events of a study: the records of its journal.

Events are frozen msgspec structs, encoded as msgpack. A study's state is the fold of its events
and depends on nothing else. Arrays are bytes with a dtype and a shape.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from blackbox_am.core.identity import Fingerprint
from blackbox_am.core.spec import ArrayData, Budget, OptimizerSpec, SpaceSpec, StudySpec
from blackbox_am.core.store import Entry
from blackbox_am.core.types import Accounting, StopReason, StudyState
from blackbox_am.errors import StoreCorrupt


class Created(msgspec.Struct, frozen=True, tag="created"):
    """The study began. What was resolved at creation is kept, so that recovery asks nobody.

    Attributes:
        spec: what the caller asked for.
        space: the resolved latent space.
        stimulus_shape: of one stimulus; empty where clients evaluate a bare space.
        population: P, candidates a generation for each target.
        batch_size: the one batch shape its evaluator runs.
        optimizer: the one that searches, all its parameters settled: what `auto` chose, say.
            None in journals that are older than this field.
        start: (K, D) latents to begin at.
        warning: what its owner should know of it from the beginning.
        oracle_fingerprint: the model that it measures; None where clients evaluate.
        generator_fingerprint: what makes its stimuli; None over a bare space.
        noisy: whether the same stimulus does not always get the same activations.
        numerics: the processor and the mode of linear algebra that it began with; other ones may
            give other last bits.
        spent: what was asked of the oracle before, to see what it is like.
    """

    spec: StudySpec
    space: SpaceSpec
    stimulus_shape: tuple[int, ...]
    population: int
    batch_size: int
    optimizer: OptimizerSpec | None = None
    start: ArrayData | None = None
    warning: str = ""
    oracle_fingerprint: Fingerprint | None = None
    generator_fingerprint: Fingerprint | None = None
    noisy: bool = False
    numerics: str = ""
    spent: Accounting | None = None


class OracleProbed(msgspec.Struct, frozen=True, tag="probed"):
    """The oracle was measured on a few rows before the search, to see whether it repeats itself.

    Attributes:
        noisy: whether the same stimulus gets other activations.
        optimizer, population, batch_size, warning: those of `Created`, from now on.
        spent: what was asked of the oracle.
    """

    noisy: bool
    optimizer: OptimizerSpec
    population: int
    batch_size: int
    warning: str
    spent: Accounting


class Adopted(msgspec.Struct, frozen=True, tag="adopted"):
    """The study continues with another model than at its start, as its owner requested.

    Attributes:
        oracle_fingerprint, generator_fingerprint: fingerprints from now on.
        message: the differences.
        generation: the open generation at this moment.
    """

    oracle_fingerprint: Fingerprint | None
    generator_fingerprint: Fingerprint | None
    message: str = ""
    generation: int = 0


class StateChanged(msgspec.Struct, frozen=True, tag="state"):
    """The study changed its state, or its accounts changed without a measurement.

    Attributes:
        state, stop_reason, message: the new state and its reason.
        spent: accounts of calls since the last event with accounts that gave no measurement.
    """

    state: StudyState
    stop_reason: StopReason = StopReason.NONE
    message: str = ""
    spent: Accounting | None = None


class GenerationOpened(msgspec.Struct, frozen=True, tag="opened"):
    """Candidates of a generation were given to clients.

    Attributes:
        generation: the generation.
        latents: (K, P, D) of the active targets.
        wanted: (K, P) uint8, the rows to measure.
    """

    generation: int
    latents: ArrayData
    wanted: ArrayData


class RowsTold(msgspec.Struct, frozen=True, tag="told"):
    """Measurements of some candidates of the open generation.

    Attributes:
        generation: the generation.
        targets, rows: (N,) int32, the place of each candidate.
        values: (N, U) float64: each row's own quantities in the order of its target's layout, then
            nan. Infinities are stored; nan is a failed measurement.
        failed: number of rows without a score because of a failed measurement.
        unrendered: (N,) uint8, 1 if the stimulus was not finite; None if all were finite.
        spent: accounts since the last event with accounts; None for rows of clients.
    """

    generation: int
    targets: ArrayData
    rows: ArrayData
    values: ArrayData
    failed: int = 0
    unrendered: ArrayData | None = None
    spent: Accounting | None = None


class GenerationClosed(msgspec.Struct, frozen=True, tag="closed"):
    """Every row of the generation is in, and the optimizer has learnt from it.

    The scores are in it, so that nobody has to compute them again.

    Attributes:
        generation: which.
        targets: those that took part, ascending; the arrays of K entries are theirs.
        scores: (K, rows) float64, nan for rows that failed, and rows that were not wanted; up to
            the last row that was, which is before P where the budget ends.
        checksum: of its latents (K, P, D), to know a faithful replay from another.
        seconds: how long it took.
        measured: (K,) int32, rows measured for each target.
        best_scores, mean_scores: (K,) float64 of the generation, nan where every row failed.
        best_so_far: (K,) float64, the best score of each target afterwards; nan for none yet.
        improved: targets that have a new best candidate.
        best_rows: (len(improved),) int32, its row.
        best_row_scores: (len(improved),) float64, its score.
        best_latents: (len(improved), D), its latent.
        succeeded: those of `improved` whose new best met its criterion.
        failed: rows that failed, by reason.
        warning: what is wrong with the scores, such as that all are equal; empty for nothing.
        latents: all of them, where the study keeps them.
    """

    generation: int
    targets: tuple[int, ...]
    scores: ArrayData
    checksum: bytes
    seconds: float
    measured: ArrayData
    best_scores: ArrayData
    mean_scores: ArrayData
    best_so_far: ArrayData
    improved: tuple[int, ...]
    best_rows: ArrayData
    best_row_scores: ArrayData
    best_latents: ArrayData
    succeeded: tuple[int, ...] = ()
    failed: dict[str, int] = msgspec.field(default_factory=dict)
    warning: str = ""
    latents: ArrayData | None = None


class BudgetChanged(msgspec.Struct, frozen=True, tag="budget"):
    """The budget was raised."""

    budget: Budget


class Resumed(msgspec.Struct, frozen=True, tag="resumed"):
    """A process recovered the study.

    Attributes:
        generation: the open generation at this moment.
        exact: whether the optimizer's state is that of an uninterrupted run.
    """

    generation: int
    exact: bool
    message: str = ""


Event = (
    Created
    | OracleProbed
    | Adopted
    | StateChanged
    | GenerationOpened
    | RowsTold
    | GenerationClosed
    | BudgetChanged
    | Resumed
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


def encode(event: Event) -> bytes:
    """The event as bytes."""
    return _encoder.encode(event)


def entry(event: Event) -> Entry:
    """The event as an entry for a store."""
    return Entry(kind_of(type(event)), encode(event))


def kind_of(kind: type[Event]) -> str:
    """The name by which a store selects events of this type."""
    return str(kind.__struct_config__.tag)


def decode(body: bytes) -> Event:
    """The inverse of `encode`.

    Raises:
        StoreCorrupt: if the bytes are not an event.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreCorrupt(
            f"the journal holds an event that cannot be read ({error}); "
            "restore the store from a backup, or delete the study"
        ) from error


def int_array(values: NDArray[Any]) -> ArrayData:
    """Coordinates of candidates as packed arrays."""
    return ArrayData.of(values.astype(np.int32, copy=False))
