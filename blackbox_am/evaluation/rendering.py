"""Sampling of latents from a prior, and rendering of stimuli, for callers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.abandoning import abandoned
from blackbox_am.core.batches import in_fixed_batches
from blackbox_am.core.generator import Generator, check_latents, check_row_targets
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space
from blackbox_am.core.tensors import one_a_row
from blackbox_am.errors import InvalidInput, ServerUnavailable

ROWS = 32
"""Number of rows in each call: one batch shape, so that a stimulus does not depend on other
rows.
"""
MAX_SAMPLES = 2**16
BLOCK_BYTES = 2**22
"""Size of the blocks in which latents are drawn."""
_NUMBER_BYTES = 8


def sample(space: Space, count: int, seed: int) -> NDArray[Any]:
    """(count, D) latents from the prior: float32, or int64 codes.

    Raises:
        InvalidInput: for a count out of range.
    """
    return np.concatenate(list(samples(space, count, seed)))


def samples(space: Space, count: int, seed: int) -> Iterator[NDArray[Any]]:
    """The latents of `sample` in blocks of at most `BLOCK_BYTES`, and 16 rows at least.

    Raises:
        InvalidInput: for a count out of range.
    """
    if not 1 <= count <= MAX_SAMPLES:
        raise InvalidInput(
            f"count: expected 1 to {MAX_SAMPLES:,} latents, got {count:,}", field="count"
        )
    stream, rows = Stream(seed, "sample", 0), _block_rows(space)
    return (
        space.sample(stream, min(rows, count - start))[0].numpy() for start in range(0, count, rows)
    )


def block_bytes(space: Space, count: int) -> int:
    """Largest size of a block of `samples`."""
    return min(_block_rows(space), count) * space.dim * _NUMBER_BYTES


def _block_rows(space: Space) -> int:
    """Number of rows in a block: a multiple of 16, because torch draws normal numbers in groups."""
    return max(BLOCK_BYTES // (16 * _NUMBER_BYTES * space.dim), 1) * 16


def checked(generator: Generator, latents: NDArray[Any]) -> torch.Tensor:
    """`latents` (N, D) as a tensor for the generator.

    Raises:
        ShapeMismatch: for latents of another shape or dtype.
        InvalidInput: for values that are not in the generator's space.
    """
    tensor = torch.from_numpy(np.array(latents))
    if tensor.is_floating_point():
        tensor = tensor.float()  # values outside the range of float32 are refused as infinite
    check_latents(generator.space, tensor)
    return tensor


def checked_targets(generator: Generator, targets: Sequence[int], rows: int) -> tuple[int, ...]:
    """The target of each of `rows` rows, for the `targets` of a caller.

    Args:
        generator: the generator that renders the rows.
        targets: one for each row, or one for all rows; target 0 if empty.
        rows: N.

    Raises:
        InvalidInput: for a wrong number of targets, for a target that the generator does not have,
            and for a target other than 0 if the generator does not distinguish targets.
    """
    wanted = one_a_row(targets or (0,), rows)
    if generator.targets is None and any(targets):
        raise InvalidInput(
            f"targets: this {generator.kind} generator tells no targets apart, so expected only "
            f"0, got {next(filter(None, targets))}; leave targets out, or name a generator made "
            "for several",
            field="targets",
        )
    check_row_targets(generator, wanted)
    return wanted


def batches(
    generator: Generator, latents: torch.Tensor, targets: Sequence[int] | None = None
) -> Iterator[NDArray[np.float32]]:
    """Stimuli of checked `latents` (N, D), in parts of several rows: float32 in [0, 1].

    Args:
        generator: the generator of the stimuli.
        latents: (N, D).
        targets: for a study, the target of each row; None is target 0 for all rows.

    Raises:
        ServerUnavailable: if nobody waits for the stimuli any more.
    """
    wanted = torch.tensor([0] * len(latents) if targets is None else targets)
    for start in range(0, len(latents), ROWS):
        if abandoned():
            raise ServerUnavailable("the rendering was abandoned: nobody waits for its stimuli")
        rows, mine = latents[start : start + ROWS], wanted[start : start + ROWS]
        with torch.no_grad():
            stimuli = in_fixed_batches(generator.render_targets, rows, ROWS, mine)
        yield stimuli.to("cpu", torch.float32).numpy()


def render(
    generator: Generator, latents: NDArray[Any], targets: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """(N, *stimulus) float32 in [0, 1], for latents (N, D), and targets as for `batches`.

    Raises:
        ShapeMismatch: for latents of another shape or dtype.
        InvalidInput: for values that are not in the generator's space, and for targets that the
            generator does not have, for example because the operator removed inputs after the study
            began.
    """
    check_row_targets(generator, targets or ())
    none = np.zeros((0, *generator.stimulus_shape), np.float32)
    return np.concatenate([none, *batches(generator, checked(generator, latents), targets)])
