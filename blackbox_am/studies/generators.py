"""The generator of a study: an entry of the catalogue, with the study's parameters and inputs."""

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
        catalogue: the catalogue with the generator's entry.
        artifacts: the store of its inputs, each a file in numpy's format .npy.
        spec: name, parameters and inputs.

    Raises:
        NotFound: if the entry or an artifact does not exist.
        InvalidSpec: for parameters or inputs that the generator does not accept, or an artifact
            that is not an array.
    """
    inputs = {name: _array(artifacts, name, digest) for name, digest in spec.inputs.items()}
    return catalogue.generator(spec.name, spec.parameters, inputs)


def keep_inputs(artifacts: Artifacts, study_id: str, spec: GeneratorSpec) -> None:
    """Adds references to the inputs, so that they are stored as long as the study.

    Raises:
        NotFound: if an artifact does not exist.
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
