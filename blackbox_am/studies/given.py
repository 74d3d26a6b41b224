"""Conversion of a Python caller's arguments: oracle, generator, targets and numbers."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from blackbox_am.catalogue import (
    Catalogue,
    Images,
    ImagesGiven,
    folder_generator,
    is_generator_folder,
)
from blackbox_am.core.baselines import folder_array, is_local
from blackbox_am.core.expressions import objective
from blackbox_am.core.generator import Generator
from blackbox_am.core.ids import check_study_id
from blackbox_am.core.objective import Objective
from blackbox_am.core.oracle import Oracle
from blackbox_am.core.pictures import pictures
from blackbox_am.core.spec import BaselineSpec, ObjectiveSpec
from blackbox_am.core.tensors import npy_of
from blackbox_am.core.types import Best
from blackbox_am.errors import InvalidSpec
from blackbox_am.results import Result

Target = str | ObjectiveSpec | Objective

_ESTIMATOR_METHODS = ("predict_proba", "decision_function", "predict")
_ORACLES = (
    "expected an oracle, its name in the catalogue, a torch.nn.Module, a fitted estimator or a "
    "function of stimuli"
)


def generator_of(given: Any, catalogue: Catalogue) -> Generator:
    """The generator that is given as an object, by its name, or by the folder that it was fitted
    into. A name in the catalogue takes precedence over a folder.

    Raises:
        NotFound: for a name that is not in the catalogue, or a folder without a generator.
        InvalidSpec: for anything else.
    """
    if isinstance(given, Generator):
        return given
    if isinstance(given, Path) or (
        is_generator_folder(given) and given not in catalogue.generator_names()
    ):
        return folder_generator(given)
    if isinstance(given, str):
        return catalogue.generator(given)
    cure = ""
    if isinstance(given, torch.nn.Module):
        cure = (
            "; put a network into generators.networks.torch_generator.TorchGenerator, which asks "
            "for its dimension and shape"
        )
    elif inspect.isclass(given) and issubclass(given, Generator):
        cure = f"; make one, such as {given.__name__}(...)"
    raise InvalidSpec(
        f"generator: expected a generator, or its name in the catalogue, got {_named(given)}{cure}",
        field="generator",
    )


def oracle_of(given: Any, generator: Generator, catalogue: Catalogue, device: str) -> Oracle:
    """The oracle that is given as an object, by its name, or as a model. A model becomes an oracle
    for the stimuli of `generator`.

    Args:
        given: an oracle, a name, a torch module, an estimator or a function.
        generator: the generator of the stimuli.
        catalogue: the catalogue in which names are looked up.
        device: device of a torch module.

    Raises:
        NotFound: for a name that is not in the catalogue.
        InvalidSpec: for anything else, and for an estimator whose features have no ranges.
    """
    if isinstance(given, Oracle):
        return given
    if isinstance(given, str):
        return catalogue.oracle(given)
    if inspect.isclass(given):
        raise InvalidSpec(
            f"oracle: {_ORACLES}, got the class {given.__name__}; make one of it first, such as "
            f"{given.__name__}(...)",
            field="oracle",
        )
    shape = tuple(generator.stimulus_shape)
    if isinstance(given, (torch.nn.Module, torch.export.ExportedProgram)):
        from blackbox_am.oracles.torch.torch_module import TorchModule

        known = () if isinstance(given, torch.export.ExportedProgram) else shape
        return TorchModule(given, stimulus_shape=known, device=device)
    if any(hasattr(given, method) for method in _ESTIMATOR_METHODS):
        return _estimator(given, generator)
    if callable(given):
        from blackbox_am.oracles.function import Function

        return Function(given, shape)
    raise InvalidSpec(f"oracle: {_ORACLES}, got {_named(given)}", field="oracle")


def _estimator(estimator: Any, generator: Generator) -> Oracle:
    from blackbox_am.generators.data.table import Table
    from blackbox_am.oracles.sklearn import Sklearn

    if isinstance(generator, Table):
        return Sklearn(estimator, table=generator)
    name = type(estimator).__name__
    raise InvalidSpec(
        f"oracle: stimuli are numbers in [0, 1], and a {name} does not say which range of each "
        f"feature that stands for; give Sklearn({name}, low=[...], high=[...]), or search in a "
        "Table, whose columns have ranges",
        field="oracle",
    )


def baseline_of(
    given: Any, catalogue: Catalogue, shape: tuple[int, ...]
) -> tuple[BaselineSpec | None, Images | None]:
    """The natural images of a study: a set by its name, a folder, or an array.

    Args:
        given: a name, a path, an array, a `BaselineSpec`, or None.
        catalogue: the catalogue in which names are looked up.
        shape: of one stimulus, to which the images of a folder are made.

    Raises:
        NotFound: for a name that is neither in the catalogue nor a folder.
        InvalidSpec, ShapeMismatch: for images that cannot be read, or become no stimuli.
    """
    if given is None:
        return None, None
    if isinstance(given, BaselineSpec):
        return given, catalogue.images(given.images or "")
    if isinstance(given, str) and (given in catalogue.image_names() or not is_local(given)):
        return BaselineSpec(images=given), catalogue.images(given)
    if isinstance(given, (str, os.PathLike)) and Path(given).is_dir():
        given = folder_array(given, shape, BaselineSpec("folder").rows)
    array = pictures(given, shape=shape, field="baseline")
    images = ImagesGiven(array)
    digest = hashlib.sha256(npy_of(array)).hexdigest()
    return BaselineSpec(artifact=digest), images


def objectives_of(targets: Any) -> list[ObjectiveSpec]:
    """One objective for each target, from one target or several.

    Raises:
        InvalidSpec: for a value that is not a target.
    """
    single = isinstance(targets, (str, ObjectiveSpec, Objective))
    if not single and not isinstance(targets, Iterable):
        raise InvalidSpec(
            "targets: expected units such as 'head:3', or objectives, one or a list of them, got "
            f"{_named(targets)}",
            field="targets",
        )
    return [_objective(target) for target in ([targets] if single else targets)]


def _objective(target: Any) -> ObjectiveSpec:
    if isinstance(target, Objective):
        return target.spec()
    if isinstance(target, (str, ObjectiveSpec)):
        return objective(str(target) if isinstance(target, str) else target)
    raise InvalidSpec(
        f"targets: expected a unit such as 'head:3', or an objective, got {_named(target)}",
        field="targets",
    )


def plain_number(value: Any) -> Any:
    """A number of numpy or torch as a Python number; other values are returned unchanged."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
        return value.item()
    if isinstance(value, torch.Tensor) and not value.ndim:
        return value.item()
    return value


def plain(value: Any) -> Any:
    """`value` with all numbers of numpy and torch as Python numbers, and arrays as lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim:
        return value.tolist()
    return os.fspath(value) if isinstance(value, os.PathLike) else plain_number(value)


def _named(value: Any) -> str:
    return f"the class {value.__name__}" if inspect.isclass(value) else type(value).__name__


def checked_id(study_id: object) -> str:
    """The id of a study as a text, by the rule of the wire, so that a server on the same store can
    name the study.

    Raises:
        InvalidInput: if it is no text, or no id.
    """
    if isinstance(study_id, str):
        return check_study_id(study_id)
    raise InvalidSpec(
        f"study_id: expected a text, such as 'my-study-1', got {study_id!r}", field="study_id"
    )


def latents_of(start: Any) -> Any:
    """The latents of a result or of its best candidates; anything else as it is."""
    best = start.best if isinstance(start, Result) else start
    if isinstance(best, Best):
        return best.latent
    if isinstance(best, (list, tuple)) and best and all(isinstance(one, Best) for one in best):
        return np.stack([one.latent for one in best])
    return best
