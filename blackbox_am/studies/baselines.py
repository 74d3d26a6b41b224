"""Natural images as the baseline of a study: checked at its beginning, observed before its search.

The oracle observes every image once for all targets. Each target then has the scores of the
images, with which its best score is compared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.catalogue import Images
from blackbox_am.core.baselines import which
from blackbox_am.core.generator import Generator
from blackbox_am.core.layout import Layout
from blackbox_am.core.spec import BaselineSpec, StudySpec
from blackbox_am.errors import InvalidInput, InvalidSpec, NotFound
from blackbox_am.plugins import measure


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


def digest_of(stimuli: torch.Tensor) -> str:
    """32 hexadecimal digits that identify stimuli."""
    array = np.ascontiguousarray(stimuli.cpu().numpy())
    return hashlib.blake2b(array.tobytes(), digest_size=16).hexdigest()


@contextmanager
def _of_baseline() -> Iterator[None]:
    """Prefix the field of an error about images with `baseline`."""
    try:
        yield
    except (InvalidInput, NotFound) as error:
        error.field = f"baseline.{error.field}" if error.field else "baseline"
        raise
