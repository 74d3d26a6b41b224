"""Distance from the blurred stimulus."""

from __future__ import annotations

from typing import ClassVar

import torch

from blackbox_am.core.measure import Measure, Rendered, check_neighbours, neighbour_axes

KERNEL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
"""The binomial filter of order 4 (P. Burt and E. Adelson, "The Laplacian Pyramid as a Compact Image
Code", 1983): near to a Gaussian of standard deviation 1.
"""


class Blur(Measure):
    """`stimulus.blur`: the mean squared difference between a stimulus and its blurred copy.

    0 for a constant stimulus, at most 1: the energy of details of one or two pixels. The copy is
    blurred with the binomial filter of five values along time, or along height and width; outside
    the stimulus its border values continue.

    The penalty `blur_input_each_step` of Lucid holds the blurred copy constant in the backward
    pass. Here the gradient is that of the whole measure.
    """

    names: ClassVar[tuple[str, ...]] = ("stimulus.blur",)

    def check(self, stimulus_shape: tuple[int, ...]) -> None:
        check_neighbours("stimulus.blur", stimulus_shape)

    def measure(self, name: str, rendered: Rendered) -> torch.Tensor:
        del name
        stimuli = rendered.stimuli.to(torch.float32)
        smooth = stimuli
        for axis in neighbour_axes(stimuli):
            smooth = blurred(smooth, axis)
        return (stimuli - smooth).square().flatten(1).mean(1)


def blurred(values: torch.Tensor, axis: int) -> torch.Tensor:
    """`values` after the filter along `axis`, with the same shape."""
    reach, extent = len(KERNEL) // 2, values.shape[axis]
    first, last = values.narrow(axis, 0, 1), values.narrow(axis, extent - 1, 1)
    wide = torch.cat([first] * reach + [values] + [last] * reach, dim=axis)
    total = torch.zeros_like(values)
    for start, weight in enumerate(KERNEL):
        total = total + weight * wide.narrow(axis, start, extent)
    return total
