"""Programs of `torch.export`, with the outputs of their modules readable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from blackbox_am.errors import InvalidSpec
from blackbox_am.oracles.torch._places import HEADS
from blackbox_am.oracles.torch._stand_ins import Program, StandIn

_ATTENTION = torch.ops.aten.scaled_dot_product_attention.default
_MANY = 2**31


class Exported(Program):
    """An exported program, run as a module whose graph calls a stand-in for each module.

    The graph has no modules, but each operation knows which modules it was traced in
    (`nn_module_stack`). A module's output is the one value that is made in it and used outside
    of it; a module without such a value, or with several, is not readable, nor is one that
    computes nothing, as dropout does. Attention heads are readable where the program calls
    `scaled_dot_product_attention`.

    Attributes:
        stimulus_shape: of one stimulus, if the program contains it.

    Raises:
        InvalidSpec: if the program takes other arguments than one batch of stimuli, or was exported
            in training mode.
    """

    def __init__(self, program: ExportedProgram) -> None:
        stimuli = _input_of(program)
        super().__init__(_rows_of(program, stimuli))
        shape = stimuli.shape[1:]
        self.stimulus_shape = tuple(shape) if all(isinstance(n, int) for n in shape) else ()
        module = program.module()
        _check_mode(module.graph)
        taps = list(_taps(module.graph))
        for tap in taps:
            if tap.name not in self.stand_ins:
                self.stand_ins[tap.name] = StandIn(
                    tap.original_name, composite=tap.composite, heads=tap.heads
                )
        for place, tap in reversed(list(enumerate(taps))):  # inserted directly after its node
            module.add_submodule(f"stand_in_{place}", self.stand_ins[tap.name])
            with module.graph.inserting_after(tap.node):
                module.graph.call_module(f"stand_in_{place}", (tap.node,))
        # The module that `torch.export` makes refuses eval(): a plain one takes it.
        self.program = fx.GraphModule(module, module.graph)

    def forward(self, stimuli: torch.Tensor) -> Any:
        return self.program(stimuli)


@dataclass(frozen=True)
class _Tap:
    """A value of the graph that belongs to a module."""

    owner: str
    original_name: str
    node: fx.Node
    composite: bool = False
    heads: bool = False

    @property
    def name(self) -> str:
        return f"{self.owner}.{HEADS}".lstrip(".") if self.heads else self.owner


def _taps(graph: fx.Graph) -> Iterator[_Tap]:
    """The readable values, in the order of the computation."""
    alive = _depending(graph)
    members: dict[str, set[fx.Node]] = {}
    facts: dict[str, tuple[str, str]] = {}
    for node in alive:
        for key, (path, kind) in _stack(node).items():
            members.setdefault(key, set()).add(node)
            facts[key] = (path, _full_name(kind))
    given: dict[fx.Node, list[str]] = {}
    for key, nodes in members.items():
        used = [node for node in nodes if _is_tensor(node) and not set(node.users) <= nodes]
        if len(used) == 1 and facts[key][0]:
            given.setdefault(used[0], []).append(key)
    paths = {path for path, _ in facts.values()}
    for node in alive:
        if node.target is _ATTENTION and _stack(node):
            owner, kind = list(_stack(node).values())[-1]
            yield _Tap(owner, _full_name(kind), node, heads=True)
        # A module often returns the value of its last child: the child comes first.
        for key in sorted(given.get(node, ()), key=lambda key: -len(facts[key][0])):
            path, kind = facts[key]
            inside = any(other.startswith(f"{path}.") for other in paths)
            yield _Tap(path, kind, node, composite=inside)


def _depending(graph: fx.Graph) -> list[fx.Node]:
    """The operations that depend on the stimuli."""
    reached: dict[fx.Node, None] = {}
    for node in graph.nodes:
        if node.op == "placeholder" or any(one in reached for one in node.all_input_nodes):
            reached[node] = None
    return [node for node in reached if node.op == "call_function"]


def _stack(node: fx.Node) -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    return found


def _full_name(kind: Any) -> str:
    """The name of a class with its package, such as torch.nn.modules.linear.Linear."""
    return kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"


def _is_tensor(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _input_of(program: ExportedProgram) -> torch.Tensor:
    names = program.graph_signature.user_inputs
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    found = values.get(str(names[0])) if len(names) == 1 else None
    if not isinstance(found, torch.Tensor) or found.ndim < 2:
        raise InvalidSpec(
            "model: expected an exported program with one input, a batch of stimuli, got inputs "
            f"{', '.join(map(str, names))}; export a module that takes the stimuli alone",
            field="model",
        )
    return found


def _rows_of(program: ExportedProgram, stimuli: torch.Tensor) -> tuple[int, int | None]:
    rows = stimuli.shape[0]
    if isinstance(rows, int):
        return rows, rows
    bounds = program.range_constraints.get(rows.node.expr)
    if bounds is None:
        return 1, None
    most = int(bounds.upper) if bounds.upper < _MANY else None
    return max(int(bounds.lower), 1), most


def _check_mode(graph: fx.Graph) -> None:
    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if node.op != "call_function" or schema is None:
            continue
        values = dict(zip([one.name for one in schema.arguments], node.args, strict=False))
        values |= node.kwargs
        if any(values.get(name) is True for name in ("train", "training")):
            raise InvalidSpec(
                f"model: the program was exported in training mode, {node.name} would mix or "
                "drop stimuli; call eval() on the module and export it again",
                field="model",
            )
