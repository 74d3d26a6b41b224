"""What a module computes with is part of its identity, and what it only remembers is not."""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from blackbox_am.core.digests import Digest, Unnamed, of_value

SETTINGS: dict[str, Any] = {"scale": 1.0}
SEEN: list[torch.Tensor] = []


def doubled(x: torch.Tensor) -> torch.Tensor:
    return x * SETTINGS["scale"]


class Net(nn.Module):
    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 2)
        self.build(attributes)

    def build(self, attributes: dict[str, Any]) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return doubled(self.linear(x))


class Remembers(Net):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.log: list[int] = []
        self.by_size: dict[int, int] = {}
        self.last: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.log.append(len(x))
        self.by_size[len(x)] = self.calls
        SEEN.append(x)
        self.remember(x)
        return self.linear(x)

    def remember(self, x: torch.Tensor) -> None:
        self.last = x


def name_of(module: nn.Module) -> object:
    return of_value(module)


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    yield
    SETTINGS["scale"] = 1.0
    SEEN.clear()


CONTENTS: dict[str, tuple[Any, Any]] = {
    "int": (2, 3),
    "bool": (True, False),
    "text": ("relu", "gelu"),
    "none": (None, 1),
    "list": ([1.0, 2.0], [1.0, -2.0]),
    "dict": ({"a": (1, {2})}, {"a": (1, {3})}),
    "tensor": (torch.ones(2), torch.zeros(2)),
    "array": (np.ones(2), np.zeros(2)),
    "function of torch": (functional.relu, functional.gelu),
    "own function": (lambda x: x, lambda x: -x),
    "default": (lambda x, k=1: x * k, lambda x, k=2: x * k),
    "partial": (
        functools.partial(functional.leaky_relu, negative_slope=0.1),
        functools.partial(functional.leaky_relu),
    ),
    "unregistered module": ([nn.Linear(2, 2)], [nn.Linear(2, 2)]),
    "namespace": (types.SimpleNamespace(k=1), types.SimpleNamespace(k=2)),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_attributes_are_part_of_a_module(kind: str) -> None:
    one, other = CONTENTS[kind]
    assert name_of(Net(value=one)) == name_of(Net(value=one))
    assert name_of(Net(value=one)) != name_of(Net(value=other))


def test_the_values_that_a_function_has_closed_over_count() -> None:
    def times(factor: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: x * factor

    assert name_of(Net(act=times(1.0))) == name_of(Net(act=times(1.0)))
    assert name_of(Net(act=times(1.0))) != name_of(Net(act=times(2.0)))


def test_constants_of_the_users_functions_count() -> None:
    before = name_of(Net())
    SETTINGS["scale"] = -1.0
    assert name_of(Net()) != before


def test_what_a_module_remembers_does_not_count() -> None:
    net = Remembers()
    before = name_of(net)
    net(torch.ones(3, 4))
    assert name_of(net) == before == name_of(Remembers())


def test_hooks_that_may_change_values_count() -> None:
    plain = name_of(Net())
    net = Net()
    hook = net.linear.register_forward_hook(lambda m, args, output: -output)
    assert name_of(net) != plain
    hook.remove()
    before = net.linear.register_forward_pre_hook(lambda m, args: (-args[0],))
    assert name_of(net) != plain
    before.remove()

    def ablate(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        output[:, 0] = 0

    hook = net.linear.register_forward_hook(ablate)
    assert name_of(net) != plain
    hook.remove()
    assert name_of(net) == plain


def test_hooks_that_only_record_do_not_count() -> None:
    plain, net, found = name_of(Net()), Net(), {}
    net.linear.register_forward_hook(lambda m, args, output: SEEN.append(output.detach()))

    def record(module: nn.Module, args: Any, output: torch.Tensor) -> None:
        found["a"] = output.detach().clone()

    net.linear.register_forward_hook(record)
    assert name_of(net) == plain


def test_a_forward_that_replaces_that_of_the_class_counts() -> None:
    net = Net()
    before, forward = name_of(net), net.forward
    net.forward = lambda x: -forward(x)  # type: ignore[method-assign]
    assert name_of(net) != before


def test_the_code_of_a_traced_graph_counts() -> None:
    class Relu(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.relu(self.linear(x))

    class Gelu(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.gelu(self.linear(x))

    relu, gelu, again = (torch.fx.symbolic_trace(kind()) for kind in (Relu, Gelu, Relu))
    assert name_of(relu) == name_of(again) != name_of(gelu)


def test_modules_that_refer_to_each_other_end() -> None:
    net = Net()
    net.parents = [net]
    assert name_of(net) == name_of(net)


@pytest.mark.filterwarnings("ignore")
def test_packed_weights_of_a_quantised_net_are_known() -> None:
    torch.manual_seed(0)
    net, other = nn.LSTM(4, 3), nn.LSTM(4, 3)
    one, again, two = (
        torch.ao.quantization.quantize_dynamic(given, {nn.LSTM}) for given in (net, net, other)
    )
    assert isinstance(name_of(one), Digest)
    assert name_of(one) == name_of(again) != name_of(two)


def functions() -> list[Callable[[float], float]]:
    """Five functions with the same code as all others of their place, at new addresses."""
    kept: list[Callable[[float], float]] = []
    for scale in range(5):

        def scaled(x: float, scale: int = scale) -> float:
            return x * scale

        kept.append(scaled)
    return kept


KEPT_BY_ADDRESS: dict[str, Callable[[list[Any]], Any]] = {
    "keys": lambda them: {one: index for index, one in enumerate(them)},
    "keys in tuples": lambda them: {(one, 1): index for index, one in enumerate(them)},
    "set": set,
    "set of sets": lambda them: {frozenset(them[:2]), frozenset(them[2:])},
    "deque": collections.deque,
    "objects in an array": lambda them: np.array(them, dtype=object),
}


@pytest.mark.parametrize("kind", KEPT_BY_ADDRESS)
def test_no_address_is_part_of_a_module(kind: str) -> None:
    put = KEPT_BY_ADDRESS[kind]
    kept = [put(functions()) for _ in range(10)]  # all alive, so at different addresses
    assert len({name_of(Net(them=them)) for them in kept}) == 1
    assert name_of(Net(them=put(functions()[:4]))) != name_of(Net(them=kept[0]))


def with_class_attribute(value: Any) -> nn.Module:
    class Own(Net):
        them = value

    return Own()


CLASS_ATTRIBUTES: dict[str, tuple[Any, Any]] = {
    "tuple of functions": ((functional.relu, torch.tanh), (functional.gelu, torch.tanh)),
    "list of functions": ([functional.relu], [functional.gelu]),
    "dict": ({"act": torch.relu}, {"act": torch.tanh}),
    "built-in function": (staticmethod(torch.relu), staticmethod(torch.tanh)),
    "tensor": (torch.ones(2), torch.zeros(2)),
    "number": (np.float32(1), np.float32(2)),
}


@pytest.mark.parametrize("kind", CLASS_ATTRIBUTES)
def test_attributes_of_a_users_class_are_part_of_a_module(kind: str) -> None:
    one, other = CLASS_ATTRIBUTES[kind]
    assert name_of(with_class_attribute(one)) == name_of(with_class_attribute(one))
    assert name_of(with_class_attribute(one)) != name_of(with_class_attribute(other))


def test_class_attributes_contain_no_address() -> None:
    them = [with_class_attribute(tuple(functions())) for _ in range(5)]
    assert len({name_of(one) for one in them}) == 1


def test_values_with_functions_as_keys_have_no_text_and_no_digest() -> None:
    function = functions()[0]
    for value in (1, torch.ones(2)):
        assert isinstance(of_value({function: value}), Unnamed)
    assert of_value({("a", 1): torch.ones(2)}) == of_value({("a", 1): torch.ones(2)})
