"""Any PyTorch module as an oracle, with every layer of it readable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import Capability, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles._hooked import HookedModel
from blackbox_am.oracles._inputs import by_channel, check_normalisation, checked_shape
from blackbox_am.oracles._layers import has_class_token, layers_of
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.zoo import catalogue, loading

ZOO = "zoo:"
Plan = tuple[dict[str, LayerReading], torch.Tensor]
"""How each layer is read, and the order that makes the joined columns those asked for."""

_TAKING = threading.Lock()


@dataclass(frozen=True)
class TorchModule(Oracle):
    """A PyTorch model, any layer of which can be read by its dotted module name.

    The module is taken over: moved to the device, put into eval mode, its parameters
    frozen. Gradients with respect to stimuli stay available. Each unit is read right after
    its layer has run, so that an in-place activation function behind it changes nothing;
    a module that runs several times is read at its last run.

    Reductions over a map take all of it. Reductions over tokens take the patch tokens and
    leave a class token out; whether token 0 is one is told from the model: it owns a
    parameter called cls_token, class_token or class_embedding, and the layer's number of
    tokens is not a square (a square is patches alone). `class_token` overrides this.

    Attributes:
        model: the `torch.nn.Module`, or `zoo:NAME` for one that ships with the package.
        stimulus_shape: shape of one stimulus; known for the zoo.
        mean: subtracted from stimuli in [0, 1], one number or one a channel (the first axis; of
            clips (frames, channels, height, width) the second) ...
        std: ... and then divided by this. Both known for the zoo.
        device: such as `cpu` or `cuda:0`; `auto` is CUDA where there is one.
        dtype: what the model computes in. Activations are float32 in any case.
        batch_size: rows it is run with; 256 on CUDA and 64 elsewhere unless given.
        class_token: whether token 0 is a class token in every layer of tokens.
        labels: class names, for the model's output. Known for the zoo.

    Raises:
        InvalidSpec: for a model of another kind, or numbers that do not fit together.
        NotFound: where the zoo has no such model.
    """

    kind: ClassVar[str] = "torch_module"
    incidental: ClassVar[frozenset[str]] = frozenset({"batch_size", "labels"})

    model: Any
    stimulus_shape: tuple[int, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float64"] = "float32"
    batch_size: int | None = None
    class_token: bool | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.model, str):
            self._fill_from_zoo(self.model)
        elif not isinstance(self.model, nn.Module):
            raise InvalidSpec(
                f"model: expected a torch.nn.Module or 'zoo:NAME', got {type(self.model).__name__}",
                field="model",
            )
        object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        check_normalisation(self.stimulus_shape, self.mean, self.std)
        if self.dtype not in ("float32", "bfloat16", "float64"):
            raise InvalidSpec(
                f"dtype: expected float32, bfloat16 or float64, got {self.dtype!r}", field="dtype"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise InvalidSpec(
                f"batch_size: expected 1 or more, got {self.batch_size}", field="batch_size"
            )

    def describe(self) -> OracleInfo:
        return self._info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        check_stimuli(self._info, stimuli)
        readings, back = self._plan(tuple(units))
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
        module = self.model
        if isinstance(module, str):
            module = loading.load_classifier(module.removeprefix(ZOO))
        hooked = HookedModel(module, torch.device(name), getattr(torch, self.dtype))
        # Kept before the lock is given back: a second thread must find it.
        vars(self)["_hooked"] = hooked
        return hooked

    @cached_property
    def _info(self) -> OracleInfo:
        hooked = self._hooked
        layers = layers_of(hooked.module, hooked.dry_run(self.stimulus_shape), self.labels)
        default = 256 if hooked.device.type == "cuda" else 64
        return OracleInfo(
            self.kind,
            Capability.GRADIENTS,
            self.stimulus_shape,
            tuple(layers),
            batch_size=self.batch_size or default,
        )

    def _fill_from_zoo(self, model: str) -> None:
        name = model.removeprefix(ZOO)
        if name == model:
            raise InvalidSpec(
                f"model: expected a torch.nn.Module or 'zoo:NAME', got {model!r}; "
                "code and files are given in Python only",
                field="model",
            )
        entry = catalogue.entry(name)
        if entry.kind != "classifier":
            raise InvalidSpec(
                f"model: {model!r} is of kind {entry.kind!r}; expected a classifier", field="model"
            )
        known = {
            "stimulus_shape": entry.input_shape,
            "mean": entry.mean,
            "std": entry.std,
            "labels": entry.labels,
        }
        for field, value in known.items():
            if not getattr(self, field):
                object.__setattr__(self, field, value)
