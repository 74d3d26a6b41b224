"""An unconditional diffusion model of diffusers as a generator of images, from its noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch

from blackbox_am.core.generator import check_latent_shape
from blackbox_am.core.rng import Stream
from blackbox_am.core.space import Space, build_space
from blackbox_am.errors import InvalidSpec
from blackbox_am.generators import _diffusers
from blackbox_am.generators._diffusers import Loaded, to_stimuli
from blackbox_am.generators.diffusers import _pipelines
from blackbox_am.generators.diffusers._latent_decoder import LatentDecoder
from blackbox_am.generators.diffusers._pipelines import Denoiser, Precision, Prior
from blackbox_am.generators.diffusers._sampling import SamplerName, Sampling

LATENT = "LDMPipeline"
PIPELINES = ("DDPMPipeline", "DDIMPipeline", "PNDMPipeline", "ConsistencyModelPipeline", LATENT)


class _Sampler(torch.nn.Module):
    """Noise (N, 1 + s, C, H, W) to stimuli in [0, 1]."""

    fixed: torch.Tensor

    def __init__(
        self,
        denoiser: Denoiser,
        finish: Callable[[torch.Tensor], torch.Tensor],
        owner: DiffusersUnconditional,
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.finish = finish
        self.sampling = owner.sampling
        self.label = owner.label
        shape = owner.noise_shape
        stream = Stream(owner.seed, "step noise", 0)
        self.register_buffer("fixed", stream.normal(owner.steps, *shape)[0])

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        def noise(step: int, like: torch.Tensor) -> torch.Tensor:
            if 1 + step < latents.shape[1]:
                return latents[:, 1 + step]
            return self.fixed[step].expand_as(like)

        def predict(samples: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
            given = {}
            if self.label is not None:
                labels = torch.full((len(samples),), self.label, device=samples.device)
                given["class_labels"] = labels
            said: torch.Tensor = self.denoiser(samples, time, **given)
            return said

        return self.finish(self.sampling.run(predict, latents[:, 0], noise))


@dataclass(frozen=True)
class DiffusersUnconditional(Loaded):
    """Images from the noise of a diffusion or consistency model: diffusers' DDPMPipeline,
    DDIMPipeline, PNDMPipeline, ConsistencyModelPipeline or LDMPipeline.

    A latent is the initial noise, flattened from (channels, height, width), followed by the noises
    of the first `step_noises` steps, for samplers that add noise. The latent is on the sphere of
    radius sqrt(D), D = (1 + step_noises) * channels * height * width, where nearly all of a normal
    prior lies: networks are trained on noise of this length. (All the noises share one sphere, so
    that a search may make one of them longer than the others.) The noise of later steps is fixed by
    `seed`, and the same for every latent: a picture is a function of its latent alone. Gradients
    pass through all steps.

    DDPM's pipelines are sampled with DDIM unless `sampler` has another value. DDIM needs no noise
    after the initial noise and gives good pictures in few steps (Song, Meng, Ermon, "Denoising
    Diffusion Implicit Models", 2021). LDMPipeline denoises in the latents of an autoencoder, where
    D is many times smaller than in pixels (Rombach et al., "High-Resolution Image Synthesis with
    Latent Diffusion Models", 2022), and the autoencoder in vqvae/ decodes the latents. If the
    autoencoder quantises latents, gradients pass straight through, as in `diffusers_vq`.

    A batch that does not fit into memory is halved.

    Attributes:
        weights: `zoo:NAME`, a folder in `save_pretrained`'s layout (model_index.json, unet/,
            scheduler/, and vqvae/ of an LDMPipeline), or the name of a model that diffusers has
            downloaded before.
        steps: number of steps of the sampler.
        sampler: `auto` as saved (DDPM's as DDIM), `ddim`, or `ddpm` (ancestral).
        eta: of DDIM: 0 adds no noise, 1 adds as much noise as DDPM.
        step_noises: s, how many steps' noises are searched, at most `steps` - 1.
        prior: of the noise: `sphere` or `normal`.
        label: class of the pictures, for models that are conditioned on classes.
        seed: fixes the noise of steps that is not searched.
        dtype: of the network's computation, `float32` or `bfloat16`.
        rows: most rows rendered at once; 0: all.
        checkpointing: whether the backward pass computes each step again, to save memory.

    Raises:
        InvalidSpec: for numbers out of range and unknown words.
    """

    kind: ClassVar[str] = "diffusers_unconditional"
    study_parameters: ClassVar[frozenset[str]] = frozenset({"label", "seed", "prior"})
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"checkpointing"})

    weights: str
    steps: int = 8
    sampler: SamplerName = "auto"
    eta: float = 0.0
    step_noises: int = 0
    prior: Prior = "sphere"
    label: int | None = None
    seed: int = 0
    dtype: Precision = "float32"
    rows: int = 0
    checkpointing: bool = False

    def __post_init__(self) -> None:
        _pipelines.check_choices(self)
        if not 0 <= self.eta <= 1:
            raise InvalidSpec(f"eta: expected 0 to 1, got {self.eta}", field="eta")
        if not 0 <= self.step_noises < self.steps:
            raise InvalidSpec(
                f"step_noises: expected 0 to {self.steps - 1} with {self.steps} steps (the last "
                f"adds none), got {self.step_noises}",
                field="step_noises",
            )

    @property
    def space(self) -> Space:
        """A sphere, or a normal space, with the noises one after the other as an image.

        Raises:
            NotFound: if the model does not exist.
            InvalidSpec: if the model has another class, or the sampler does not fit the model.
        """
        channels, height, width = self.noise_shape
        shape = ((1 + self.step_noises) * channels, height, width)
        if self.step_noises > self.sampling.noisy_steps:
            raise InvalidSpec(
                f"step_noises: sampled with {self.sampling.name} and eta {self.eta:g} this model "
                f"adds noise in {self.sampling.noisy_steps} of {self.steps} steps, got "
                f"{self.step_noises}; DDIM adds noise with eta above 0, and sampler 'ddpm' always",
                field="step_noises",
            )
        return build_space(_pipelines.noise_space(self.prior, shape))

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the denoised array."""
        return self._unet[1]

    @property
    def stimulus_shape(self) -> tuple[int, int, int]:
        decoder = self._decoder
        return decoder.stimulus_shape(self.noise_shape) if decoder else self.noise_shape

    @cached_property
    def sampling(self) -> Sampling:
        """The saved sampler, or the sampler that replaces it."""
        values = _pipelines.read_scheduler(self.weights)
        return Sampling(values, self.steps, self.sampler, self.eta)

    def render(self, latents: torch.Tensor) -> torch.Tensor:
        check_latent_shape(self.space, latents)
        network = self._net
        noises = latents.to(network.fixed.device, torch.float32)
        shaped = noises.reshape(len(noises), 1 + self.step_noises, *self.noise_shape)
        return self._slices.render(network, shaped)

    @cached_property
    def _unet(self) -> tuple[dict[str, Any], tuple[int, int, int]]:
        _pipelines.read_pipeline(self.weights, PIPELINES, {"unet": "UNet2DModel"})
        values, shape = _pipelines.read_unet(self.weights)
        classes = values.get("num_class_embeds")
        if classes is not None and (self.label is None or not 0 <= self.label < classes):
            raise InvalidSpec(
                f"label: this model makes pictures of {classes} classes; expected 0 to "
                f"{classes - 1}, got {self.label}",
                field="label",
            )
        if classes is None and self.label is not None:
            raise InvalidSpec(
                f"label: this model knows no classes; leave it out, got {self.label}",
                field="label",
            )
        return values, shape

    @cached_property
    def _decoder(self) -> LatentDecoder | None:
        index = _diffusers.read_json(self.weights, "model_index.json")
        latent = index.get("_class_name") == LATENT
        return LatentDecoder(self.weights, "vqvae") if latent else None

    def _load(self) -> torch.nn.Module:
        from diffusers import UNet2DModel

        # Parameters that do not fit are refused before the weights are read.
        _ = self.space, self.stimulus_shape, self.sampling.scheduler
        unet = _diffusers.load_part(self.weights, "unet", UNet2DModel)
        denoiser = Denoiser(unet, self.dtype, checkpointing=self.checkpointing)
        return _Sampler(denoiser, self._decoder.load() if self._decoder else to_stimuli, self)
