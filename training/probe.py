"""Selection of the natural images for baselines."""

from __future__ import annotations

import numpy as np

from training.data import TEST_FILE, read_npz
from training.files import write_arrays
from training.loop import SEED, Job

PER_CLASS = 20


def write_probe(job: Job) -> None:
    """Write ``probe_images.npz``: 20 images of each class, drawn from the test images.

    The file holds ``x`` uint8 ``(200, 32, 32, 3)`` and ``y`` int64 ``(200,)``, sorted by class.
    """
    x, y = read_npz(job.data / TEST_FILE)
    draw = np.random.default_rng(SEED)
    chosen = [
        np.sort(draw.permutation(np.flatnonzero(y == label))[:PER_CLASS]) for label in np.unique(y)
    ]
    index = np.concatenate(chosen)
    write_arrays(job.out / "probe_images.npz", x=x[index], y=y[index])
