"""Features of latents that carry gradients through the study's generator, and ascent along them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from blackbox_am.core.generator import Generator
from blackbox_am.core.space import Space
from blackbox_am.errors import Unsupported
from blackbox_am.optimizers._frame import Frame, frame_of


class Guide(ABC):
    """Features of latents, differentiable with respect to the latents."""

    @abstractmethod
    def features(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, F) float32 features of latents (N, D), on the device of the latents."""

    def ascend(
        self,
        space: Space,
        start: torch.Tensor,
        weights: torch.Tensor,
        length: torch.Tensor,
        steps: int,
        momentum: float = 0.0,
    ) -> torch.Tensor:
        """A path of equal steps along the gradient of features @ weights.

        Args:
            space: of the latents.
            start: (D,) where it starts, in the frame of the space; not part of the path.
            weights: (F,).
            length: () of the path in the frame, before bounds shorten the path.
            steps: number of steps.
            momentum: share of the direction that is kept from one step to the next. The direction
                is momentum times the last direction plus 1 - momentum times the gradient, both of
                length 1, and is made a vector of length 1 again.

        Returns:
            (steps, D) in the frame. The point does not move while the direction is 0.
        """
        frame, point, path = frame_of(space, start), start, []
        direction = torch.zeros_like(start)
        for _ in range(steps):
            slope = _unit(self._slope(space, frame, point, weights.to(torch.float32)))
            if momentum:
                slope = _unit(momentum * direction + (1 - momentum) * slope)
            direction = slope
            point = frame.clamp(point + direction * (length / steps))
            path.append(point)
        return torch.stack(path)

    def _slope(
        self, space: Space, frame: Frame, point: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        with torch.enable_grad():
            leaf = point.detach().clone().requires_grad_()
            features = self.features(space.project(frame.outward(leaf)).unsqueeze(0))
            (slope,) = torch.autograd.grad((features[0] * weights).sum(), leaf)
        return slope.nan_to_num(0.0, 0.0, 0.0)


def _unit(vector: torch.Tensor) -> torch.Tensor:
    """The vector of length 1 in the direction of `vector`; 0 for 0."""
    norm = vector.norm()
    return vector / norm if bool(norm > 0) else torch.zeros_like(vector)


def climbable(name: str, generator: Generator | None) -> Generator:
    """The study's generator, if the optimizer called `name` can follow gradients through it.

    Raises:
        Unsupported: if the study has no generator, or if the generator has no gradients or makes
            other stimuli for each target.
    """
    if generator is None:
        raise Unsupported(
            f"{name} follows gradients through the study's generator, and this study has none; "
            "name a generator, or use an optimizer such as 'snes'",
            field="optimizer.name",
        )
    if not generator.differentiable:
        raise Unsupported(
            f"{name} follows gradients through the study's generator, and this {generator.kind} "
            "generator has no gradients; use an optimizer such as 'snes'",
            field="optimizer.name",
        )
    if generator.targets is not None:
        raise Unsupported(
            f"{name} learns of all targets in one go, and this {generator.kind} generator makes "
            "other stimuli for each; use an optimizer such as 'snes'",
            field="optimizer.name",
        )
    return generator
