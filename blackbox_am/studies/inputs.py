"""What a study brings to entries of the catalogue: parameters and inputs of its generator, and the
natural images of its baseline.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from blackbox_am.catalogue import Catalogue, Images, ImagesGiven
from blackbox_am.core.artifacts import Artifacts
from blackbox_am.core.generator import Generator
from blackbox_am.core.pictures import array_in
from blackbox_am.core.spec import BaselineSpec, GeneratorSpec, StudySpec
from blackbox_am.errors import InvalidInput, NotFound


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
    inputs = {
        name: _array(artifacts, f"generator.inputs.{name}", digest)
        for name, digest in spec.inputs.items()
    }
    return catalogue.generator(spec.name, spec.parameters, inputs)


def baseline_images(catalogue: Catalogue, artifacts: Artifacts, spec: BaselineSpec) -> Images:
    """The natural images that `spec` names.

    Raises:
        NotFound: if the set or the artifact does not exist.
        InvalidSpec, ShapeMismatch: for an artifact that does not hold images.
    """
    if spec.artifact:
        array = _array(artifacts, "baseline.artifact", spec.artifact)
        try:
            return ImagesGiven(array)
        except InvalidInput as error:
            error.field = "baseline.artifact"
            raise
    try:
        return catalogue.images(spec.images or "")
    except NotFound as error:
        error.field = "baseline.images"
        raise


def references(spec: StudySpec) -> dict[str, str]:
    """The digests of the artifacts that are stored as long as the study, by their field."""
    inputs = {} if spec.generator is None else spec.generator.inputs
    found = {f"generator.inputs.{name}": digest for name, digest in inputs.items()}
    if spec.baseline is not None and spec.baseline.artifact:
        found["baseline.artifact"] = spec.baseline.artifact
    return found


def _array(artifacts: Artifacts, field: str, digest: str) -> NDArray[Any]:
    try:
        body = artifacts.get(digest)
    except NotFound as error:
        raise NotFound(
            f"{field}: the store has no artifact {digest[:80]!r}; write the array first, with "
            "WriteArtifact",
            field=field,
        ) from error
    return array_in(body, field)
