"""The generator of a study: an entry of the catalogue, with what the study sets and brings."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.artifacts import Artifacts
from blackbox_am.core.generator import Generator
from blackbox_am.core.spec import GeneratorSpec
from blackbox_am.errors import InvalidSpec, NotFound


def study_generator(catalogue: Catalogue, artifacts: Artifacts, spec: GeneratorSpec) -> Generator:
    """The generator that `spec` names, with its parameters and inputs.

    Args:
        catalogue: has its entry.
        artifacts: has its inputs, each a file in numpy's format .npy.
        spec: what the study sets and brings.

    Raises:
        NotFound: where there is no such entry, or no such artifact.
        InvalidSpec: for parameters or inputs that it does not take, or an artifact that holds no
            array.
    """
    inputs = {name: _array(artifacts, name, digest) for name, digest in spec.inputs.items()}
    return catalogue.generator(spec.name, spec.parameters, inputs)


def keep_inputs(artifacts: Artifacts, study_id: str, spec: GeneratorSpec) -> None:
    """Has the inputs kept for as long as the study is.

    Raises:
        NotFound: where there is no such artifact.
    """
    for name, digest in spec.inputs.items():
        artifacts.refer(study_id, f"generator.inputs.{name}", digest)


def _array(artifacts: Artifacts, name: str, digest: str) -> NDArray[Any]:
    field = f"generator.inputs.{name}"
    try:
        body = artifacts.get(digest)
    except NotFound as error:
        raise NotFound(
            f"{field}: the store has no artifact {digest[:80]!r}; write the array first, with "
            "WriteArtifact",
            field=field,
        ) from error
    try:
        array: NDArray[Any] = np.load(io.BytesIO(body), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InvalidSpec(
            f"{field}: expected an array in numpy's format .npy (numpy.save), got "
            f"{len(body)} bytes that are none: {error}",
            field=field,
        ) from error
    return array
