"""Samplers of diffusion models as functions that take the noise as an argument.

A pipeline draws noise wherever its sampler needs some. Here the noise of each step is given,
so that a picture is a function of its latent alone, rows never mix, and the noise itself can
be searched. Diffusers' schedulers do the arithmetic. If a scheduler has no argument for the noise
of a step, this module computes the step's last line, which adds the noise, from the paper's
formula.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch

from blackbox_am.errors import InvalidSpec

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Function of (N, C, H, W) and a timestep that returns the network's output."""
Noise = Callable[[int, torch.Tensor], torch.Tensor]
"""The noise of a step, by its number, in the shape of the given sample."""

SamplerName = Literal["auto", "ddim", "ddpm"]
SAMPLERS = ("auto", "ddim", "ddpm")

CONSISTENCY = "CMStochasticIterativeScheduler"
LATENT_CONSISTENCY = "LCMScheduler"
_ANCESTRAL = ("DDPMScheduler", "DDPMParallelScheduler")
_IMPLICIT = ("DDIMScheduler", "DDIMParallelScheduler")
_DRAWS = ("DPMSolverSDEScheduler", "CosineDPMSolverMultistepScheduler")
"""Schedulers that draw noise and accept neither noise nor a generator."""
_VARIANCES = ("fixed_small", "fixed_small_log", "fixed_large")


@dataclass(frozen=True)
class Sampling:
    """A sampler and its settings, known before any weights are read.

    Attributes:
        values: of scheduler_config.json.
        steps: number of steps.
        sampler: `ddim` or `ddpm` instead of the saved sampler. `auto` keeps the saved sampler,
            except that DDIM replaces DDPM, because DDIM needs no noise and far fewer steps.
        eta: of DDIM: 0 deterministic, 1 as noisy as DDPM.

    Raises:
        InvalidSpec: for settings that do not fit together, or a scheduler whose own
            noise cannot be given.
    """

    values: dict[str, Any]
    steps: int
    sampler: SamplerName = "auto"
    eta: float = 0.0

    def __post_init__(self) -> None:
        if self.saved in _DRAWS or not self.saved:
            raise InvalidSpec(
                f"weights: expected a scheduler whose noise can be given, got {self.saved!r}; "
                "save the pipeline with another, such as DDIMScheduler",
                field="weights",
            )
        if self.sampler != "auto" and self.saved in (CONSISTENCY, LATENT_CONSISTENCY):
            raise InvalidSpec(
                f"sampler: this is a consistency model, saved with {self.saved}, and is sampled "
                f"as such; expected 'auto', got {self.sampler!r}",
                field="sampler",
            )
        if self.eta and self.name != "ddim":
            raise InvalidSpec(
                f"eta: only DDIM has one, and this is sampled with {self.name}; leave it 0, or "
                "set sampler to 'ddim'",
                field="eta",
            )
        variance = self.values.get("variance_type", "fixed_small")
        if self.name == "ddpm" and variance not in _VARIANCES:
            raise InvalidSpec(
                f"sampler: 'ddpm' knows the variances {', '.join(_VARIANCES)}, this model has "
                f"{variance!r}; use 'ddim'",
                field="sampler",
            )

    @property
    def saved(self) -> str:
        """The class of the saved scheduler."""
        return str(self.values.get("_class_name", ""))

    @property
    def name(self) -> str:
        """`ddim`, `ddpm`, or the class of the saved scheduler."""
        if self.sampler != "auto":
            return self.sampler
        return "ddim" if self.saved in (*_ANCESTRAL, *_IMPLICIT) else self.saved

    @property
    def noisy_steps(self) -> int:
        """Number of steps, from the first on, for which noise can be given."""
        noisy = self.name in ("ddpm", CONSISTENCY, LATENT_CONSISTENCY) or self.eta > 0
        return self.steps - 1 if noisy else 0

    @cached_property
    def scheduler(self) -> Any:
        """Diffusers' scheduler, set to its steps.

        Raises:
            InvalidSpec: if diffusers cannot create the scheduler, or not for this number of steps.
        """
        import diffusers

        try:
            made = getattr(diffusers, self.saved).from_config(self.values)
            if self.name in ("ddim", "ddpm"):
                made = _implicit(diffusers.DDIMScheduler, made)
            made.set_timesteps(self.steps)
        except Exception as error:  # each scheduler raises its own errors
            raise InvalidSpec(
                f"steps: diffusers' {self.saved} cannot be set up for {self.steps} steps: {error}",
                field="steps",
            ) from error
        return made

    def run(self, predict: Predict, start: torch.Tensor, noise: Noise) -> torch.Tensor:
        """(N, C, H, W) samples from standard normal `start` of that shape.

        Args:
            predict: the network.
            start: the initial noise.
            noise: the noise that each of the steps adds.
        """
        scheduler = self.scheduler
        samples = start * scheduler.init_noise_sigma
        if self.name == "ddim":
            return _ddim(scheduler, predict, samples, noise, self.eta)
        if self.name == "ddpm":
            return _ddpm(scheduler, predict, samples, noise, self.values)
        if self.name == CONSISTENCY:
            return _consistency(scheduler, predict, samples, noise)
        if self.name == LATENT_CONSISTENCY:
            return _latent_consistency(scheduler, predict, samples, noise)
        # Other schedulers keep their position and earlier outputs of the network.
        return _as_saved(copy.deepcopy(scheduler), predict, samples)


