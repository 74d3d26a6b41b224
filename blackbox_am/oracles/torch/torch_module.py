"""Any PyTorch module as an oracle, with every layer of it readable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal

import torch
from torch.nn.parameter import is_lazy

from blackbox_am.core.capability import FORWARD, Capability
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit, find_layer
from blackbox_am.core.weights import few
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles._inputs import (
    by_channel,
    check_normalisation,
    check_positive,
    checked_numbers,
    checked_shape,
)
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.oracles.torch._hooked import HookedModel
from blackbox_am.oracles.torch._layers import layers_of
from blackbox_am.oracles.torch._lending import converted
from blackbox_am.oracles.torch._maps import MapReading
from blackbox_am.oracles.torch._redirected import check_redirectable
from blackbox_am.oracles.torch._silencing import silencing
from blackbox_am.oracles.torch._sources import Options, Source, source_of
from blackbox_am.oracles.torch._stand_ins import Program
from blackbox_am.oracles.torch._survey import Survey
from blackbox_am.oracles.torch._transformers import Facts

Plan = tuple[dict[str, LayerReading], torch.Tensor]
"""How each layer is read, and the order of the joined columns that matches the requested units."""

_TAKING = threading.Lock()
_DTYPES = ("auto", "float32", "bfloat16", "float16", "float64")


@dataclass(frozen=True)
class TorchModule(Oracle):
    """A PyTorch model, any layer of which can be read by its dotted module name.

    A layer is the output of a module, named by the module's dotted name. If a module returns
    several tensors, the first tensor has the module's name, and the others are named by their place
    or key in the tuple, dict, record or dataclass, as in `output.pooler_output`. `output` is the
    output of the model itself, or `output_` if a module is named `output`. Attention heads are
    layers too, named by their number, as in `blocks.6.attn.heads.3`: the weighted sum of a head's
    values, before the projection that mixes the heads.

    Examples of units::

        blocks.6.mlp.fc1:713        an MLP neuron before its nonlinearity, mean over the patches
        blocks.6.mlp.act:713@cls    the same behind it, at the class token
        blocks.6.attn.heads.3:17@5  what head 3 writes to its channel 17 at token 5

    The unit axis is determined for each layer separately: the class of the module fixes the axis,
    or the axis is followed through the operations of a forward pass on random stimuli
    (`_survey.py`). Outputs that cannot be read are listed in `describe().unaddressable`.

    A module that is given as an object is not changed: its weights, their precision and device,
    flags, buffers and hooks remain as they are. If its device and precision are the requested ones,
    the module itself runs, in evaluation mode during each call. For another device or precision the
    oracle makes a private copy at its first use. In both cases a call uses the current weights: if
    the owner trains the module between two calls, the second call uses the trained weights (a copy
    follows the changes that PyTorch counts, not changes through `tensor.data`). To keep the weights
    of one moment, give the oracle a `copy.deepcopy`. A `copy.deepcopy` is necessary if another
    thread trains the module during calls.

    Gradients with respect to stimuli are available, but no gradients of the model's parameters.
    Each unit is read directly after its layer has run, so that a later in-place activation function
    does not change the values. The forward pass ends after the last requested layer. A module that
    runs several times is read at its last run.

    Reductions over a map use all positions. Reductions over tokens use the patch tokens and exclude
    a class token. Token 0 is a class token in the layers after the operation that puts one learned
    token before the others; `class_token` overrides this. Further tokens, such as registers, count
    as patches.

    Programs have fewer layers than the original model. A program of `torch.export` has every module
    that computes one value as a layer. A program of TorchScript has the modules that are called for
    every input, and a frozen program has none. A program has gradients unless its operations do not
    support them.

    Attributes:
        model: a `torch.nn.Module` or `torch.export.ExportedProgram` object, or `zoo:NAME`, a model
            that ships with the package; `transformers:PATH`, a folder in save_pretrained's layout,
            or the name of a model that was downloaded before; only its safetensors are read, no
            code; `timm:NAME`, a model of timm, with weights that were downloaded before or
            `weights`; `torchscript:FILE`, which `torch.jit.load` reads and whose operations it
            runs, or `exported:FILE`, which `torch.export.load` reads: for the operator's own files;
            `package.module:CLASS`, a callable that is called with `arguments` and returns a module,
            or a module: the operator's own code.
        stimulus_shape: shape of one stimulus; known for the zoo, transformers, timm and
            exported programs.
        mean: subtracted from stimuli in [0, 1], one number or one a channel (the first axis; of
            clips (frames, channels, height, width) the second), as floats, a list or an array ...
        std: ... and then divided by this. Both are known for the zoo, for timm, and for
            transformers if the model's folder has a preprocessor_config.json.
        device: such as `cpu` or `cuda:0`. `auto` is the device of the weights for a model given as
            an object; for other models CUDA if available.
        dtype: the precision of the computation: `float32`, `float64`, `bfloat16`, `float16`, or
            `auto` for the precision of the weights. Complex weights stay complex. Activations are
            float64 where the layer computes in float64, else float32.
        batch_size: rows in one forward pass; 256 on CUDA and 64 elsewhere unless given.
        class_token: whether token 0 is a class token in every layer of tokens.
        labels: class names, for the model's output. Known for the zoo and transformers.
        architecture: class of transformers, such as `ViTModel`; the class in config.json unless
            given.
        arguments: for the operator's class, for timm's `create_model` or for transformers'
            `from_pretrained`.
        weights: path of a state dict: safetensors, or what `torch.load` reads with
            weights_only, alone or in a checkpoint; see `core.weights.read_state`.
        download: whether a model of transformers or timm may be downloaded if it is not on this
            machine.
        rows: number of stimuli in a batch, for a program that accepts only this number: batches are
            split, and the last batch is filled up. Known for exported programs.
        redirected_relu: whether a gradient reaches a ReLU that is off, in the first 16 generations
            of a study and outside of studies, so that an ascent whose unit is off at its start can
            begin; see `_redirected.py`. A restart of an ascent begins later and is not redirected.
            Activations do not change. Only modules of class `ReLU` and `ReLU6` are redirected.

    Raises:
        InvalidSpec: for a model of another kind, or numbers that do not fit together.
        NotFound: if the model or file does not exist.
        MissingExtra: if a package is missing.
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
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = "auto"
    batch_size: int | None = None
    class_token: bool | None = None
    labels: tuple[str, ...] = ()
    architecture: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    download: bool = False
    rows: int | None = None
    redirected_relu: bool = False

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, checked_numbers(name, getattr(self, name)))
        if len(self.stimulus_shape):
            object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        self._take_facts(self._source.facts())
        if self._source.trained_on_images and not (self.mean or self.std):
            raise InvalidSpec(
                f"mean, std: {self.model!r} comes without a preprocessor_config.json that says how "
                "its images were normalised; give both, [0.0] and [1.0] where they were not",
                field="mean",
            )
        object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        check_normalisation(self.stimulus_shape, self.mean, self.std)
        if self.dtype not in _DTYPES:
            raise InvalidSpec(
                f"dtype: expected {', '.join(_DTYPES)}, got {self.dtype!r}", field="dtype"
            )
        check_positive("batch_size", self.batch_size)
        check_positive("rows", self.rows)

    def __getstate__(self) -> dict[str, Any]:
        """Only the parameters: a copy in another process loads its model again."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

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

    def observe_silenced(
        self, stimuli: torch.Tensor, units: Sequence[Unit], silenced: Sequence[Unit]
    ) -> torch.Tensor:
        """See `Intervenes`."""
        check_stimuli(self._info, stimuli)
        readings, back = self._plan(tuple(units))
        changes = silencing(self._info, silenced, self._hooked.places)
        inputs = self._normalise(stimuli.detach())
        found = self._hooked.read(inputs, readings, changes)
        return torch.cat([found[name] for name in readings], dim=1).index_select(1, back)

    def maps(self, stimuli: torch.Tensor, layers: Sequence[str], side: int) -> torch.Tensor:
        """All units of some layers as maps of at most side x side, see `ReadsMaps`."""
        check_stimuli(self._info, stimuli)
        readers = {name: MapReading(find_layer(self._info, Unit(name)), side) for name in layers}
        if Capability.GRADIENTS not in self._info.capabilities:
            stimuli = stimuli.detach()
        found = self._hooked.read(self._normalise(stimuli), readers)
        return torch.cat([found[name] for name in layers], dim=1)

    def running_module(self) -> torch.nn.Module:
        """The module that runs, see `HasModule`: the given one, or the private copy."""
        return self._hooked.module

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
        readings = {
            name: LayerReading(
                layers[name],
                [units[column] for column in members],
                self._hooked.device,
                class_token=self._has_class_token(layers[name]),
            )
            for name, members in columns.items()
        }
        order = [column for members in columns.values() for column in members]
        return readings, torch.tensor(order, device=self._hooked.device).argsort()

    def _has_class_token(self, layer: LayerInfo) -> bool:
        if self.class_token is not None:
            return self.class_token and layer.axes == ("token", "unit")
        return any(found.class_token for found in self._survey.found if found.name == layer.name)

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
        wide = torch.float64 if self._hooked.dtype == torch.float64 else torch.float32
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
        home = "cuda" if torch.cuda.is_available() else "cpu"
        name = home if self.device == "auto" else self.device
        loaded = self._source.load(name)
        vars(self)["_notes"] = loaded.notes
        lazy = [name for name, one in loaded.module.named_parameters() if is_lazy(one)]
        if lazy:
            raise InvalidSpec(
                f"model: the parameters {few(lazy)} of a lazy module have no values yet; call the "
                "model once on a batch of its inputs, or give it weights",
                field="model",
            )
        rows = loaded.module.rows if isinstance(loaded.module, Program) else (1, None)
        if self.rows is not None:
            rows = (self.rows, self.rows)
        dtype = None if self.dtype == "auto" else getattr(torch, self.dtype)
        device: torch.device | None = torch.device(name)
        if loaded.lent and self.device == "auto":
            device = None  # where its owner has it
        elif not loaded.lent:
            converted(loaded.module, device, dtype).eval().requires_grad_(False)
        if self.redirected_relu:
            check_redirectable(loaded.module)
        hooked = HookedModel(loaded.module, device, dtype, rows, redirects=self.redirected_relu)
        # Kept before the lock is given back: a second thread must find it.
        vars(self)["_hooked"] = hooked
        return hooked

    @cached_property
    def _survey(self) -> Survey:
        return self._hooked.survey(self.stimulus_shape)

    @cached_property
    def _info(self) -> OracleInfo:
        hooked = self._hooked
        layers = [found.layer for found in self._survey.found]
        default = 256 if hooked.device.type == "cuda" else 64
        # A module always supports gradients, so no run is necessary to find out.
        program = isinstance(hooked.module, Program)
        refused = program and not hooked.has_gradients(self.stimulus_shape)
        return OracleInfo(
            self.kind,
            _capabilities(program=program, refused=refused),
            self.stimulus_shape,
            tuple(layers_of(layers, hooked.output, self.labels)),
            batch_size=self.batch_size or default,
            unaddressable=self._survey.unaddressable,
            notes=(*vars(self)["_notes"], *self._survey.notes),
        )

    @cached_property
    def _source(self) -> Source:
        options = Options(self.architecture, self.arguments, self.weights, self.download)
        return source_of(self.model, options)

    def _take_facts(self, facts: Facts) -> None:
        for one in fields(facts):
            if not getattr(self, one.name):
                object.__setattr__(self, one.name, getattr(facts, one.name))


def _capabilities(*, program: bool, refused: bool) -> Capability:
    """A program, whose operations are fixed, cannot be changed; it may have no gradients."""
    found = FORWARD if refused else FORWARD | Capability.GRADIENTS
    return found if program else found | Capability.INTERVENTION
