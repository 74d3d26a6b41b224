"""Style transfer: the content of one image with the Gram matrices of another.

Gatys, Ecker, Bethge, "A Neural Algorithm of Artistic Style", 2015. Differences: each loss is
relative to the squared length of its target, and the search is Adam on the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from blackbox_am.analysis.results import Analysis, Arrays, Drawn, TableOfNumbers
from blackbox_am.analysis.subject import Subject, check_capability
from blackbox_am.core.capability import Capability
from blackbox_am.core.metering import count
from blackbox_am.core.oracle import Oracle, ReadsMaps, map_cells
from blackbox_am.core.parameters import check
from blackbox_am.core.types import Accounting, FloatArray
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.errors import CapabilityMissing, InvalidSpec
from blackbox_am.plots import sheet

INSTEAD = "there is no black-box form, because a Gram matrix needs whole maps of every candidate"


@dataclass(frozen=True, kw_only=True)
class StyleTransfer(Analysis):
    """An image in the style of another.

    Attributes:
        content, style: (*stimulus) the two images.
        found: (*stimulus).
        style_losses: (steps + 1,) relative distance of the Gram matrices, the first before the
            search.
        content_losses: (steps + 1,) relative distance of the content layer.
    """

    content: NDArray[np.float32]
    style: NDArray[np.float32]
    found: NDArray[np.float32]
    style_losses: FloatArray
    content_losses: FloatArray

    def data(self) -> Arrays:
        return {
            "content": self.content, "style": self.style, "found": self.found,
            "style_losses": self.style_losses, "content_losses": self.content_losses,
        }  # fmt: skip

    def plot(self) -> Figure:
        return sheet([self.content, self.style, self.found], columns=3)

    def figures(self) -> list[Drawn]:
        return [Drawn(self.plot(), "Content, style, and what was found.")]

    def lead(self) -> list[str]:
        fall = 1 - self.style_losses[-1] / max(self.style_losses[0], 1e-12)
        return [f"The distance of the Gram matrices fell by {fall:.1%}."]

    def tables(self) -> list[TableOfNumbers]:
        rows = [
            ("style", self.style_losses[0], self.style_losses[-1]),
            ("content", self.content_losses[0], self.content_losses[-1]),
        ]
        return [TableOfNumbers("Losses", ("loss", "before", "after"), rows)]


def style_transfer(
    oracle: Oracle,
    content: Any,
    style: Any,
    *,
    style_layers: Sequence[str],
    content_layer: str = "",
    content_weight: float = 0.05,
    steps: int = 300,
    rate: float = 0.02,
) -> StyleTransfer:
    """Give an image the style of another one.

    Args:
        oracle: an oracle that gives whole, differentiable maps, such as `torch_module`.
        content: (*stimulus) the image to start from.
        style: (*stimulus) the image of the style.
        style_layers: layers with maps whose Gram matrices are matched.
        content_layer: a layer that keeps the content; none if empty.
        content_weight: of its loss, beside 1 for the style.
        steps: of Adam, each one row forward and backward.
        rate: Adam's learning rate, for pixels in [0, 1].

    Raises:
        CapabilityMissing: without maps.
        GradientUnavailable: without gradients.
        InvalidSpec: for a layer without maps.
    """
    check(steps >= 1, "steps", "1 or more", steps)
    info = oracle.describe()
    check_capability(info, Capability.MAPS, "style_transfer", INSTEAD)
    check_capability(info, Capability.GRADIENTS, "style_transfer", INSTEAD)
    if not isinstance(oracle, ReadsMaps):
        raise CapabilityMissing(
            f"style_transfer needs whole maps in one call, and this {info.kind} oracle gives "
            f"single positions; {INSTEAD}"
        )
    if not style_layers:
        raise InvalidSpec("style_layers: expected one layer or more", field="style_layers")
    layers = list(dict.fromkeys([*style_layers, *([content_layer] if content_layer else [])]))
    subject = Subject(oracle, [Unit(name) for name in layers], method="style_transfer")
    reader = _Reader(subject, oracle, layers)
    shown, other = subject.stimulus(content), subject.stimulus(style)
    with torch.no_grad():
        styled_maps = reader.maps(other)
        grams = [gram(styled_maps[name]) for name in style_layers]
        kept = reader.maps(shown)[content_layer] if content_layer else None
    pixels = shown.clone().requires_grad_()
    optimiser = torch.optim.Adam([pixels], rate)
    losses = np.empty((steps + 1, 2))
    for number in range(steps + 1):
        optimiser.zero_grad()
        with torch.set_grad_enabled(number < steps):
            found = reader.maps(pixels)
            styled = sum(
                (_relative(gram(found[name]), wanted) for name, wanted in
                 zip(style_layers, grams, strict=True)), torch.zeros(())
            ) / len(grams)  # fmt: skip
            held = torch.zeros(()) if kept is None else _relative(found[content_layer], kept)
        losses[number] = float(styled.detach()), float(held.detach())
        if number < steps:
            (styled + content_weight * held).backward()  # type: ignore[no-untyped-call]  # of torch
            subject.spent += Accounting(backward_rows=1)
            optimiser.step()
            with torch.no_grad():
                pixels.clamp_(0, 1)
    return StyleTransfer(
        method="style_transfer",
        subject=", ".join(style_layers),
        model=subject.name,
        parameters={"steps": steps, "content": content_layer or "none", "rate": rate},
        spent=subject.spent,
        content=shown.numpy(),
        style=other.numpy(),
        found=pixels.detach().numpy(),
        style_losses=losses[:, 0],
        content_losses=losses[:, 1],
    )


class _Reader:
    """The maps of some layers for one stimulus, by the name of the layer."""

    def __init__(self, subject: Subject, oracle: ReadsMaps, layers: Sequence[str]) -> None:
        self._subject, self._oracle, self._layers = subject, oracle, list(layers)
        self._shapes = []
        for name in layers:
            layer = find_layer(subject.info, Unit(name))
            cells = map_cells(layer, 2**31)
            if cells is None:
                raise InvalidSpec(
                    f"layer {name!r} has no height and width; name a convolution or a block",
                    field="style_layers",
                )
            self._shapes.append((layer.units, *cells))

    def maps(self, stimulus: torch.Tensor) -> dict[str, torch.Tensor]:
        side = max(max(shape[1:]) for shape in self._shapes)
        with self._subject.billed():
            count(Accounting(calls=1, rows=1))
            values = self._oracle.maps(stimulus[None], self._layers, side)[0]
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        parts = torch.split(values, sizes)
        return {
            name: part.reshape(shape)
            for name, part, shape in zip(self._layers, parts, self._shapes, strict=True)
        }


def gram(maps: torch.Tensor) -> torch.Tensor:
    """(U, U) the mean products of all pairs of maps (U, height, width)."""
    flat = maps.flatten(1)
    return flat @ flat.T / flat.shape[1]


def _relative(values: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return (values - wanted).square().sum() / wanted.square().sum().clamp_min(1e-12)
