"""Tuning curves along a controlled factor: orientation, spatial frequency, position, colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from blackbox_am.analysis.passport import controlled
from blackbox_am.analysis.subject import Subject
from blackbox_am.core.types import FloatArray


@dataclass(frozen=True)
class Tuning:
    """The activation of one unit along one factor.

    Attributes:
        factor: `orientation`, `frequency`, `position` or `colour`.
        measured_in: `degrees`, `cycles in the image`, `row and column`, or `degrees of hue`.
        values: (V,) values of the factor; for the position (2, 8, 8): not used, all 0.
        responses: (V,) activations; for the position (2, 8, 8), of a bright and a dark square.
        best: the preferred value, between the sampled values for orientation; nan for the position.
        strength: (largest - smallest response) / the same over all controlled stimuli: 0 means
            that the factor does not matter.
    """

    factor: str
    measured_in: str
    values: FloatArray
    responses: FloatArray
    best: float
    strength: float


def tunings(subject: Subject) -> list[tuple[Tuning, ...]]:
    """The tuning curves of each unit of a subject, for images of 1 or 3 channels.

    All units share the same stimuli: 18 orientations x frequencies x 4 phases of gratings, 128
    squares, and 12 colours for 3 channels. The response to a grating is the largest over phases.
    Orientation is measured over the frequency, and frequency over the orientation, that excites the
    unit most.
    """
    shape = subject.info.stimulus_shape
    waves = _measured(subject, controlled.gratings(shape), 3).max(2)
    patches = _measured(subject, controlled.squares(shape), 3)
    hues = _measured(subject, controlled.colours(shape), 1) if shape[0] == 3 else None
    found = []
    for unit in range(len(subject.units)):
        mine, squares = waves[..., unit], patches[..., unit]
        each = [mine.ravel(), squares.ravel()] + ([] if hues is None else [hues[:, unit]])
        span = float(np.ptp(np.concatenate(each))) or 1.0
        found.append(tuple(_of_unit(shape, mine, squares, None if hues is None else hues[:, unit],
                                    span)))  # fmt: skip
    return found


def _of_unit(
    shape: tuple[int, ...],
    waves: FloatArray,
    squares: FloatArray,
    hues: FloatArray | None,
    span: float,
) -> list[Tuning]:
    orientation, frequency = np.unravel_index(int(waves.argmax()), waves.shape)
    angles, cycles = controlled.orientations(), controlled.frequencies(shape)
    by_angle, by_cycle = waves[:, frequency], waves[orientation]
    found = [
        Tuning("orientation", "degrees", angles, by_angle, peak(angles, by_angle),
               float(np.ptp(by_angle)) / span),
        Tuning("frequency", "cycles in the image", cycles, by_cycle,
               float(cycles[by_cycle.argmax()]), float(np.ptp(by_cycle)) / span),
        Tuning("position", "row and column", np.zeros_like(squares), squares, float("nan"),
               float(np.ptp(squares)) / span),
    ]  # fmt: skip
    if hues is not None:
        degrees = np.arange(len(hues)) * 360.0 / len(hues)
        best = float(degrees[hues.argmax()])
        strength = float(np.ptp(hues)) / span
        found.append(Tuning("colour", "degrees of hue", degrees, hues, best, strength))
    return found


def peak(angles: FloatArray, responses: FloatArray) -> float:
    """The angle of the largest response on a circle of equally spaced angles, by a parabola through
    the largest response and its neighbours.
    """
    top = int(responses.argmax())
    left, middle, right = (responses[(top + step) % len(responses)] for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = 0.0 if bend == 0 else 0.5 * (left - right) / bend
    step = float(angles[1] - angles[0])
    return float((angles[top] + shift * step) % (step * len(angles)))


def _measured(subject: Subject, stimuli: torch.Tensor, axes: int) -> FloatArray:
    """(*axes, U): the activations for stimuli (*axes, *stimulus)."""
    rows = stimuli.flatten(0, axes - 1) if axes > 1 else stimuli
    values = subject.measure(rows.contiguous())
    return values.reshape(*stimuli.shape[:axes], values.shape[1])
