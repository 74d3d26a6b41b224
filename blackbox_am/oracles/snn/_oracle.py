"""A spiking network of snntorch, read by its rates, first spikes and membranes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from blackbox_am.core.capability import FORWARD
from blackbox_am.core.importing import imported
from blackbox_am.core.oracle import Oracle, check_stimuli, check_units
from blackbox_am.core.types import LayerInfo, OracleInfo
from blackbox_am.core.units import Unit
from blackbox_am.core.weights import load
from blackbox_am.errors import InvalidSpec, OracleFailed
from blackbox_am.oracles._inputs import (
    check_normalisation,
    check_positive,
    checked_numbers,
    checked_shape,
    normalised,
)
from blackbox_am.oracles._reading import LayerReading
from blackbox_am.oracles.snn._spiking import (
    READOUTS,
    Encoding,
    Recorder,
    is_neuron,
    over_time,
    put_to_rest,
    together,
)
from blackbox_am.oracles.torch._hooked import HookedModel
from blackbox_am.oracles.torch._layers import layers_of
from blackbox_am.oracles.torch._lending import private_copy
from blackbox_am.oracles.torch._sources import Loaded
from blackbox_am.oracles.torch._survey import Survey

_TAKING = threading.Lock()


@dataclass(frozen=True)
class Snn(Oracle):
    """A network of spiking neurons, shown each stimulus over many steps of time.

    The network is a PyTorch module whose neurons keep their own state, such as those of
    snntorch with `init_hidden=True`. It is called once a step, from rest for each batch; a
    network that has its loop over time inside is given with `steps` 1. Each layer of neurons
    is three layers here::

        spiking1.rate           firing rate: spikes a step
        spiking1.first_spike    1 - t / steps for a first spike at step t; 0 for none
        spiking1.membrane       mean membrane potential

    and every other layer, the network's `output` included, is one layer: the mean over the steps.
    The network computes in the precision of its weights. Only the state of its neurons is changed.
    Answers are repeatable: where inputs are random spikes, the seed fixes them. The oracle has no
    gradients, because the gradient of a spike is not defined without the choice of a surrogate. For
    surrogate gradients, wrap the loop in a module and use the oracle `torch_module`.

    Attributes:
        model: the module; in a configuration file `package.module:attribute`, a module or a
            callable that makes one, imported when the oracle is first used.
        stimulus_shape: shape of one stimulus.
        steps: how many times the network is called.
        weights: path of a file with the module's state, safetensors or what `torch.load` reads with
            weights_only; or none.
        encoding: how a stimulus becomes input: `constant` current; spikes at a `rate`; one
            spike each, its `latency` shorter for larger values.
        mean: for constant currents, subtracted from stimuli in [0, 1], one number or one a
            channel (the first axis; of clips (frames, channels, height, width) the second) ...
        std: ... and then divided by this.
        seed: fixes the spikes of `rate`.
        device: such as `cpu` or `cuda:0`. `auto` is the device of the weights for a network given
            as an object; for other networks CUDA if available.
        labels: class names, for the output and the last layers of as many units.
        batch_size: preferred rows in one call.

    Raises:
        InvalidSpec: for a module without such neurons, or numbers that do not fit together.
        NotFound: if the file of weights does not exist.
    """

    kind: ClassVar[str] = "snn"
    excluded_from_identity: ClassVar[frozenset[str]] = frozenset({"batch_size", "device", "labels"})

    model: Any
    stimulus_shape: tuple[int, ...]
    steps: int
    weights: str = ""
    encoding: Encoding = "constant"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    seed: int = 0
    device: str = "auto"
    labels: tuple[str, ...] = ()
    batch_size: int = 64

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, checked_numbers(name, getattr(self, name)))
        object.__setattr__(self, "stimulus_shape", checked_shape(self.stimulus_shape))
        check_positive("steps", self.steps)
        check_positive("batch_size", self.batch_size)
        check_normalisation(self.stimulus_shape, self.mean, self.std)
        if self.encoding not in ("constant", "rate", "latency"):
            raise InvalidSpec(
                f"encoding: expected constant, rate or latency, got {self.encoding!r}",
                field="encoding",
            )
        if self.encoding != "constant" and (self.mean or self.std):
            raise InvalidSpec(
                f"mean, std: spikes by {self.encoding} are made of stimuli in [0, 1]; leave these "
                "out, or set encoding to 'constant'",
                field="mean",
            )
        _ = self._network  # parameters that do not fit are refused here, not at the first use

    def __getstate__(self) -> dict[str, Any]:
        """Only the parameters: a copy in another process loads its network again."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def contents(self) -> Mapping[str, object]:
        return {"model": self._network.module, "weights": None}  # loaded already

    def describe(self) -> OracleInfo:
        return self._info

    def observe(self, stimuli: torch.Tensor, units: Sequence[Unit]) -> torch.Tensor:
        """As `Oracle.observe`; on the device of the network, without gradients.

        Raises:
            OracleFailed: if the network raises.
            OutOfMemory: if the batch does not fit.
        """
        check_stimuli(self._info, stimuli)
        check_units(self._info, units)
        if not len(stimuli) or not units:
            return torch.empty(len(stimuli), len(units), device=self._hooked.device)
        by_layer: dict[str, list[int]] = {}
        for column, unit in enumerate(units):
            by_layer.setdefault(unit.layer, []).append(column)
        layers = {layer.name: layer for layer in self._info.layers if layer.name in by_layer}
        with torch.no_grad():
            recorded = self._record(stimuli, layers)
            answers = [
                LayerReading(layers[name], [units[c] for c in columns], self._hooked.device)(
                    recorded[name]
                )
                for name, columns in by_layer.items()
            ]
        order = [column for columns in by_layer.values() for column in columns]
        return torch.cat(answers, dim=1)[:, torch.tensor(order).argsort()]

    def _record(
        self, stimuli: torch.Tensor, layers: dict[str, LayerInfo]
    ) -> dict[str, torch.Tensor]:
        """(N, *shape) of each layer, over all steps."""
        hooked = self._hooked
        recorders = {}
        by_module: dict[str, list[Recorder]] = {}
        for name in layers:
            module, readout = self._sources[name]
            recorders[name] = Recorder(readout, partial(hooked.arranged, module, rows=len(stimuli)))
            by_module.setdefault(module, []).append(recorders[name])
        values = stimuli.detach().to(self._hooked.device)
        inputs = over_time(
            normalised(values, self.mean, self.std).to(hooked.dtype),
            self.encoding,
            self.steps,
            self.seed,
        )
        hooked.listen(
            inputs,
            {module: together(*(r.record for r in heard)) for module, heard in by_module.items()},
            prepare=self._rest,
        )
        results = {name: recorder.result() for name, recorder in recorders.items()}
        silent = [name for name, result in results.items() if result is None]
        if silent:
            raise OracleFailed(
                f"layers {', '.join(silent)} gave no output of the shape they had when the network "
                "was described"
            )
        return {name: result for name, result in results.items() if result is not None}

    def _rest(self) -> None:
        put_to_rest(self._hooked.module)

    @cached_property
    def _network(self) -> Loaded:
        found = _loaded(self.model)
        if not self.weights:
            return found
        module = private_copy(found.module, None, None) if found.lent else found.module
        return Loaded(module, notes=load(module, Path(self.weights)))

    @cached_property
    def _hooked(self) -> HookedModel:
        with _TAKING:
            device = None if self.device == "auto" else torch.device(self.device)
            if device is None and not self._network.lent:
                device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            hooked = HookedModel(self._network.module, device, None)
            found: HookedModel = vars(self).setdefault("_hooked", hooked)
            return found

    @cached_property
    def _survey(self) -> Survey:
        return self._hooked.survey(self.stimulus_shape, prepare=self._rest)

    @cached_property
    def _sources(self) -> dict[str, tuple[str, str]]:
        """For each layer, its module and its read-out."""
        sources = {}
        for found in self._survey.found:
            if is_neuron(found.place.module):
                sources.update({f"{found.name}.{what}": (found.name, what) for what in READOUTS})
            else:
                sources[found.name] = (found.name, "mean")
        return sources

    @cached_property
    def _info(self) -> OracleInfo:
        survey = self._survey
        kept = [found.layer for found in survey.found]
        plain = {one.name: one for one in layers_of(kept, self._hooked.output, self.labels)}
        last = [one.name for one in kept if is_neuron(one.module)][-1:]
        layers = []
        for name, (module, what) in self._sources.items():
            layer = plain[module]
            if what != "mean":
                scored = module in last and layer.shape == (len(self.labels),)
                layer = replace(
                    layer,
                    name=name,
                    kind="spiking",
                    after_nonlinearity=what != "membrane",
                    labels=self.labels if scored else (),
                )
            layers.append(layer)
        return OracleInfo(
            self.kind,
            FORWARD,
            self.stimulus_shape,
            tuple(layers),
            batch_size=self.batch_size,
            unaddressable=survey.unaddressable,
            notes=(*self._network.notes, *survey.notes),
        )


def _loaded(model: Any) -> Loaded:
    lent = True
    if isinstance(model, str):
        model = imported("model", model)
        if not isinstance(model, nn.Module) and callable(model):
            model, lent = model(), False
    if not isinstance(model, nn.Module):
        raise InvalidSpec(
            f"model: expected a torch.nn.Module, got {type(model).__name__}", field="model"
        )
    if not any(is_neuron(module) for module in model.modules()):
        raise InvalidSpec(
            "model: expected neurons that keep their state, such as snntorch.Leaky(0.9, "
            f"init_hidden=True), and {type(model).__name__} has none; a network without is for "
            "the oracle 'torch_module'",
            field="model",
        )
    return Loaded(model, lent)
