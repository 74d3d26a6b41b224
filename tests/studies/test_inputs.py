"""A study brings a generator its inputs, as artifacts of the store."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from blackbox_am.catalogue import Catalogue
from blackbox_am.core.expressions import objective
from blackbox_am.core.spec import BaselineSpec, Budget, GeneratorSpec, StudySpec
from blackbox_am.errors import InvalidSpec, NotFound
from blackbox_am.stores import SQLStore
from blackbox_am.studies.inputs import references, study_generator
from tests.closes import Closes

CATALOGUE = Catalogue.from_plain(
    {"generators": {"near": {"kind": "perturbation", "inputs": "zoo:probe_images"}}}
)


def npy(array: np.ndarray) -> bytes:
    body = io.BytesIO()
    np.save(body, array)
    return body.getvalue()


def test_inputs_are_arrays_of_the_store(closes: Closes) -> None:
    store = closes(SQLStore(":memory:"))
    clean = np.random.default_rng(0).random((2, 1, 4, 4)).astype(np.float32)
    spec = GeneratorSpec("near", {"radius": 0.25}, {"inputs": store.artifacts.put(npy(clean))})
    generator = study_generator(CATALOGUE, store.artifacts, spec)
    assert generator.targets == 2
    references = generator.references(torch.tensor([1, 0]))
    assert references is not None
    np.testing.assert_array_equal(references.numpy(), clean[[1, 0]])
    stimuli = generator.render_targets(torch.full((1, 16), 9.0), torch.tensor([1]))
    assert (stimuli[0] - torch.from_numpy(clean[1])).abs().max() <= 0.25


def test_what_is_no_array_is_refused_by_name(closes: Closes) -> None:
    store = closes(SQLStore(":memory:"))
    missing = GeneratorSpec("near", inputs={"inputs": "0" * 64})
    with pytest.raises(NotFound, match=r"generator.inputs.inputs: .* WriteArtifact") as found:
        study_generator(CATALOGUE, store.artifacts, missing)
    assert found.value.field == "generator.inputs.inputs"
    for body in (b"", b"no array", npy(np.array([{}], dtype=object))):
        spec = GeneratorSpec("near", inputs={"inputs": store.artifacts.put(body)})
        with pytest.raises(InvalidSpec, match=r"as arrays: (the file is empty|expected numbers)"):
            study_generator(CATALOGUE, store.artifacts, spec)


def test_inputs_are_kept_with_their_study(closes: Closes) -> None:
    store = closes(SQLStore(":memory:"))
    digest = store.artifacts.put(npy(np.zeros((1, 1, 4, 4), np.float32)))
    spec = StudySpec(
        (objective("a:0"),),
        Budget(1),
        GeneratorSpec("near", inputs={"inputs": digest}),
        baseline=BaselineSpec(artifact=digest),
    )
    names = ("generator.inputs.inputs", "baseline.artifact")
    assert references(spec) == dict.fromkeys(names, digest)
