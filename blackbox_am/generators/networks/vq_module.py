"""Any PyTorch decoder with a codebook as a generator of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from blackbox_am.core.generator import bounded, check_latent_shape
from blackbox_am.core.space import Space
from blackbox_am.errors import InvalidSpec, ShapeMismatch
from blackbox_am.generators._codebook import Codebook, check_latent, codebook_space
from blackbox_am.generators._diffusers import Loaded, per_channel


class _Decoder(torch.nn.Module):
    """Decodes latents in the codebook's layout into stimuli in [0, 1]."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, owner: VQModule) -> None:
        super().__init__()
        self.decoder = owner.decoder
        self.expected = owner.stimulus_shape
        self.codebook = Codebook(owner.codebook, quantise=owner.quantise)
        self.register_buffer("mean", per_channel(owner.mean))
        self.register_buffer("std", per_channel(owner.std))

    def forward(self, placed: torch.Tensor) -> torch.Tensor:
        pictures = self.decoder(self.codebook(placed))
        if pictures.shape[1:] != self.expected:
            raise ShapeMismatch(
                f"stimulus_shape: expected what the decoder makes, {tuple(pictures.shape[1:])}, "
                f"got {self.expected}",
                field="stimulus_shape",
            )
        stimuli: torch.Tensor = bounded(pictures.to(torch.float32) * self.std + self.mean)
        return stimuli


@dataclass(frozen=True, eq=False)
class VQModule(Loaded):
    """Images from the decoder of any vector-quantised autoencoder that is a PyTorch module.

    The two spaces are those of `diffusers_vq`: `codes`, the numbers of codebook entries on a
    grid, row by row; or `continuous`, vectors on the grid, whitened by mean and deviation of
    the codebook's entries, channel by channel. The decoder is changed: it is put into eval mode,
    and its parameters are frozen. A batch that does not fit into memory is halved.

    The generator is built from Python objects, so it cannot stand in a configuration file; use
    `Catalogue.add_generator`.

    Attributes:
        decoder: `torch.nn.Module` from codebook vectors (N, channels, height, width) to
            pictures (N, *stimulus).
        codebook: (m, channels) tensor, its entries.
        grid: height and width.
        stimulus_shape: shape of one picture, channels first.
        mean, std: one number each, or one for each channel, such that a picture of the decoder
            times `std` plus `mean` lies in [0, 1]. The defaults are for pictures in [-1, 1].
        latent: `codes` or `continuous`.
        quantise: whether continuous latents are moved to their nearest entry before they are
            decoded, with the straight-through gradient of `diffusers_vq`.

    Raises:
        InvalidSpec: for objects of another kind, or numbers that do not fit together.
    """

    kind: ClassVar[str] = "vq_module"

    decoder: Any
    codebook: Any
    grid: tuple[int, int]
    stimulus_shape: tuple[int, ...] = (3, 32, 32)
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    latent: Literal["continuous", "codes"] = "codes"
    quantise: bool = True

    def __post_init__(self) -> None:
        check_latent(self.latent)
        for name in ("grid", "stimulus_shape", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not isinstance(self.decoder, torch.nn.Module):
            raise InvalidSpec(
                f"decoder: expected a torch.nn.Module, got {type(self.decoder).__name__}",
                field="decoder",
            )
        book = self.codebook
        if not (isinstance(book, torch.Tensor) and book.ndim == 2 and len(book) > 1):
            got = tuple(book.shape) if isinstance(book, torch.Tensor) else type(book).__name__
            raise InvalidSpec(
                "codebook: expected a tensor of shape (entries, channels) with 2 entries or more, "
                f"got {got}",
                field="codebook",
            )
        self._check_shapes()

    def _check_shapes(self) -> None:
        for name, axes in (("grid", 2), ("stimulus_shape", 3)):
            lengths = getattr(self, name)
            if len(lengths) != axes or any(n < 1 for n in lengths):
                raise InvalidSpec(
                    f"{name}: expected {axes} positive lengths, got {lengths}", field=name
                )
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.stimulus_shape[0]):
                raise InvalidSpec(
                    f"{name}: expected 1 number or {self.stimulus_shape[0]}, one a channel, got "
                    f"{len(getattr(self, name))}",
                    field=name,
                )

    @property
    def space(self) -> Space:
        """Categorical over the grid's positions, or normal."""
        codes, channels = self.codebook.shape
        return codebook_space(self.latent, (channels, *self.grid), codes)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, *stimulus) float32 in [0, 1], for latents of shape (N, D).

        Raises:
            ShapeMismatch: also if the decoder's pictures have another shape.
        """
        check_latent_shape(self.space, latents)
        decoder = self._net
        return self._slices.render(decoder, decoder.codebook.place(latents, self.grid))

    def _load(self) -> torch.nn.Module:
        return _Decoder(self)
