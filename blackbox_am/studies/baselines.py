"""Natural images as the baseline of a study: checked at its beginning, observed before its search.

The oracle observes every image once for all targets. Each target then has the scores of the
images, with which its best score is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.catalogue import Images
from blackbox_am.core.baselines import which
from blackbox_am.core.generator import Generator
from blackbox_am.core.layout import Layout
from blackbox_am.core.space import Space
from blackbox_am.core.spec import ArrayData, BaselineSpec, StudySpec
from blackbox_am.core.types import FloatArray
from blackbox_am.errors import InvalidInput, InvalidSpec, NotFound
from blackbox_am.plugins import measure

ENCODED_ROWS = 64
"""Number of images that are encoded at a time."""
LEAST_EXPLAINED = 0.85
"""Smallest fraction of the images' variance that an encoder must explain for a start.

Measured on 100 shipped images and the logits of `cifar_cnn`: `cifar_vae` explains .80, and the
reconstructions of the best images have .41 of the natural maximum; `cifar_vq` .87 and .54,
`cifar_pca` .91 and .63.
"""


def check_baseline(
    spec: StudySpec,
    images: Images | None,
    generator: Generator | None,
    layouts: Sequence[Layout],
    most_bytes: int,
) -> None:
    """Checks that a study can have its baseline.

    Args:
        spec: the specification of the study.
        images: the images that it names.
        generator: the generator of the study.
        layouts: the measured quantities of each target.
        most_bytes: largest size of the measurements, and of the scores.

    Raises:
        InvalidSpec: if the study has no oracle, if the images cannot be read, or for a measure that
            natural images do not have.
        ShapeMismatch: if the images cannot become stimuli of the study.
    """
    if spec.baseline is None:
        return
    if spec.oracle is None or generator is None:
        raise InvalidSpec(
            "baseline: natural images are observed by the study's oracle, and clients evaluate "
            "this study; leave the baseline out, and measure the images on your own model",
            field="baseline",
        )
    if images is None:
        raise InvalidSpec(
            "baseline: the images that it names are not at hand in this process; give them with "
            "the study",
            field="baseline",
        )
    names = {str(name) for layout in layouts for name in layout.measures}
    for name in sorted(names):
        if name.startswith("latent.") or measure(name).compares:
            raise InvalidSpec(
                f"baseline: natural images have no {name}, which a target reads; leave the "
                "baseline or this quantity out",
                field="baseline",
            )
    with _of_baseline():
        rows = len(which(spec.baseline, len(images)))
        images.stimuli(tuple(generator.stimulus_shape), [0])
    units = len({unit for layout in layouts for unit in layout.units}) + len(names)
    if 8 * rows * max(units, len(layouts)) > most_bytes:
        raise InvalidSpec(
            f"baseline: {rows} images x {max(units, len(layouts))} quantities or targets are too "
            f"large: at most {most_bytes} bytes; use fewer images",
            field="baseline.rows",
        )


def natural_stimuli(spec: BaselineSpec, images: Images, shape: Sequence[int]) -> torch.Tensor:
    """(N, *shape) float32 in [0, 1]: the images to observe.

    Raises:
        InvalidSpec, ShapeMismatch: if the images have changed since the study was created.
    """
    with _of_baseline():
        return images.stimuli(tuple(shape), which(spec, len(images)))


def natural_rows(
    spec: StudySpec, images: Images | None, generator: Generator | None
) -> Callable[[int], NDArray[np.float32] | None]:
    """A function that returns the observed image of a number, (*stimulus,) float32; None without a
    baseline.
    """
    baseline = spec.baseline
    if baseline is None or images is None or generator is None:
        return lambda place: None
    chosen, shape = which(baseline, len(images)), tuple(generator.stimulus_shape)
    return lambda place: images.stimuli(shape, [chosen[place]]).numpy()[0]


def encoded_start(
    generator: Generator, space: Space, stimuli: torch.Tensor, scores: FloatArray
) -> ArrayData | None:
    """The start of a search: the encoded best natural image of each target.

    Args:
        generator: the generator.
        space: its latent space.
        stimuli: (N, *stimulus) the observed images.
        scores: (K, N) of the images, nan for an image without a score.

    Returns:
        (K, D) latents; None if the generator has no encoder, or one that explains less than
        `LEAST_EXPLAINED` of the variance of the images, and for codes, which have no mean.
    """
    if not generator.encodes or space.dtype is not None:
        return None
    best = np.where(np.isnan(scores), -np.inf, scores).argmax(axis=1)
    chosen, places = np.unique(best, return_inverse=True)
    shown = stimuli[torch.from_numpy(chosen).to(stimuli.device)]
    with torch.no_grad():
        latents = torch.cat([generator.encode(part) for part in torch.split(shown, ENCODED_ROWS)])
        made = torch.cat([generator.render(part) for part in torch.split(latents, ENCODED_ROWS)])
    if explained(shown, made.to(shown)) < LEAST_EXPLAINED:
        return None
    start = space.project(latents).float().cpu().numpy()[places.reshape(-1)]
    return ArrayData.of(start) if np.isfinite(start).all() else None


def explained(stimuli: torch.Tensor, made: torch.Tensor) -> float:
    """Fraction of the variance of the values of `stimuli` (N, *stimulus) that `made` explains, the
    median of the N: 1 for equal stimuli.
    """
    values = stimuli.flatten(1)
    rest = (values - made.flatten(1)).square().mean(dim=1)
    return float((1 - rest / values.var(dim=1, correction=0).clamp_min(1e-12)).median())


@contextmanager
def _of_baseline() -> Iterator[None]:
    """Prefix the field of an error about images with `baseline`."""
    try:
        yield
    except (InvalidInput, NotFound) as error:
        error.field = f"baseline.{error.field}" if error.field else "baseline"
        raise
