"""TorchScript programs, with the outputs of their modules readable."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch import nn

from blackbox_am.oracles.torch._places import HEADS
from blackbox_am.oracles.torch._stand_ins import Program, StandIn

_KEPT = 64
_ATTENTION = "aten::scaled_dot_product_attention"
_RECURRENT = ("aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu")
_FORWARD = re.compile(r"forward\d*")
"""The name of the called method; in a trace, each further call has its own method."""
_REWRITING = threading.Lock()


class Scripted(Program):
    """A TorchScript program, run by PyTorch's own interpreter.

    Hooks do not run inside a program. Therefore the graph is rewritten: calls of its modules'
    methods are replaced by the methods' graphs, and the requested values become outputs. They are
    copied where they are computed, so that a later in-place operation does not change them.
    Operations that no output needs are removed. The output of a module is readable if the module is
    called on every path. Modules that are called inside an `if` or a loop are not readable if this
    remains in the graph, and a frozen program has no modules. Attention heads are readable if the
    program calls `scaled_dot_product_attention`.

    The optimiser of TorchScript is off, because it would choose other operations after the first
    calls and thus change the last bits of the answers.

    Args:
        script: the program.
    """

    def __init__(self, script: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.script = script
        modules = dict(script.named_modules())
        for found in _exposed(script)[1]:
            original = modules[found.owner]
            self.stand_ins.pop(found.name, None)
            self.stand_ins[found.name] = StandIn(
                _full_name(original),
                composite=any(True for _ in original.children()),
                heads=found.heads,
            )
        self.heard = nn.ModuleList(self.stand_ins.values())
        self._functions: OrderedDict[tuple[tuple[str, ...], bool], Any] = OrderedDict()

    def forward(self, stimuli: torch.Tensor) -> Any:
        """The program's own output if it has a hook; else None."""
        wanted = tuple(name for name, one in self.stand_ins.items() if one._forward_hooks)  # noqa: SLF001  # there is no public way to see whether there are any
        whole = bool(self._forward_hooks) or not wanted
        function = self._function(wanted, whole)
        with torch.jit.optimized_execution(should_optimize=False):  # type: ignore[attr-defined]
            values = function(self.script, stimuli)
        for name, value in zip(wanted, values[whole:], strict=True):
            self.stand_ins[name](value)
        return values[0] if whole else None

    def _function(self, wanted: tuple[str, ...], whole: bool) -> Any:
        key = (wanted, whole)
        if key not in self._functions:
            if len(self._functions) >= _KEPT:
                self._functions.popitem(last=False)
            self._functions[key] = _with_outputs(self.script, wanted, whole=whole)
        return self._functions[key]


def _full_name(module: Any) -> str:
    """The name of a module's class with its package, such as torch.nn.modules.linear.Linear."""
    qualified = str(module._c._type().qualified_name())  # noqa: SLF001  # has no public name
    name = re.sub(r"\.___torch_mangle_\d+", "", qualified).removeprefix("__torch__.")
    own = str(getattr(module, "original_name", ""))
    return name if name.rpartition(".")[2] == own else own


def _with_outputs(script: Any, wanted: tuple[str, ...], *, whole: bool) -> Any:
    graph, exposed = _exposed(script)
    # A module that is called twice is read at its last call.
    values = {found.name: found.value for found in exposed}
    first = next(iter(graph.nodes()), None)
    if first is not None:
        graph.setInsertPoint(first)
    none = graph.insertConstant(None)
    for name in wanted:
        kept = graph.create("aten::clone", [values[name], none], 1)
        kept.insertAfter(values[name].node())
        graph.registerOutput(kept.output())
    if not whole:
        graph.eraseOutput(0)
    graph.makeMultiOutputIntoTuple()
    torch._C._jit_pass_dce(graph)  # noqa: SLF001  # TorchScript's passes have no public names
    graph.lint()
    return torch._C._create_function_from_graph("forward", graph)  # noqa: SLF001  # as above


