"""The latent space, rotated and scaled along the directions that change the stimulus most."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch

from blackbox_am.core.constants import Constants
from blackbox_am.core.generator import Generator, check_latent_shape
from blackbox_am.core.generator_wrapper import GeneratorWrapper
from blackbox_am.core.parameters import check
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Box, Normal, Product, Space, Sphere, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import GradientUnavailable
from blackbox_am.generators._kept import Tensors, cache_folder, kept
from blackbox_am.generators.wrappers._metric import exact_metric, probed_metric

EXACT = 64
"""Largest dimension for which the metric is computed exactly by default."""

_COMPUTING = threading.Lock()


@dataclass(frozen=True)
class Basis(GeneratorWrapper):
    """Searches in the eigenbasis of the generator's average metric tensor E[J' J].

    J is the generator's own Jacobian, of all values of the stimulus by all coordinates of the
    latent, averaged over the prior, and over the targets if the generator distinguishes targets.
    The oracle remains a black box. Its eigenvectors q_i, of largest eigenvalue a_i first, are the
    directions in which the stimulus changes most; in most generators a few directions cause almost
    all of the change (Wang and Ponce, "The geometry of deep generative image models and its
    applications", 2021, with a perceptual distance instead of the squared distance of values). A
    latent x of the prior N(0, I) in d dimensions stands for u = sum over i of s_i x_i q_i with

        s_i in proportion to max(a_i, floor a_1)^-power * exp(-i / growth)

    and mean square 1, so that |u|^2 is d on average; the inner latent is mean + deviation * u, with
    the mean and deviation of each coordinate's prior, projected into the inner space (onto the
    sphere, or into the box).

    With `power` 1/2 every coordinate changes the stimulus by the same amount; 0 is a rotation,
    which has no effect on an optimizer that is invariant to rotations. `dimensions` removes all
    further coordinates. With `growth`, a search begins with few coordinates and adds the others
    later. This is not a schedule, because a stimulus must depend on the latent alone. The scales
    fall smoothly, so that an optimizer moves along the first coordinates before it has adapted to
    the last.

    Cost: `samples` times D Jacobian-vector products for the exact metric (each some 3 to 4
    times the work of rendering), or `samples` times `probes` vector-Jacobian products (a
    forward and a backward pass each), once. The result is kept on disk, under the fingerprint of
    the inner generator.

    Attributes:
        dimensions: d; all D unless given.
        power: of the eigenvalues, in the scales.
        growth: coordinates over which the scales fall by a factor e; no fall unless given.
        floor: lower limit of the eigenvalues in the scales, as a share of the largest eigenvalue.
        samples: latents of the prior that the metric is averaged over.
        probes: for each, random probes: J' v for v of N(0, I), whose outer products have J' J as
            mean. 0 computes the exact metric. Unless given, exact up to D = 64, and 8 D / samples
            probes above.
        batch_size: latents in one step of this computation; the exact metric keeps D stimuli for
            each latent.
        cache: folder where results are kept; the user's cache folder unless given.

    Raises:
        InvalidSpec: for numbers out of range.
        GradientUnavailable: if the inner generator has no gradients.
    """

    kind: ClassVar[str] = "basis"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"batch_size", "cache"})

    dimensions: int | None = None
    power: float = 0.5
    growth: float | None = None
    floor: float = 1e-3
    samples: int = 64
    probes: int | None = None
    batch_size: int = 8
    cache: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.inner.differentiable:
            raise GradientUnavailable(
                f"basis: it needs the Jacobian of the generator within, and this "
                f"{self.inner.kind} generator has no gradients",
                field="inner",
            )
        whole = self.inner.space.dim
        if self.dimensions is not None:
            fits = 1 <= self.dimensions <= whole
            check(fits, "dimensions", f"1 to {whole}, those of the latent within", self.dimensions)
        check(0 <= self.power <= 1, "power", "0 to 1", self.power)
        if self.growth is not None:
            check(0 < self.growth < math.inf, "growth", "a positive number", self.growth)
        check(0 < self.floor <= 1, "floor", "above 0, at most 1", self.floor)
        check(self.samples >= 1, "samples", "1 or more", self.samples)
        check(self.batch_size >= 1, "batch_size", "1 or more", self.batch_size)
        if self.probes is not None:
            check(self.probes >= 0, "probes", "0 for exact, or more", self.probes)

    @property
    def space(self) -> Space:
        return build_space(SpaceSpec("normal", self.dimensions or self.inner.space.dim))

    @property
    def eigenvalues(self) -> torch.Tensor:
        """(D,) float32, largest first: mean squared change of the stimulus, summed over its
        values, by a step of one prior deviation along each direction.
        """
        return self._spectrum["values"]

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        return self.changed(self.inner.render(self.latents_within(latents)))

    def render_targets(self, latents: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        return self.changed(self.inner.render_targets(self.latents_within(latents), targets))

    @property
    def encodes(self) -> bool:
        return bool(self.inner.encodes)

    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        """The inner latents in the basis; what lies outside of `dimensions` is lost."""
        if not self.encodes:
            return super().encode(stimuli)
        within = self.inner.encode(stimuli)
        directions, mean, deviation = self._map.on(within.device)
        # Rows of `directions` are orthogonal, of length s_i: x_i = u . (s_i q_i) / s_i^2.
        scaled = directions / directions.square().sum(1, keepdim=True)
        latents: torch.Tensor = ((within - mean) / deviation) @ scaled.T
        return latents

    def latents_within(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, D) latents of the inner generator, for latents (N, d)."""
        directions, mean, deviation = self._map.on(latents.device)
        standard = latents.to(torch.float32) @ directions
        within: torch.Tensor = self.inner.space.project(mean + deviation * standard)
        return within

    def changed(self, stimuli: torch.Tensor) -> torch.Tensor:
        return stimuli

    @cached_property
    def _map(self) -> Constants:
        """Directions multiplied by their scales (d, D), then the prior's mean and deviation
        (D,).
        """
        with _COMPUTING:
            found: Constants | None = vars(self).get("_map")
            if found is None:
                # The first call may come from rendering without gradients.
                with torch.inference_mode(False), torch.enable_grad():
                    tensors = (self._directions().detach(), *moments(self.inner.space))
                found = vars(self)["_map"] = Constants(lambda: tensors)
            return found

    def _directions(self) -> torch.Tensor:
        values = self._spectrum["values"][: self.space.dim].double()
        scales = values.clamp_min(self.floor * float(values[0])) ** -self.power
        if self.growth is not None:
            scales = scales * torch.exp(-torch.arange(len(scales)) / self.growth)
        scales = scales / scales.square().mean().sqrt()
        return (scales[:, None] * self._spectrum["vectors"][: len(scales)]).float()

    @cached_property
    def _spectrum(self) -> Tensors:
        """Eigenvalues (D,), and eigenvectors (D, D) as rows."""
        dim = self.inner.space.dim
        probes = self.probes
        if probes is None:
            probes = 0 if dim <= EXACT else math.ceil(8 * dim / self.samples)
        inner = self.inner.fingerprint()
        key = {
            "generator": inner.digest,
            "samples": self.samples,
            "probes": probes,
            "version": 2,
        }
        with torch.inference_mode(False), torch.enable_grad():
            if inner.unnamed:  # another process could not find the file again
                return self._decomposed(probes)
            return kept(cache_folder(self.cache), "basis", key, lambda: self._decomposed(probes))

    def _decomposed(self, probes: int) -> Tensors:
        inner: Generator = self.inner
        mean, deviation = moments(inner.space)
        drawn = inner.space.sample(Stream(0, "basis", 0), self.samples)[0]
        points = (drawn - mean) / deviation
        targets = in_turn(inner, len(points))

        def render(standard: torch.Tensor, rows: slice) -> torch.Tensor:
            latents = inner.space.project(mean + deviation * standard)
            return inner.render_targets(latents, targets[rows])

        if probes:
            metric = probed_metric(render, points, probes, self.batch_size)
        else:
            metric = exact_metric(render, points, self.batch_size)
        values, vectors = torch.linalg.eigh(metric)
        rows = vectors.T.flip(0)
        # Of the two signs, the one that makes the largest entry positive.
        largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
        rows = rows * torch.where(largest < 0, -1.0, 1.0)
        return {"values": values.flip(0).clamp_min(0).float(), "vectors": rows.float()}


def moments(space: Space) -> tuple[torch.Tensor, torch.Tensor]:
    """(D,) mean and (D,) deviation of each coordinate of the prior.

    Raises:
        GradientUnavailable: for codes.
    """
    if isinstance(space, Product):
        pairs = [moments(part) for part in space.parts]
        means, deviations = zip(*pairs, strict=True)
        return torch.cat(means), torch.cat(deviations)
    zeros = torch.zeros(space.dim)
    if isinstance(space, Normal):
        return zeros, zeros + 1
    if isinstance(space, Sphere):
        return zeros, zeros + space.radius / space.dim**0.5
    if isinstance(space, Box):
        low, high = space.bounds(zeros)
        return zeros + (low + high) / 2, zeros + (high - low) / 12**0.5
    raise GradientUnavailable(f"basis: a space of kind {space.kind!r} has no directions")


def in_turn(generator: Generator, rows: int) -> torch.Tensor:
    """(rows,) int64: the targets that the generator distinguishes, in turn."""
    return torch.arange(rows) % (generator.targets or 1)