def _implicit(owner: Any, saved: Any) -> Any:
    """DDIM's scheduler on the noise levels of another."""
    # The betas define the schedule completely, whatever formula they come from.
    return owner.from_config(
        saved.config,
        trained_betas=saved.betas.tolist(),
        rescale_betas_zero_snr=False,
        clip_sample=saved.config.get("clip_sample", False),
    )


def _ddim(
    scheduler: Any, predict: Predict, samples: torch.Tensor, noise: Noise, eta: float
) -> torch.Tensor:
    """Song, Meng, Ermon, "Denoising Diffusion Implicit Models", 2021, equation 12."""
    for i, time in enumerate(scheduler.timesteps):
        given = {"eta": eta, "variance_noise": noise(i, samples)} if eta else {}
        samples = scheduler.step(predict(samples, time), time, samples, **given).prev_sample
    return samples


def _ddpm(
    scheduler: Any,
    predict: Predict,
    samples: torch.Tensor,
    noise: Noise,
    values: dict[str, Any],
) -> torch.Tensor:
    """Ho, Jain, Abbeel, "Denoising Diffusion Probabilistic Models", 2020, algorithm 2.

    DDPM is DDIM with eta = 1 and the noise taken from the clipped picture (Song et al., 2021,
    section 4.1): the variance is then the smaller of the two variances that the paper proposes. For
    the larger variance, 1 - alpha_t, the noise is scaled by the square root of their ratio. The
    last step adds no noise, here also if its time is not 0.
    """
    stride = scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    larger = values.get("variance_type") == "fixed_large"
    last = len(scheduler.timesteps) - 1
    for i, time in enumerate(scheduler.timesteps):
        given = torch.zeros_like(samples) if i == last else noise(i, samples)
        if larger and time >= stride:
            left = 1 - scheduler.alphas_cumprod[time - stride]
            given = given * ((1 - scheduler.alphas_cumprod[time]) / left) ** 0.5
        samples = scheduler.step(
            predict(samples, time),
            time,
            samples,
            eta=1.0,
            use_clipped_model_output=True,
            variance_noise=given,
        ).prev_sample
    return samples


def _consistency(
    scheduler: Any, predict: Predict, samples: torch.Tensor, noise: Noise
) -> torch.Tensor:
    """Song, Dhariwal, Chen, Sutskever, "Consistency Models", 2023, algorithm 1."""
    config = scheduler.config
    for i, time in enumerate(scheduler.timesteps):
        level = scheduler.sigmas[i]
        skip, out = scheduler.get_scalings_for_boundary_condition(level)
        scaled = samples / (level**2 + config.sigma_data**2) ** 0.5
        clean: torch.Tensor = out * predict(scaled, time) + skip * samples
        if config.clip_denoised:
            clean = clean.clamp(-1, 1)
        left = scheduler.sigmas[i + 1].clamp(config.sigma_min, config.sigma_max)
        if i == len(scheduler.timesteps) - 1:
            return clean
        width = config.s_noise * (left**2 - config.sigma_min**2) ** 0.5
        samples = clean + width * noise(i, samples)
    return samples


def _latent_consistency(
    scheduler: Any, predict: Predict, samples: torch.Tensor, noise: Noise
) -> torch.Tensor:
    """Luo et al., "Latent Consistency Models", 2023, algorithm 3."""
    from diffusers import DDIMScheduler

    # The scheduler predicts the clean picture from the network's output, for every prediction type.
    reading = _implicit(DDIMScheduler, scheduler)
    reading.set_timesteps(len(scheduler.timesteps))
    levels = scheduler.alphas_cumprod
    clean: torch.Tensor = samples
    for i, time in enumerate(scheduler.timesteps):
        if i:
            level = levels[time]
            samples = level**0.5 * clean + (1 - level) ** 0.5 * noise(i - 1, samples)
        skip, out = scheduler.get_scalings_for_boundary_condition_discrete(time)
        said = predict(samples, time)
        clean = out * reading.step(said, time, samples).pred_original_sample + skip * samples
    return clean


def _as_saved(scheduler: Any, predict: Predict, samples: torch.Tensor) -> torch.Tensor:
    """Any other scheduler. A scheduler that draws noise gets one generator for each row, all with
    the same seed, so that every row has the same noise at any position.
    """
    given: dict[str, Any] = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        given["generator"] = [torch.Generator().manual_seed(0) for _ in samples]
    for time in scheduler.timesteps:
        said = predict(scheduler.scale_model_input(samples, time), time)
        samples = scheduler.step(said, time, samples, **given).prev_sample
    return samples