@dataclass(frozen=True)
class _Value:
    """A value in a graph: the output of module `owner`, or the output of its attention heads."""

    owner: str
    value: Any
    heads: bool = False

    @property
    def name(self) -> str:
        return f"{self.owner}.{HEADS}".lstrip(".") if self.heads else self.owner


def _exposed(script: Any) -> tuple[Any, list[_Value]]:
    """A copy of the graph without calls, and the output values of modules in it."""
    with _REWRITING:
        graph = script.graph.copy()
        return graph, _Inliner(script, graph).run()


class _Inliner:
    """Replaces calls by the graphs of their methods, and records the module of each value."""

    def __init__(self, script: Any, graph: Any) -> None:
        self.graph = graph
        self.modules = {next(iter(graph.inputs())).unique(): ("", script)}
        self.found: list[_Value] = []
        # The current module, and the number of nodes after its own nodes.
        self.owners: list[tuple[str, int]] = []

    def run(self) -> list[_Value]:
        place = 0
        while True:
            total = sum(1 for _ in self.graph.nodes())
            if place >= total:
                break
            for node in islice(self.graph.nodes(), place, None):
                while self.owners and total - place <= self.owners[-1][1]:
                    self.owners.pop()
                if self._called(node):
                    self.owners.append((self._inline(node), total - place - 1))
                    break
                self._look_at(node)
                place += 1
        order = {
            value.unique(): place
            for place, node in enumerate(self.graph.nodes())
            for value in node.outputs()
        }
        readable = [replace(found, value=_tensor(found.value)) for found in self.found]
        known = [found for found in readable if found.value is not None]
        # A module often returns the value of its last child: the child comes first.
        return sorted(known, key=lambda found: (order[found.value.unique()], -len(found.owner)))

    def _called(self, node: Any) -> bool:
        return node.kind() == "prim::CallMethod" and node.inputsAt(0).unique() in self.modules

    def _look_at(self, node: Any) -> None:
        if node.kind() == "prim::GetAttr" and node.inputsAt(0).unique() in self.modules:
            path, module = self.modules[node.inputsAt(0).unique()]
            child = dict(module.named_children()).get(node.s("name"))
            if child is not None:
                name = f"{path}.{node.s('name')}".lstrip(".")
                self.modules[node.output().unique()] = (name, child)
        elif node.kind() == _ATTENTION and self.owners:
            # Without an owner, as in a frozen program, several attentions cannot be distinguished.
            self.found.append(_Value(self.owners[-1][0], node.output(), heads=True))

    def _inline(self, node: Any) -> str:
        path, module = self.modules[node.inputsAt(0).unique()]
        self.graph.setInsertPoint(node)
        method = module._c._get_method(node.s("name"))  # noqa: SLF001  # of any kind of program
        given = self.graph.insertGraph(method.graph, list(node.inputs()))
        new = next(iter(given)) if isinstance(given, (list, tuple)) else given
        old = node.output()
        gone = old.unique()
        self.found = [
            replace(found, value=new) if found.value.unique() == gone else found
            for found in self.found
        ]
        if _FORWARD.fullmatch(node.s("name")):
            self.found.append(_Value(path, new))
        old.replaceAllUsesWith(new)
        node.destroy()
        return path


def _tensor(value: Any) -> Any:
    """The value, or the first of a tuple, if it is a tensor that the graph computes.

    A trace has only the results that are used, in the order of their use. Of a recurrent layer, the
    sequence is taken, as from the module, also if only its last state is used.
    """
    if value.node().kind() == "prim::TupleConstruct":
        value = value.node().inputsAt(0)
    if value.node().kind() in _RECURRENT:
        value = value.node().outputsAt(0)
    made = value.node().kind() != "prim::Param"
    return value if made and value.type().isSubtypeOf(torch._C.TensorType.get()) else None  # noqa: SLF001
