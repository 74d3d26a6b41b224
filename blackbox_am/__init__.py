"""blackbox_am: gradient-free activation maximisation, locally and as a service.

    >>> import blackbox_am
    >>> result = blackbox_am.maximise(
    ...     oracle="cifar_cnn", generator="cifar_vae", targets=["head:3"],
    ... )  # doctest: +SKIP

Names are loaded when they are first used, so that a client starts without torch.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from blackbox_am.version import __version__

os.environ.setdefault("MKL_CBWR", "AUTO")
"""Matrix products with equal bits at every address. MKL reads the variable when it is first used,
see `blackbox_am.core.linear_algebra`. A value that is already set stays; the empty string leaves
MKL in its default mode."""
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
"""How long threads of PyTorch on the CPU spin before they sleep; libgomp reads it when torch is
imported. By default they spin 300,000 times, on processors that other programs need. Beside one
busy process for each processor a study takes .66 times as long with this value, and on a free
machine as long as before (`blackbox-am bench loop --part e`, two processors). Values that
are already set stay."""

if TYPE_CHECKING:
    from blackbox_am.attacks.local import attack
    from blackbox_am.catalogue import Catalogue
    from blackbox_am.client import connect
    from blackbox_am.comparisons.local import compare
    from blackbox_am.core.pictures import pictures
    from blackbox_am.core.spec import Budget, CriterionSpec, GeneratorSpec, ObjectiveSpec, SpaceSpec
    from blackbox_am.core.transform_spec import TransformSpec, TransformsSpec
    from blackbox_am.criteria.misclassified import Misclassified
    from blackbox_am.criteria.target_class import TargetClass
    from blackbox_am.criteria.threshold import Threshold
    from blackbox_am.errors import BlackboxError
    from blackbox_am.generators.diffusers.diffusers_text import DiffusersText
    from blackbox_am.generators.diffusers.diffusers_unconditional import DiffusersUnconditional
    from blackbox_am.generators.diffusers.diffusers_vae import DiffusersVAE
    from blackbox_am.generators.diffusers.diffusers_vq import DiffusersVQ
    from blackbox_am.generators.networks.vq_module import VQModule
    from blackbox_am.generators.parametric.pixels import Pixels
    from blackbox_am.objectives.cross_entropy import CrossEntropy
    from blackbox_am.objectives.deepdream import Deepdream
    from blackbox_am.objectives.direction import Direction
    from blackbox_am.objectives.dlr import Dlr
    from blackbox_am.objectives.interpolation import Interpolation
    from blackbox_am.objectives.inversion import Inversion
    from blackbox_am.objectives.label import Label
    from blackbox_am.objectives.margin import Margin
    from blackbox_am.objectives.mean import Mean
    from blackbox_am.objectives.similarity import Similarity
    from blackbox_am.objectives.weighted import Weighted
    from blackbox_am.oracles.grpc.remote import Remote
    from blackbox_am.oracles.simulated import Simulated
    from blackbox_am.oracles.torch.torch_module import TorchModule
    from blackbox_am.results.loading import load
    from blackbox_am.results.result import Result
    from blackbox_am.studies.local import maximise, repeat
    from blackbox_am.studies.stored import open_result, stored_studies
    from blackbox_am.studies.walking import units_of_layers

__all__ = [
    "BlackboxError",
    "Budget",
    "Catalogue",
    "CriterionSpec",
    "CrossEntropy",
    "Deepdream",
    "DiffusersText",
    "DiffusersUnconditional",
    "DiffusersVAE",
    "DiffusersVQ",
    "Direction",
    "Dlr",
    "GeneratorSpec",
    "Interpolation",
    "Inversion",
    "Label",
    "Margin",
    "Mean",
    "Misclassified",
    "ObjectiveSpec",
    "Pixels",
    "Remote",
    "Result",
    "Similarity",
    "Simulated",
    "SpaceSpec",
    "TargetClass",
    "Threshold",
    "TorchModule",
    "TransformSpec",
    "TransformsSpec",
    "VQModule",
    "Weighted",
    "__version__",
    "attack",
    "compare",
    "connect",
    "load",
    "maximise",
    "open_result",
    "pictures",
    "repeat",
    "stored_studies",
    "units_of_layers",
]

_HOMES = {
    "BlackboxError": "errors",
    "Budget": "core.spec",
    "Catalogue": "catalogue",
    "CriterionSpec": "core.spec",
    "CrossEntropy": "objectives.cross_entropy",
    "Deepdream": "objectives.deepdream",
    "DiffusersText": "generators.diffusers.diffusers_text",
    "DiffusersUnconditional": "generators.diffusers.diffusers_unconditional",
    "DiffusersVAE": "generators.diffusers.diffusers_vae",
    "DiffusersVQ": "generators.diffusers.diffusers_vq",
    "Direction": "objectives.direction",
    "Dlr": "objectives.dlr",
    "GeneratorSpec": "core.spec",
    "Interpolation": "objectives.interpolation",
    "Inversion": "objectives.inversion",
    "Label": "objectives.label",
    "Margin": "objectives.margin",
    "Mean": "objectives.mean",
    "Misclassified": "criteria.misclassified",
    "ObjectiveSpec": "core.spec",
    "Pixels": "generators.parametric.pixels",
    "Remote": "oracles.grpc.remote",
    "Result": "results.result",
    "Similarity": "objectives.similarity",
    "Simulated": "oracles.simulated",
    "SpaceSpec": "core.spec",
    "TargetClass": "criteria.target_class",
    "Threshold": "criteria.threshold",
    "TorchModule": "oracles.torch.torch_module",
    "TransformSpec": "core.transform_spec",
    "TransformsSpec": "core.transform_spec",
    "VQModule": "generators.networks.vq_module",
    "Weighted": "objectives.weighted",
    "attack": "attacks.local",
    "compare": "comparisons.local",
    "connect": "client",
    "load": "results.loading",
    "maximise": "studies.local",
    "open_result": "studies.stored",
    "pictures": "core.pictures",
    "repeat": "studies.local",
    "stored_studies": "studies.stored",
    "units_of_layers": "studies.walking",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
