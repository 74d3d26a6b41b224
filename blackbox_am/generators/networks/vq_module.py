"""Any PyTorch decoder with a codebook as a generator of images."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from blackbox_am.core.generator import bounded, check_latent_shape, check_stimuli
from blackbox_am.core.space import Space
from blackbox_am.core.weights import State, few, fill, read_checkpoint
from blackbox_am.errors import InvalidSpec, ShapeMismatch, did_you_mean
from blackbox_am.generators._codebook import Codebook, check_latent, codebook_space
from blackbox_am.generators._diffusers import Loaded, per_channel
from blackbox_am.generators.networks._modules import built


class _Decoder(torch.nn.Module):
    """Decodes latents in the codebook's layout into stimuli in [0, 1]."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self, owner: VQModule, decoder: torch.nn.Module, encoder: torch.nn.Module | None
    ) -> None:
        super().__init__()
        self.decoder, self.encoder = decoder, encoder
        self.expected = owner.stimulus_shape
        self.codebook = Codebook(owner.entries, quantise=owner.quantise)
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

    def encoded(self, stimuli: torch.Tensor, latent: str, grid: tuple[int, ...]) -> torch.Tensor:
        """Latents (N, D) of stimuli (N, *stimulus)."""
        assert self.encoder is not None  # `encodes` says so
        vectors = self.encoder((stimuli - self.mean) / self.std)
        expected = (self.codebook.entries.shape[1], *grid)
        if vectors.shape[1:] != expected:
            raise ShapeMismatch(
                f"encoder: expected vectors of shape {expected}, got {tuple(vectors.shape[1:])}",
                field="encoder",
            )
        return self.codebook.latents(vectors, latent)


@dataclass(frozen=True, eq=False)
class VQModule(Loaded):
    """Images from the decoder of any vector-quantised autoencoder that is a PyTorch module.

    The two spaces are those of `diffusers_vq`: `codes`, the numbers of codebook entries on a
    grid, row by row; or `continuous`, vectors on the grid, whitened by mean and deviation of
    the codebook's entries, channel by channel. Modules in memory are copied; the copies run in eval
    mode with frozen parameters. A batch that does not fit into memory is halved.

    In a configuration file, modules are named, with their weights in a file:

        kind = "vq_module"
        decoder = "my_nets:Decoder"
        encoder = "my_nets:Encoder"                   # optional
        weights = "vqvae.safetensors"
        codebook = "_vq_vae._embedding.weight"        # a tensor in that file
        grid = [8, 8]

    Each module takes the tensors of its own names from the file, and the other tensors of the file
    are left.

    Attributes:
        decoder: `torch.nn.Module`, or `package.module:CLASS`, from codebook vectors
            (N, channels, height, width) to pictures (N, *stimulus).
        codebook: (m, channels) tensor, its entries; or the name of this tensor in `weights`.
        grid: height and width.
        stimulus_shape: shape of one picture, channels first.
        mean, std: one number each, or one for each channel, such that a picture of the decoder
            times `std` plus `mean` lies in [0, 1]. The defaults are for pictures in [-1, 1].
        latent: `codes` or `continuous`.
        quantise: whether continuous latents are moved to their nearest entry before they are
            decoded, with the straight-through gradient of `diffusers_vq`.
        encoder: from pictures, as the decoder makes them, to vectors; without it, the generator
            does not encode.
        weights: a state dict, or a checkpoint that contains one; read with `weights_only`.
        arguments: of the decoder's class; those of the encoder's are `encoder_arguments`.
        licence_name: licence of the weights.

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
    encoder: Any = None
    weights: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    encoder_arguments: dict[str, Any] = field(default_factory=dict)
    licence_name: str = ""

    def __post_init__(self) -> None:
        check_latent(self.latent)
        for name in ("grid", "stimulus_shape", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not isinstance(self.codebook, str):
            check_book(self.codebook)
        elif not self.weights:
            raise InvalidSpec(
                f"codebook: {self.codebook!r} names a tensor, and there is no file of weights; "
                "give weights, or the tensor itself",
                field="codebook",
            )
        for name in ("decoder", "encoder"):
            given = getattr(self, name)
            if not isinstance(given, (torch.nn.Module, str)) and (name, given) != ("encoder", None):
                built(name, given, {})  # raises
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
    def licence(self) -> str:
        return self.licence_name

    def contents(self) -> Mapping[str, object]:
        # The modules' code may read other files. What is built identifies the generator.
        replaced = dict.fromkeys(("weights", "arguments", "encoder_arguments"))
        return {**replaced, "decoder": self._net.decoder, "encoder": self._net.encoder,
                "codebook": self.entries}  # fmt: skip

    @cached_property
    def entries(self) -> torch.Tensor:
        """(m, channels): the codebook.

        Raises:
            NotFound: if there is no file of weights.
            InvalidSpec: if the file has no such tensor.
        """
        if not isinstance(self.codebook, str):
            book: torch.Tensor = self.codebook
            return book
        if self.codebook not in self._state:
            near = did_you_mean(self.codebook, self._state)
            raise InvalidSpec(
                f"codebook: {self.weights} has no tensor {self.codebook!r}{near} (names in the "
                f"file: {few(list(self._state))})",
                field="codebook",
            )
        return check_book(self._state[self.codebook])

    @cached_property
    def _state(self) -> State:
        return read_checkpoint(Path(self.weights)).state

    @property
    def encodes(self) -> bool:
        return self.encoder is not None

    @torch.no_grad()
    def encode(self, stimuli: torch.Tensor) -> torch.Tensor:
        if not self.encodes:
            return super().encode(stimuli)
        check_stimuli(self, stimuli)
        net = self._net
        given = stimuli.to(net.mean.device, torch.float32)
        return self._slices.render(lambda part: net.encoded(part, self.latent, self.grid), given)

    @property
    def space(self) -> Space:
        """Categorical over the grid's positions, or normal."""
        codes, channels = self.entries.shape
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
        encoder = None if self.encoder is None else self._module("encoder", self.encoder_arguments)
        return _Decoder(self, self._module("decoder", self.arguments), encoder)

    def _module(self, name: str, arguments: dict[str, Any]) -> torch.nn.Module:
        module = copy.deepcopy(built(name, getattr(self, name), arguments))
        if self.weights:
            wanted = module.state_dict()
            own = {key: value for key, value in self._state.items() if key in wanted}
            if wanted:
                fill(module, own or self._state, Path(self.weights))
        return module


def check_book(book: Any) -> torch.Tensor:
    """Checks that an object is a codebook.

    Raises:
        InvalidSpec: if it is not.
    """
    if not (isinstance(book, torch.Tensor) and book.ndim == 2 and len(book) > 1):
        got = tuple(book.shape) if isinstance(book, torch.Tensor) else type(book).__name__
        raise InvalidSpec(
            "codebook: expected a tensor of shape (entries, channels) with 2 entries or more, "
            f"got {got}",
            field="codebook",
        )
    return book
