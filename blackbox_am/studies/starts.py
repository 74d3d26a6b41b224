"""The start of a search that does not begin at the prior."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blackbox_am.core.space import Space
from blackbox_am.core.spec import ArrayData, StudySpec
from blackbox_am.core.store import Store
from blackbox_am.errors import InvalidSpec, ShapeMismatch
from blackbox_am.studies import reports
from blackbox_am.studies.study import Study

Array = NDArray[Any]


def start_of(spec: StudySpec, space: Space, source: Study | None) -> ArrayData | None:
    """The start of the study with this `spec`: (K, D) float32 latents of `space`; None for the
    prior.

    Args:
        spec: specification of the study.
        space: the latent space of the study.
        source: the study that `spec.start` names, if it names one.

    Raises:
        InvalidSpec: if `source` has found nothing yet.
        ShapeMismatch: if the latents have another dimension or number.
    """
    if spec.start is None:
        return None
    if spec.start.latents is not None:
        rows, field = spec.start.latents.numpy(), "start.latents"
    else:
        assert source is not None  # the checks of a specification look up the named study
        rows, field = _bests(source, spec.start.study), "start.study"
    targets = len(spec.targets)
    if rows.shape[1] != space.dim or len(rows) not in (1, targets):
        raise ShapeMismatch(
            f"{field}: expected latents of shape "
            + (f"({targets}, {space.dim}) or " if targets > 1 else "")
            + f"(1, {space.dim}), got {rows.shape}",
            field=field,
        )
    whole = np.broadcast_to(rows, (targets, space.dim)).copy()
    return ArrayData.of(space.project(torch.from_numpy(whole)).numpy())


def source_of(spec: StudySpec, store: Store) -> Study | None:
    """The study of `store` whose best latents are the start of the study with this `spec`.

    Raises:
        NotFound: if the study does not exist.
    """
    if spec.start is None or not spec.start.study:
        return None
    return reports.load(store, spec.start.study)


def _bests(source: Study, name: str) -> Array:
    """The best latent of each target of `source`, (K, D) float32."""
    found = [target.reported[2] for target in source.targets]
    bests = [latent for latent in found if latent is not None]
    if len(bests) < len(source.targets):
        raise InvalidSpec(
            f"start.study: study {name!r} has targets of which nothing was measured yet",
            field="start.study",
        )
    return np.stack(bests).astype(np.float32)
