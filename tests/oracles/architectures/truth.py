"""What a person reads of a module's output, by a hook of their own and the table's layout."""

from __future__ import annotations

import re

import torch
from torch import nn

from tests.oracles.architectures.table import Architecture

ROWS = 4


def stimuli(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.rand(ROWS, *shape, generator=torch.Generator().manual_seed(7))


def layout_of(architecture: Architecture, name: str) -> str:
    found = (how for what, how in architecture.layouts.items() if re.fullmatch(what, name))
    layout = next(found, None)
    assert layout is not None, f"the table does not say how {name} lies"
    return layout


def by_unit(values: torch.Tensor, layout: str) -> torch.Tensor:
    """(rows, units): the mean over every axis but those of stimuli and units."""
    if values.is_quantized:
        values = values.dequantize()
    values = values.to(torch.float64)
    axes = re.findall(r"Nk|kN|\+T|.", layout)
    assert values.ndim == len(axes), f"{tuple(values.shape)} for {layout}"
    if "+T" in axes:
        place = axes.index("+T")
        values = values.narrow(place, 1, values.shape[place] - 1)
    for folded, shape in (("Nk", (ROWS, -1)), ("kN", (-1, ROWS))):
        if folded in axes:
            place = axes.index(folded)
            values = values.unflatten(place, shape)
            axes[place : place + 1] = list(folded)
    if "C" not in axes:
        values, axes = values.unsqueeze(-1), [*axes, "C"]
    units = [axes.index(axis) for axis in "GC" if axis in axes]
    others = [place for place, axis in enumerate(axes) if axis not in "NGC"]
    values = values.permute(axes.index("N"), *units, *others)
    return values.flatten(1, len(units)).flatten(2).mean(2) if others else values.flatten(1)


def heard(model: nn.Module, inputs: torch.Tensor) -> tuple[dict[str, object], object]:
    """What every module returned when it ran last, copied before anything changes it."""
    found: dict[str, object] = {}
    handles = [
        module.register_forward_hook(
            lambda m, args, output, name=name: found.__setitem__(name, copied(output))
        )
        for name, module in model.named_modules()
        if name
    ]
    torch.manual_seed(0)
    with torch.no_grad():
        output = model(inputs)
    for handle in handles:
        handle.remove()
    return found, output


def copied(output: object) -> object:
    if isinstance(output, torch.Tensor):
        return output.clone()
    if isinstance(output, tuple):
        return tuple(map(copied, output))
    return output


def first_tensor(output: object) -> torch.Tensor:
    while not isinstance(output, torch.Tensor):
        if isinstance(output, dict):
            output = next(iter(output.values()))
        elif isinstance(output, (tuple, list)):
            output = output[0]
        else:
            output = next(iter(vars(output).values()))
    return output


def expected_of(
    architecture: Architecture, name: str, found: dict[str, object], output: object
) -> torch.Tensor:
    if name in architecture.keys:
        return architecture.keys[name](output)
    places = {**found, "output_" if "output" in found else "output": output}
    module, keys = name, []
    while module not in places:  # a further tensor of a module's output: lstm.1.0
        module, _, key = module.rpartition(".")
        assert module, f"nothing is called {name}"
        keys.insert(0, key)
    value = places[module]
    for key in keys:
        value = value[int(key)] if key.isdigit() else value[key]
    return first_tensor(value)
