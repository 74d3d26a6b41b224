"""A Stable Diffusion pipeline of diffusers as a generator of images: noise, prompt, or both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch

from blackbox_am.core.generator import check_latent_shape
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.core.spec import SpaceSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators import _diffusers
from blackbox_am.generators._diffusers import Loaded
from blackbox_am.generators.diffusers import _pipelines, _prompts
from blackbox_am.generators.diffusers._latent_decoder import Decoding, LatentDecoder
from blackbox_am.generators.diffusers._pipelines import Denoiser, Precision, Prior
from blackbox_am.generators.diffusers._sampling import SamplerName, Sampling

PIPELINES = ("StableDiffusionPipeline",)
LATENTS = ("noise", "prompt", "both")
BASES = ("random", "prompts")
_CORRECTED = {"clip_sample": False, "steps_offset": 1}
"""Settings that Stable Diffusion's pipeline enforces in every scheduler."""
_CONDITIONS = ("addition_embed_type", "time_cond_proj_dim", "encoder_hid_dim", "class_embed_type")
"""Configuration fields of networks that need more inputs than a prompt."""


class _Pipeline(torch.nn.Module):
    """Latents (N, D) to stimuli in [0, 1]."""

    prompt: torch.Tensor
    negative: torch.Tensor
    basis: torch.Tensor
    start: torch.Tensor
    fixed: torch.Tensor

    def __init__(self, denoiser: Denoiser, decode: Decoding, owner: DiffusersText) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.decode = decode
        self.owner = owner
        shape = owner.noise_shape
        prior = build_space(_pipelines.noise_space(owner.prior, shape))
        start = prior.sample(Stream(owner.seed, "initial noise", 0), 1).reshape(shape)
        self.register_buffer("start", start)
        stream = Stream(owner.seed, "step noise", 0)
        self.register_buffer("fixed", stream.normal(owner.steps, *shape)[0])
        embeddings = _prompts.encode(
            owner.weights, (owner.prompt, owner.negative_prompt, *owner.prompts)
        )
        self.register_buffer("prompt", embeddings[0])
        self.register_buffer("negative", embeddings[1])
        self.register_buffer("basis", owner.make_basis(embeddings[0], embeddings[2:]))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        noise, offsets = self.owner.split(latents)
        prompts = self.prompt.expand(len(latents), *self.prompt.shape)
        if offsets is not None:
            prompts = prompts + torch.tensordot(offsets, self.basis, dims=1)
        start = self.start.expand(len(latents), *self.start.shape)
        if noise is not None:
            start = noise.reshape(start.shape)
        guidance = self.owner.guidance_scale
        if guidance > 1:
            prompts = torch.cat([self.negative.expand_as(prompts), prompts])
        prompts = prompts.to(self.denoiser.precision)

        def predict(samples: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            if guidance <= 1:
                said: torch.Tensor = self.denoiser(samples, time, encoder_hidden_states=prompts)
                return said
            twice = torch.cat([samples, samples])
            without, towards = self.denoiser(twice, time, encoder_hidden_states=prompts).chunk(2)
            # Ho, Salimans, "Classifier-Free Diffusion Guidance", 2022, in Imagen's notation.
            guided: torch.Tensor = without + guidance * (towards - without)
            return guided

        made = self.owner.sampling.run(
            predict, start, lambda step, like: self.fixed[step].expand_as(like)
        )
        stimuli: torch.Tensor = self.decode(made)
        return stimuli


@dataclass(frozen=True)
class DiffusersText(Loaded):
    """Images from a text-to-image pipeline (diffusers' StableDiffusionPipeline: CLIP's text
    encoder, a conditional UNet, an autoencoder), by its noise, its prompt, or both.

    `noise`: a latent is the initial noise, flattened from (channels, height, width), on the sphere
    of radius sqrt(D) or normal; the prompt is fixed. `prompt`: a latent holds standard normal
    coordinates of an offset that is added to the prompt's embedding (tokens, channels), in a basis
    of a few directions; the noise is fixed by `seed`. `both`: noise, then offset, as a product
    space. The negative prompt's embedding is never moved.

    The sampler is the saved one (DDIM replaces DDPM), without noise in its steps. If the sampler
    needs noise, the noise is fixed by `seed` and the same for every latent. For the same noise and
    prompt, the picture equals the picture of the pipeline; its safety checker is not run. Gradients
    pass through all steps. A batch that does not fit into memory is halved.

    Attributes:
        weights: `zoo:NAME`, a folder in `save_pretrained`'s layout (model_index.json, unet/,
            vae/, text_encoder/, tokenizer/, scheduler/), or the name of a model that diffusers
            has downloaded before.
        prompt: text that describes the image.
        negative_prompt: text that describes what to avoid.
        guidance_scale: strength of classifier-free guidance; none at 1 and below.
        steps: number of steps of the sampler.
        latent: `noise`, `prompt` or `both`.
        directions: number of directions of the basis.
        basis: `random`: orthogonal, drawn from `seed`; at `scale` 1 an offset is as long as the
            prompt's embedding. `prompts`: principal components of the embeddings of `prompts`;
            at `scale` 1 offsets vary as those embeddings do.
        prompts: for the basis; more than `directions`.
        scale: of offsets.
        size: side of a picture in pixels; None takes the size of the training.
        prior: of the noise: `sphere` or `normal`.
        sampler: `auto` as saved, `ddim`, or `ddpm`.
        seed: fixes the basis, and all noise that is not searched.
        dtype: of the UNet's computation, `float32` or `bfloat16`.
        rows: most rows rendered at once; 0: all.
        checkpointing: whether the backward pass computes each step again, to save memory.

    Raises:
        InvalidSpec: for numbers out of range, unknown words, and too few prompts.
    """

    kind: ClassVar[str] = "diffusers_text"
    study_parameters: ClassVar[frozenset[str]] = frozenset({"prior", "seed"})
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"checkpointing"})

    weights: str
    prompt: str = ""
    negative_prompt: str = ""
    guidance_scale: float = 7.5
    steps: int = 8
    latent: Literal["noise", "prompt", "both"] = "noise"
    directions: int = 16
    basis: Literal["random", "prompts"] = "random"
    prompts: tuple[str, ...] = ()
    scale: float = 0.5
    size: int | None = None
    prior: Prior = "sphere"
    sampler: SamplerName = "auto"
    seed: int = 0
    dtype: Precision = "float32"
    rows: int = 0
    checkpointing: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompts", tuple(self.prompts))
        _pipelines.check_choices(self)
        for name, known in (("latent", LATENTS), ("basis", BASES)):
            _pipelines.check_word(name, getattr(self, name), known)
        if self.directions < 1:
            raise InvalidSpec(
                f"directions: expected 1 or more, got {self.directions}", field="directions"
            )
        for name in ("guidance_scale", "scale"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InvalidSpec(
                    f"{name}: expected a number of 0 or more, got {getattr(self, name)}",
                    field=name,
                )
        wanted = self.directions + 1 if self.basis == "prompts" and self.latent != "noise" else 0
        if len(self.prompts) < wanted:
            raise InvalidSpec(
                f"prompts: a basis of {self.directions} directions takes {wanted} prompts or "
                f"more, got {len(self.prompts)}",
                field="prompts",
            )

    @property
    def space(self) -> Space:
        """The space of the noise, of the offset (normal), or their product.

        Raises:
            NotFound: if the model does not exist.
            InvalidSpec: if the model has another class, or the size does not fit the model.
        """
        _ = self.sampling
        noise = _pipelines.noise_space(self.prior, self.noise_shape)
        offset = SpaceSpec("normal", self.directions)
        if self.latent != "both":
            return build_space(noise if self.latent == "noise" else offset)
        dimension = noise.dimension + offset.dimension
        return build_space(SpaceSpec("product", dimension, parts=(noise, offset)))

    @property
    def stimulus_shape(self) -> tuple[int, ...]:
        return self._shapes[1]

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the denoised array."""
        return self._shapes[0]

    @cached_property
    def sampling(self) -> Sampling:
        """The saved sampler, with the corrections of the pipeline."""
        values = _pipelines.read_scheduler(self.weights)
        values |= {key: value for key, value in _CORRECTED.items() if key in values}
        return Sampling(values, self.steps, self.sampler)

    def split(self, latents: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """The noise and the coordinates of the offset in latents (N, D), each None if it is
        not searched.
        """
        if self.latent == "noise":
            return latents, None
        if self.latent == "prompt":
            return None, latents
        return latents[:, : -self.directions], latents[:, -self.directions :]

    def make_basis(self, prompt: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """(directions, L, C) for the embeddings of the prompt (L, C) and of `prompts`."""
        if self.latent == "noise":
            return prompt.new_zeros(0, *prompt.shape)
        if self.basis == "prompts":
            return self.scale * _prompts.principal_basis(others, self.directions)
        return self.scale * _prompts.random_basis(prompt, self.directions, self.seed)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        network = self._net
        return self._slices.render(network, latents.to(network.start.device, torch.float32))

    @cached_property
    def _shapes(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        parts = {"text_encoder": "CLIPTextModel", "unet": "UNet2DConditionModel"}
        _pipelines.read_pipeline(self.weights, PIPELINES, parts)
        values, shape = _pipelines.read_unet(self.weights)
        wanted = [key for key in _CONDITIONS if values.get(key) is not None]
        if wanted:
            raise InvalidSpec(
                f"weights {self.weights!r}: expected a UNet that is told a prompt and nothing "
                f"else, this one has {', '.join(wanted)}",
                field="weights",
            )
        scale = self._decoder.scale
        if self.size is not None and (self.size < 1 or self.size % scale):
            raise InvalidSpec(
                f"size: expected a multiple of {scale} pixels, got {self.size}", field="size"
            )
        channels, height, width = shape
        if self.size is not None:
            height = width = self.size // scale
        noise = (channels, height, width)
        return noise, self._decoder.stimulus_shape(noise)

    @cached_property
    def _decoder(self) -> LatentDecoder:
        return LatentDecoder(self.weights, "vae")

    def _load(self) -> torch.nn.Module:
        from diffusers import UNet2DConditionModel

        _ = self.space, self.sampling.scheduler  # refused before the weights are read
        decode = self._decoder.load()
        unet = _diffusers.load_part(self.weights, "unet", UNet2DConditionModel)
        denoiser = Denoiser(unet, self.dtype, checkpointing=self.checkpointing)
        return _Pipeline(denoiser, decode, self)
