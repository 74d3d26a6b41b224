"""The modules inside the shipped generators, called directly: the baseline of rendering speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from blackbox_am.generators.diffusers.diffusers_unconditional import DiffusersUnconditional
from blackbox_am.zoo import catalogue, loading

STEPS = DiffusersUnconditional.steps
Module = Callable[[torch.Tensor], Any]


def module(name: str) -> Module | None:
    """The module that the shipped generator `name` wraps; None if it wraps no module."""
    build = _MODULES.get(name)
    return None if build is None else build()


def _vae() -> Module:
    model = loading.load_autoencoder("cifar_vae")
    shape = (-1, *_shape("cifar_vae"))
    return lambda latents: model.decode(latents.reshape(shape)).sample


def _vq() -> Module:
    model = loading.load_autoencoder("cifar_vq")
    shape = (-1, *_shape("cifar_vq"))
    return lambda latents: model.decode(latents.reshape(shape)).sample


def _vq_codes() -> Module:
    model = loading.load_autoencoder("cifar_vq")
    side = _shape("cifar_vq")[-1]

    def decode(codes: torch.Tensor) -> Any:
        chosen = model.quantize.embedding(codes.reshape(-1, side, side)).permute(0, 3, 1, 2)
        return model.decode(chosen, force_not_quantize=True).sample

    return decode


def _ldm() -> Module:
    from diffusers import LDMPipeline

    load: Any = LDMPipeline.from_pretrained
    pipeline = load(catalogue.path("cifar_ldm"), local_files_only=True)
    shape = (-1, *_shape("cifar_ldm"))

    def decode(noise: torch.Tensor) -> Any:
        samples = noise.reshape(shape)
        pipeline.scheduler.set_timesteps(STEPS)
        for time in pipeline.scheduler.timesteps:
            predicted = pipeline.unet(samples, time).sample
            samples = pipeline.scheduler.step(predicted, time, samples).prev_sample
        return pipeline.vqvae.decode(samples / pipeline.vqvae.config.scaling_factor).sample

    return decode


def _sngan() -> Module:
    return loading.load_decoder("cifar_sngan")


def _cbf_vae() -> Module:
    return loading.load_decoder("cbf_vae")


def _shape(name: str) -> tuple[int, ...]:
    return catalogue.entry(name).latent_shape


_MODULES: dict[str, Callable[[], Module]] = {
    "vae": _vae,
    "vq": _vq,
    "vq_codes": _vq_codes,
    "ldm": _ldm,
    "sngan": _sngan,
    "cbf_vae": _cbf_vae,
}
