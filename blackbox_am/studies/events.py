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
    """The study began. The event contains everything that was resolved at creation, so that
    recovery needs no other source.

    Attributes:
        spec: the caller's specification.
        space: the resolved latent space.
        stimulus_shape: of one stimulus; empty if clients evaluate a bare space.
        population: P, number of candidates of each target in a generation.
        batch_size: number of rows in each batch of the evaluator.
        optimizer: the optimizer that searches, with all parameters resolved, for example the choice
            of `auto`. None in journals that are older than this field.
        start: (K, D) latents of the start.
        warning: a warning for the owner from the beginning.
        oracle_fingerprint: the measured model; None if clients evaluate.
        generator_fingerprint: the generator of its stimuli; None for a bare space.
        noisy: whether the same stimulus may get different activations.
        numerics: the processor and the mode of linear algebra at the beginning. With other values,
            last bits may differ.
        spent: account of the oracle's calls before the search, which test its repeatability.
        input_digests: for each target a digest of its input; empty without inputs.
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
    input_digests: tuple[str, ...] = ()


class OracleProbed(msgspec.Struct, frozen=True, tag="probed"):
    """The oracle was measured on a few rows before the search, to test whether it repeats its
    answers.

    Attributes:
        noisy: whether the same stimulus gets different activations.
        optimizer, population, batch_size, warning: values that replace those of `Created`.
        spent: account of the oracle's calls.
    """

    noisy: bool
    optimizer: OptimizerSpec
    population: int
    batch_size: int
    warning: str
    spent: Accounting


class BaselineMeasured(msgspec.Struct, frozen=True, tag="baseline"):
    """The oracle was measured on natural images before the search, once for all targets.

    Attributes:
        digest: of the observed stimuli.
        quantities: names of the Q quantities of all targets.
        values: (N, Q) float64, nan for a failed measurement.
        start: (K, D) latents at which the search begins, the encoded best image of each target;
            None if the start is that of `Created`.
        spent: account of the oracle's calls.
        optimizer, population, batch_size: with a start, values that replace those of `Created`.
    """

    digest: str
    quantities: tuple[str, ...]
    values: ArrayData
    start: ArrayData | None
    spent: Accounting
    optimizer: OptimizerSpec | None = None
    population: int = 0
    batch_size: int = 0


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
        probe_answers: (R, U) float64, where a quota ends before the probe of the oracle: the rows
            that it has answered so far.
    """

    state: StudyState
    stop_reason: StopReason = StopReason.NONE
    message: str = ""
    spent: Accounting | None = None
    probe_answers: ArrayData | None = None

    def answered(self, before: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        """The answers to the probe after this event."""
        return before if self.probe_answers is None else self.probe_answers.numpy()


class GenerationOpened(msgspec.Struct, frozen=True, tag="opened"):
    """Candidates of a generation were given to clients.

    Attributes:
        generation: the generation.
        latents: (K, P, D) of the active targets.
        wanted: (K, P) uint8, the rows to measure.
        roles: (K, P) uint8, what each row is measured for; None if their scores lead the search.
    """

    generation: int
    latents: ArrayData
    wanted: ArrayData
    roles: ArrayData | None = None


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
        checksum: of the latents of the generation, to check a replay, in the first of several such
            events; empty if the journal has the latents, or closes the generation at once.
    """

    generation: int
    targets: ArrayData
    rows: ArrayData
    values: ArrayData
    failed: int = 0
    unrendered: ArrayData | None = None
    spent: Accounting | None = None
    checksum: bytes = b""


class GenerationClosed(msgspec.Struct, frozen=True, tag="closed"):
    """The generation is complete, and the optimizer has learnt from it.

    The event contains the scores, so that no reader has to compute them again.

    Attributes:
        generation: number of the generation.
        targets: the K targets that took part, ascending; arrays of K entries are in this order.
        scores: (K, rows) float64, nan for rows that failed and for rows that were not wanted. The
            last column is the last wanted row, which is before P at the end of the budget.
        checksum: of its latents (K, P, D), to check a replay.
        seconds: duration of the generation.
        measured: (K,) int32, number of measured rows of each target.
        best_scores, mean_scores: (K,) float64 of the generation, nan if every row failed.
        best_so_far: (K,) float64, the best score of each target afterwards; nan for none yet.
        improved: targets that have a new best candidate.
        best_rows: (len(improved),) int32, the row of each new best candidate.
        best_row_scores: (len(improved),) float64, its score.
        best_latents: (len(improved), D), its latent.
        succeeded: the targets of `improved` whose new best candidate met the criterion.
        failed: number of failed rows by reason.
        warning: a warning about the scores, for example that all scores are equal; empty without a
            problem.
        latents: all latents, if the study keeps all latents.
        search_rows: measured rows of this and all earlier generations; 0 in journals that are older
            than this field.
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
    search_rows: int = 0


class Rechecked(msgspec.Struct, frozen=True, tag="rechecked"):
    """The best candidates were measured again, in a last generation.

    Attributes:
        generation: number of this generation.
        targets: the K targets that took part, ascending.
        scores: (K, R) float64, nan for rows that failed.
        centre_rows: number of the first rows of each target, which measured the centre of the
            search; 0 if it has none. The other rows measured the best candidate.
        centres: (K, D) latents of the centres; None if the search has none.
        measured: (K,) int32, number of measured rows of each target.
        seconds: duration of the generation.
    """

    generation: int
    targets: tuple[int, ...]
    scores: ArrayData
    centre_rows: int
    centres: ArrayData | None
    measured: ArrayData
    seconds: float


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
    | BaselineMeasured
    | Adopted
    | StateChanged
    | GenerationOpened
    | RowsTold
    | GenerationClosed
    | Rechecked
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
