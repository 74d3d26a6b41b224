"""The oracle of a study that transforms stimuli at random."""

from __future__ import annotations

from typing import TypeVar

from blackbox_am import plugins
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.spec import StudySpec
from blackbox_am.core.transform import Transform
from blackbox_am.core.transform_spec import TransformSpec
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles.wrappers.measurement.transformed import Transformed

Some = TypeVar("Some", bound=Oracle | None)


def transformed(oracle: Some, spec: StudySpec) -> Some | Oracle:
    """`oracle` as the study asks it: under the transformations of `spec`.

    Args:
        oracle: the model that the study names; None if clients evaluate.
        spec: the study.

    Returns:
        The oracle itself if the study has no transformations.

    Raises:
        InvalidSpec: for an unknown transformation or parameter, or a bad value. The field is the
            path in the specification.
    """
    wanted = spec.transforms
    if wanted is None or oracle is None:
        return oracle
    chain = tuple(_built(one, place) for place, one in enumerate(wanted.chain))
    seed = spec.seed if wanted.seed is None else wanted.seed
    return Transformed(oracle, chain, wanted.copies, wanted.redraw, wanted.clip, seed)


def _built(spec: TransformSpec, place: int) -> Transform:
    try:
        return plugins.build_transform(spec)
    except InvalidSpec as error:
        within = "name" if error.field == plugins.transforms.noun else f"{error.field}"
        if within != "name" and not within.startswith("parameters"):
            within = f"parameters.{within}"
        error.field = f"transforms.chain[{place}].{within}"
        raise
