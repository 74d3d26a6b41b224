"""Any PyTorch module as an oracle, with every layer of it readable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal

import torch

from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles._inputs import (
    by_channel,
    check_normalisation,
    check_positive,
    checked_shape,
)
from blackbox_am.oracles._layers import has_class_token, layers_of
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.oracles.torch._facts import Facts
from blackbox_am.oracles.torch._hooked import HookedModel
from blackbox_am.oracles.torch._sources import Options, Source, source_of
from blackbox_am.oracles.torch._stand_ins import Program

Plan = tuple[dict[str, LayerReading], torch.Tensor]
"""How each layer is read, and the order that makes the joined columns those asked for."""

_TAKING = threading.Lock()


@dataclass(frozen=True)
class TorchModule(Oracle):
    """A PyTorch model, any layer of which can be read by its dotted module name.

    A layer is a module by its dotted name, and what it reads is the module's output, its first
    tensor where there are several; `output` is the model's own, and what is behind it in a tuple
    or record is called as there, `output.pooler_output`. The heads of attention are layers too,
    called by their number, `blocks.6.attn.heads.3`: what a head makes of its values by its
    weights, before the projection that mixes the heads.

    A unit of it, by example::

        blocks.6.mlp.fc1:713        an MLP neuron before its nonlinearity, mean over the patches
        blocks.6.mlp.act:713@cls    the same behind it, at the class token
        blocks.6.attn.heads.3:17@5  what head 3 writes to its channel 17 at token 5

    The module is taken over: moved to the device, put into eval mode, its parameters
    frozen. Gradients with respect to stimuli stay available. Each unit is read right after
    its layer has run, so that an in-place activation function behind it changes nothing;
    a module that runs several times is read at its last run.

    Reductions over a map take all of it. Reductions over tokens take the patch tokens and
    leave a class token out; whether token 0 is one is told from the model: it owns a
    parameter called cls_token, class_token or class_embedding, and the layer's number of
    tokens is not a square (a square is patches alone). `class_token` overrides this.
    Further tokens, such as registers, count as patches.

    Programs have fewer layers than the model that they were made of. Of `torch.export`: every
    module that computes one thing; of TorchScript: those that are called whatever the input,
    and none where the program was frozen. A program has gradients unless it refuses them.

    Attributes:
        model: a `torch.nn.Module` or `torch.export.ExportedProgram` at hand, or
            `zoo:NAME`, one that ships with the package;
            `transformers:PATH`, a folder in save_pretrained's layout, or the name of a model
            that was downloaded before: read are its safetensors, no code;
            `timm:NAME`, one of timm, with weights that were downloaded before or `weights`;
            `torchscript:FILE`, which `torch.jit.load` reads and whose operations it runs, or
            `exported:FILE`, which `torch.export.load` reads: for the operator's own files;
            `package.module:CLASS`, what is called with `arguments` for a module, or a module:
            the operator's own code.
        stimulus_shape: shape of one stimulus; known for the zoo, transformers, timm and
            exported programs.
        mean: subtracted from stimuli in [0, 1], one number or one a channel (the first axis; of
            clips (frames, channels, height, width) the second) ...
        std: ... and then divided by this. Both known for the zoo, timm, and transformers where
            a preprocessor_config.json lies beside the model.
        device: such as `cpu` or `cuda:0`; `auto` is CUDA where there is one.
        dtype: what the model computes in. Activations are float32 in any case.
        batch_size: rows it is run with; 256 on CUDA and 64 elsewhere unless given.
        class_token: whether token 0 is a class token in every layer of tokens.
        labels: class names, for the model's output. Known for the zoo and transformers.
        architecture: class of transformers, such as `ViTModel`; what config.json says unless
            given.
        arguments: for the operator's class, for timm's `create_model` or for transformers'
            `from_pretrained`.
        weights: path of a state dict: safetensors, or what `torch.load` reads with
            weights_only.
        download: whether a model of transformers or timm that is not here may be downloaded.
        rows: number of stimuli that a program takes, where it takes no other: batches are
            split, and the last filled up. Known for exported programs.

    Raises:
        InvalidSpec: for a model of another kind, or numbers that do not fit together.
        NotFound: where there is no such model or file.
        MissingExtra: where a package is missing.
    """

    kind: ClassVar[str] = "torch_module"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset(
        {"batch_size", "device", "labels", "download"}
    )

    model: Any
    stimulus_shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float64"] = "float32"
    batch_size: int | None = None
    class_token: bool | None = None
    labels: tuple[str, ...] = ()
    architecture: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    download: bool = False
    rows: int | None = None

    def __post_init__(self) -> None:
        self._take_facts(self._source.facts())
        if self._source.trained_on_images and not (self.mean or self.std):
            raise InvalidSpec(
                f"mean, std: {self.model!r} comes without a preprocessor_config.json that says how "
                "its images were normalised; give both, [0.0] and [1.0] where they were not",
                field="mean",
            )
        object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        check_normalisation(self.stimulus_shape, self.mean, self.std)
        if self.dtype not in ("float32", "bfloat16", "float64"):
            raise InvalidSpec(
                f"dtype: expected float32, bfloat16 or float64, got {self.dtype!r}", field="dtype"
            )
        check_positive("batch_size", self.batch_size)
        check_positive("rows", self.rows)

    def contents(self) -> Mapping[str, object]:
        return self._source.contents(lambda: self._hooked.module)

    def describe(self) -> OracleInfo:
        return self._info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        check_stimuli(self._info, stimuli)
        readings, back = self._plan(tuple(units))
        if Capability.GRADIENTS not in self._info.capabilities:
            stimuli = stimuli.detach()
        inputs = self._normalise(stimuli)
        if not readings:
            return torch.empty(len(inputs), 0, device=inputs.device)
        found = self._hooked.read(inputs, readings)
        return torch.cat([found[name] for name in readings], dim=1).index_select(1, back)

    @cached_property
    def _plan(self) -> Callable[[tuple[Unit, ...]], Plan]:
        # A study asks for the same units thousands of times.
        return lru_cache(maxsize=64)(self._make_plan)

    def _make_plan(self, units: tuple[Unit, ...]) -> Plan:
        check_units(self._info, units)
        layers = {layer.name: layer for layer in self._info.layers}
        columns: dict[str, list[int]] = {}
        for column, unit in enumerate(units):
            columns.setdefault(unit.layer, []).append(column)
        readings = {}
        for name, members in columns.items():
            class_token = self.class_token
            if class_token is None:
                class_token = has_class_token(self._hooked.module, layers[name])
            readings[name] = LayerReading(
                layers[name],
                [units[column] for column in members],
                self._hooked.device,
                class_token=class_token and "token" in layers[name].axes,
            )
        order = [column for members in columns.values() for column in members]
        return readings, torch.tensor(order, device=self._hooked.device).argsort()

    def _normalise(self, stimuli: torch.Tensor) -> torch.Tensor:
        dtype = self._hooked.dtype
        # Half precision would lose bits of the stimulus before the model sees it.
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        values = stimuli.to(self._hooked.device, wide)
        if self.mean or self.std:
            mean, std = self._normalisation
            values = (values - mean) / std
        return values.to(dtype)

    @cached_property
    def _normalisation(self) -> tuple[torch.Tensor, torch.Tensor]:
        wide = torch.float64 if self.dtype == "float64" else torch.float32
        return tuple(  # type: ignore[return-value]  # two of them
            by_channel(
                torch.tensor(numbers, device=self._hooked.device, dtype=wide), self.stimulus_shape
            )
            for numbers in (self.mean or (0.0,), self.std or (1.0,))
        )

    @cached_property
    def _hooked(self) -> HookedModel:
        with _TAKING:
            return vars(self).get("_hooked") or self._take()

    def _take(self) -> HookedModel:
        name = self.device
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        module = self._source.load(name)
        rows = module.rows if isinstance(module, Program) else (1, None)
        if self.rows is not None:
            rows = (self.rows, self.rows)
        hooked = HookedModel(module, torch.device(name), getattr(torch, self.dtype), rows)
        # Kept before the lock is given back: a second thread must find it.
        vars(self)["_hooked"] = hooked
        return hooked

    @cached_property
    def _info(self) -> OracleInfo:
        hooked = self._hooked
        layers = layers_of(hooked.module, hooked.dry_run(self.stimulus_shape), self.labels)
        default = 256 if hooked.device.type == "cuda" else 64
        # A module has them, and need not be run once more to know.
        program = isinstance(hooked.module, Program)
        refused = program and not hooked.has_gradients(self.stimulus_shape)
        return OracleInfo(
            self.kind,
            FORWARD if refused else FORWARD | Capability.GRADIENTS,
            self.stimulus_shape,
            tuple(layers),
            batch_size=self.batch_size or default,
        )

    @cached_property
    def _source(self) -> Source:
        options = Options(self.architecture, self.arguments, self.weights, self.download)
        return source_of(self.model, options)

    def _take_facts(self, facts: Facts) -> None:
        for one in fields(facts):
            if not getattr(self, one.name):
                object.__setattr__(self, one.name, getattr(facts, one.name))
