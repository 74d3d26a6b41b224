"""Where a PyTorch model comes from: the zoo, transformers, timm, a program, the operator's code.

====================  ==========================================================================
``zoo:NAME``          a model that ships with the package
``transformers:PATH`` a folder in `save_pretrained`'s layout, or the name of a downloaded model
``timm:NAME``         a model of timm
``torchscript:FILE``  a program of TorchScript: `torch.jit.load` runs its operations, no Python
``exported:FILE``     a program of `torch.export`, of tensors and operations; not read with
                      pickled objects inside
``package.module:X``  a module, or a class or function that makes one: the operator's own code
====================  ==========================================================================

Only the operator gives these names, and trusts these files: PyTorch does not guarantee that a
program from an unknown source is harmless.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from blackbox_am.core import program_files
from blackbox_am.core.digests import structure
from blackbox_am.core.importing import imported
from blackbox_am.core.sharded import weight_files
from blackbox_am.core.weights import load
from blackbox_am.errors import InvalidSpec, MissingExtra, NotFound, did_you_mean
from blackbox_am.oracles.torch import _transformers
from blackbox_am.oracles.torch._exported import Exported
from blackbox_am.oracles.torch._lending import private_copy, unwrapped
from blackbox_am.oracles.torch._torchscript import Scripted
from blackbox_am.oracles.torch._transformers import Facts
from blackbox_am.zoo import catalogue, loading

KINDS = (
    "'zoo:NAME', 'transformers:FOLDER', 'timm:NAME', 'torchscript:FILE', 'exported:FILE' or "
    "'package.module:CLASS'"
)


_FILES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".pt2", ".onnx", ".index.json")
"""Ends of the names of files that are no model by themselves."""


@dataclass(frozen=True)
class Options:
    """Fields of `TorchModule` that a source can supply; an empty field is unknown."""

    architecture: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    download: bool = False


@dataclass(frozen=True)
class Loaded:
    """A loaded model.

    Attributes:
        module: the model.
        lent: whether the module belongs to the user and must not change.
        notes: messages for the operator about how the model was loaded.
    """

    module: nn.Module
    lent: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source(ABC):
    """A model before it is loaded.

    Attributes:
        model: the module, or the text after the prefix.
        options: options that this kind of source uses.
    """

    uses: ClassVar[frozenset[str]] = frozenset()
    trained_on_images: ClassVar[bool] = False
    """Whether the model was trained on normalised stimuli, so that mean and deviation are
    required.
    """

    model: Any
    options: Options

    def __post_init__(self) -> None:
        for one in fields(self.options):
            if getattr(self.options, one.name) and one.name not in self.uses:
                raise InvalidSpec(
                    f"{one.name}: a model given like this has no use for it; leave it out",
                    field=one.name,
                )

    def facts(self) -> Facts:
        """Facts that are known without the weights."""
        return Facts()

    @abstractmethod
    def contents(self, loaded: Callable[[], nn.Module]) -> Mapping[str, object]:
        """The model's contents for its fingerprint, as in `Identified.contents`.

        Args:
            loaded: returns the loaded model on its device.
        """

    @abstractmethod
    def load(self, device: str) -> Loaded:
        """Load the model; the caller moves it to its device if necessary."""


def source_of(model: Any, options: Options) -> Source:
    """The source of `model`: a module, a program, or one of the names above.

    Raises:
        InvalidSpec: if `model` is something else, or if an option does not belong to this source.
    """
    if isinstance(model, (nn.Module, ExportedProgram)):
        return Given(model, options)
    if not isinstance(model, str):
        raise InvalidSpec(
            f"model: expected a torch.nn.Module, an exported program, {KINDS}, got "
            f"{type(model).__name__}",
            field="model",
        )
    prefix, _, name = model.partition(":")
    if prefix in _BY_PREFIX and name:
        return _BY_PREFIX[prefix](name, options)
    if model.endswith(_FILES) and not (name and "/" not in prefix):
        raise InvalidSpec(
            f"model: {model!r} is a file; weights need their module: give the module, or "
            f"'package.module:CLASS', as model, and weights={model!r}. A program is given as "
            "'torchscript:FILE' (torch.jit.save) or 'exported:FILE' (torch.export.save), and an "
            "ONNX file to the oracle `onnx`",
            field="model",
        )
    if not name or "/" in prefix or prefix in _BY_PREFIX:
        raise InvalidSpec(
            f"model: expected a torch.nn.Module, an exported program, {KINDS}, got {model!r}",
            field="model",
        )
    return Imported(model, options)


class Given(Source):
    """A module or a program in memory."""

    uses = frozenset({"weights"})

    def facts(self) -> Facts:
        if isinstance(self._made, Exported):
            return Facts(self._made.stimulus_shape)
        return Facts()

    def contents(self, loaded: Callable[[], nn.Module]) -> Mapping[str, object]:
        del loaded
        if self.options.weights:
            files = weight_files(Path(self.options.weights))
            return {"model": structure(self._made), "weights": files}
        program = isinstance(self.model, (ExportedProgram, torch.jit.ScriptModule))
        # A wrapper of `torch.compile` or `DataParallel` does not make another model.
        return {"model": self.model if program else self._made}

    def load(self, device: str) -> Loaded:  # noqa: ARG002
        if not self.options.weights:
            return Loaded(self._made, lent=True)
        # The weights are loaded into a copy: the user's module keeps its own weights.
        copied = private_copy(self._made, None, None)
        return Loaded(copied, notes=load(copied, Path(self.options.weights)))

    @cached_property
    def _made(self) -> nn.Module:
        if isinstance(self.model, ExportedProgram):
            return Exported(self.model)
        if isinstance(self.model, torch.jit.ScriptModule):
            return Scripted(self.model)
        return unwrapped(self.model)


class Imported(Source):
    """`package.module:attribute`: a module, or a callable that makes a module from `arguments`."""

    uses = frozenset({"arguments", "weights"})

    def contents(self, loaded: Callable[[], nn.Module]) -> Mapping[str, object]:
        # The code may read other files. The built module identifies the model completely.
        return {"model": loaded(), "weights": None, "arguments": None}

    def load(self, device: str) -> Loaded:  # noqa: ARG002
        found = imported("model", self.model)
        lent = isinstance(found, nn.Module)
        if not lent:
            found = self._call(found)
        if not isinstance(found, nn.Module):
            raise InvalidSpec(
                f"model: expected {self.model!r} to be or to make a torch.nn.Module, got "
                f"{type(found).__name__}",
                field="model",
            )
        module = unwrapped(found)
        if not self.options.weights:
            return Loaded(module, lent=lent)
        if lent:
            module = private_copy(module, None, None)
        return Loaded(module, notes=load(module, Path(self.options.weights)))

    def _call(self, maker: Any) -> Any:
        if not callable(maker):
            return maker
        try:
            return maker(**self.options.arguments)
        except Exception as error:  # the operator's code may raise anything
            given = ", ".join(self.options.arguments) or "none"
            raise InvalidSpec(
                f"model: {self.model!r} raised {type(error).__name__} when it was called with the "
                f"arguments {given}: {error}",
                field="arguments",
            ) from error


class Zoo(Source):
    """A classifier that ships with the package."""

    def __post_init__(self) -> None:
        super().__post_init__()
        kind = catalogue.entry(self.model).kind
        if kind != "classifier":
            raise InvalidSpec(
                f"model: 'zoo:{self.model}' is of kind {kind!r}; expected a classifier",
                field="model",
            )

    def facts(self) -> Facts:
        entry = catalogue.entry(self.model)
        return Facts(entry.input_shape, entry.mean, entry.std, entry.labels)

    def contents(self, loaded: Callable[[], nn.Module]) -> Mapping[str, object]:
        del loaded
        return {"model": tuple(catalogue.files(self.model))}

    def load(self, device: str) -> Loaded:  # noqa: ARG002
        return Loaded(loading.load_classifier(self.model))


class Transformers(Source):
    """A folder, or the name of a model that was downloaded."""

    uses = frozenset({"architecture", "arguments", "download"})
    trained_on_images = True

    def facts(self) -> Facts:
        return _transformers.read_facts(self._folder)

    def contents(self, loaded: Callable[[], nn.Module]) -> Mapping[str, object]:
        del loaded
        return {"model": self._folder}

    def load(self, device: str) -> Loaded:  # noqa: ARG002
        options = self.options
        return Loaded(
            _transformers.load_model(self._folder, options.architecture, options.arguments)
        )

    @cached_property
    def _folder(self) -> Path:
        return _transformers.folder_of(self.model, download=self.options.download)


class Timm(Source):
    """A model of timm, with weights from a file, or those that were downloaded."""

    uses = frozenset({"arguments", "weights", "download"})
    trained_on_images = True

    def facts(self) -> Facts:
        known = self._settings
        return Facts(tuple(known.input_size), tuple(known.mean), tuple(known.std))

    def contents(self, loaded: Callable[[], nn.Module]) -> Mapping[str, object]:
        del loaded
        return {"weights": self._weights}

    def load(self, device: str) -> Loaded:  # noqa: ARG002
        options = self.options
        try:
            model: nn.Module = self._timm.create_model(
                self.model, pretrained=False, **options.arguments
            )
        except Exception as error:  # the model's own code may raise anything
            raise InvalidSpec(
                f"model: timm cannot make {self.model!r}: {error}", field="model"
            ) from error
        return Loaded(model, notes=load(model, self._weights))

    @cached_property
    def _weights(self) -> Path:
        options = self.options
        if options.weights:
            return Path(options.weights)
        if not self._settings.hf_hub_id:
            raise InvalidSpec(
                f"weights: there are none to download for timm's {self.model!r}; name a file",
                field="weights",
            )
        folder = _transformers.folder_of(self._settings.hf_hub_id, download=options.download)
        return folder / "model.safetensors"

    @cached_property
    def _timm(self) -> Any:
        try:
            import timm
        except (ImportError, RuntimeError) as error:
            # RuntimeError: torchvision, which timm needs, was built for another PyTorch.
            raise MissingExtra(
                f"the package 'timm' cannot be imported ({error}); cure it with: pip install timm, "
                "beside a torchvision that was built for this PyTorch"
            ) from error
        return timm

    @cached_property
    def _settings(self) -> Any:
        if not self._timm.is_model(self.model.partition(".")[0]):
            near = did_you_mean(self.model, self._timm.list_models())
            raise NotFound(f"model: timm has no {self.model!r}{near}", field="model")
        return self._timm.get_pretrained_cfg(self.model)


class TorchScript(Source):
    """A file that `torch.jit.save` wrote."""

    def contents(self, loaded: Callable[[], nn.Module]) -> Mapping[str, object]:
        del loaded
        return {"model": Path(self.model)}

    def load(self, device: str) -> Loaded:
        return Loaded(Scripted(program_files.read_script(Path(self.model), device)))


class ExportedFile(Source):
    """A file that `torch.export.save` wrote."""

    def facts(self) -> Facts:
        return Facts(Exported(self._program).stimulus_shape)

    def contents(self, loaded: Callable[[], nn.Module]) -> Mapping[str, object]:
        del loaded
        return {"model": Path(self.model)}

    def load(self, device: str) -> Loaded:
        return Loaded(Exported(move_to_device_pass(self._program, device)))

    @cached_property
    def _program(self) -> ExportedProgram:
        return program_files.read_exported(Path(self.model))


_BY_PREFIX: dict[str, type[Source]] = {
    "zoo": Zoo,
    "transformers": Transformers,
    "timm": Timm,
    "torchscript": TorchScript,
    "exported": ExportedFile,
}
