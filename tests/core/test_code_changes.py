"""What a module computes when it runs does not change its identity; what it is made of does."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from blackbox_am.core.code_changes import changed_arguments, changed_by, changed_names
from blackbox_am.core.digests import Digest, of_value

COUNT = 0
LOG: list[Any] = []
SHARED: dict[int, Any] = {}


def changes_many(self: Any, x: Any) -> Any:
    global COUNT
    COUNT += 1
    self.calls += 1
    self.log.append(x)
    self.by_size[len(x)] = x
    self.counts[0] += 1
    self.hidden.copy_(x)
    LOG.extend(x.tolist())
    return self.weight * x.mean() + self.kept[0]


def test_names_that_are_assigned_or_whose_content_changes() -> None:
    changed = changed_names(changes_many.__code__)
    assert {"COUNT", "calls", "log", "by_size", "counts", "hidden", "LOG"} <= changed
    assert not changed & {"weight", "kept", "mean"}


def remember(cache: dict[int, Any], table: list[float], size: int) -> Any:
    if size not in cache:
        cache[size] = table[0] * size
    return cache[size]


def handed_on(*, size: int, table: list[float], cache: dict[int, Any]) -> Any:
    return remember(cache, table, size)


def joined(cache: dict[int, Any]) -> None:
    cache |= {1: 2}


def appended(found: list[int], size: int) -> None:
    found.append(size)


def shared(size: int) -> Any:
    return remember(SHARED, [2.0], size)


def by_default(size: int, cache: dict[int, Any] = {}) -> Any:  # noqa: B006  # what is tested
    return remember(cache, [2.0], size)


class Masks:
    def __init__(self) -> None:
        self.found: dict[int, Any] = {}

    def of(self, size: int) -> Any:
        return remember(self.found, [2.0], size)

    def put(self, cache: dict[int, Any], size: int) -> None:
        cache[size] = size


MASKS = Masks()


class Net(nn.Module):
    cache: ClassVar[Any] = {}
    table: ClassVar[list[float]] = [2.0]
    masks: ClassVar[Masks] = Masks()

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.prepare(len(x))
        return self.linear(x)

    def prepare(self, size: int) -> None:
        raise NotImplementedError


class ByFunction(Net):
    cache: ClassVar[Any] = {}

    def prepare(self, size: int) -> None:
        remember(self.cache, self.table, size)


class OfItsClass(Net):
    cache: ClassVar[Any] = {}

    def prepare(self, size: int) -> None:
        remember(type(self).cache, self.table, size)


class HandedOn(Net):
    cache: ClassVar[Any] = {}

    def prepare(self, size: int) -> None:
        handed_on(table=self.table, cache=self.cache, size=size)


class ByMethod(Net):
    cache: ClassVar[Any] = {}

    def prepare(self, size: int) -> None:
        self.put(size, self.cache)

    def put(self, size: int, cache: dict[int, Any]) -> None:
        cache[size] = size


class ByStaticMethod(Net):
    cache: ClassVar[Any] = {}

    def prepare(self, size: int) -> None:
        self.put(self.cache, size)

    @staticmethod
    def put(cache: dict[int, Any], size: int) -> None:
        cache[size] = size


class ByObject(Net):
    cache: ClassVar[Any] = {}

    def prepare(self, size: int) -> None:
        MASKS.put(self.cache, size)


class ByObjectOfItsOwn(Net):
    masks: ClassVar[Masks] = Masks()

    def prepare(self, size: int) -> None:
        self.masks.of(size)


class ByAlias(Net):
    cache: ClassVar[Any] = {}

    def prepare(self, size: int) -> None:
        cache = self.cache
        known = cache
        known[size] = size


class Joined(Net):
    cache: ClassVar[Any] = {}

    def prepare(self, size: int) -> None:
        joined(self.cache)


class Listed(Net):
    cache: ClassVar[Any] = []

    def prepare(self, size: int) -> None:
        appended(self.cache, size)


class Either(Net):
    cache: ClassVar[Any] = {}
    other: ClassVar[Any] = {}

    def prepare(self, size: int) -> None:
        remember(self.cache if size > 1 else self.other, self.table, size)


class OfTheObject(Net):
    def __init__(self) -> None:
        super().__init__()
        self.cache = {}  # type: ignore[misc]  # hides the attribute of the class

    def prepare(self, size: int) -> None:
        remember(self.cache, self.table, size)


class Global(Net):
    def prepare(self, size: int) -> None:
        shared(size)


class Default(Net):
    def prepare(self, size: int) -> None:
        by_default(size)


class Named(Net):
    def prepare(self, size: int) -> None:
        setattr(self, "size", size)  # noqa: B010  # what is tested


class InDictionary(Net):
    def prepare(self, size: int) -> None:
        self.__dict__["size"] = size


class Buffered(Net):
    def prepare(self, size: int) -> None:
        self.register_buffer("mask", torch.ones(size), persistent=False)


class Counting(Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def prepare(self, size: int) -> None:
        self.calls = self.calls + 1


LAZY = [
    *(ByFunction, OfItsClass, HandedOn, ByMethod, ByStaticMethod, ByObject, ByObjectOfItsOwn),
    *(ByAlias, Joined, Listed, Either, OfTheObject, Global, Default, Named, InDictionary),
    *(Buffered, Counting),
]


@pytest.mark.parametrize("kind", LAZY, ids=lambda kind: kind.__name__)
def test_what_a_module_computes_when_it_runs_does_not_count(kind: type[Net]) -> None:
    net = kind()
    before = of_value(net)
    assert isinstance(before, Digest)
    net(torch.ones(3, 4))
    net(torch.ones(2, 4))
    assert of_value(net) == before == of_value(kind())


@pytest.mark.parametrize("kind", [ByFunction, OfItsClass, HandedOn])
def test_a_table_that_is_only_read_beside_a_cache_counts(
    kind: type[Net], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_value(kind())
    monkeypatch.setattr(Net, "table", [3.0])
    assert of_value(kind()) != before


def scaled(x: torch.Tensor, table: dict[str, float]) -> torch.Tensor:
    size = table["a"]
    size += 1
    return x * size


class Reads(Net):
    scales: ClassVar[dict[str, float]] = {"a": 1.0}

    def __init__(self, mask: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("mask", torch.full((2,), mask), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scales = self.scales
        return scaled(self.linear(x), scales) * self.mask


def test_what_a_function_only_reads_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = of_value(Reads())
    assert of_value(Reads(mask=2.0)) != before
    monkeypatch.setitem(Reads.scales, "a", 2.0)
    assert of_value(Reads()) != before


def test_arguments_that_a_function_changes() -> None:
    assert changed_arguments(remember) == {"cache"}
    assert changed_arguments(handed_on) == {"cache"}
    assert changed_arguments(joined) == {"cache"}
    assert changed_arguments(scaled) == frozenset()
    assert changed_by(shared) == {"SHARED"}


def spread(arguments: list[Any]) -> Any:
    return remember(*arguments)


def by_subscript(self: Any, size: int) -> Any:
    self.cache[self.size] = size
    return remember(self.tables[0], self.table, size)


def by_methods(self: Any, size: int) -> None:
    self.by_size.get(size)[0].append(len(self.kept))


def by_keyword(self: Any, size: int) -> None:
    self.register_buffer(tensor=size, name="mask")


def of_a_name(self: Any, size: int) -> None:
    self.__dict__["size"] = size


CHANGED = {
    spread: set(),
    by_subscript: {"cache", "tables"},
    by_methods: {"by_size"},
    by_keyword: {"mask"},
    of_a_name: {"__dict__", "size"},
}


@pytest.mark.parametrize(("function", "names"), CHANGED.items())
def test_only_what_is_changed_is_left_out(function: Any, names: set[str]) -> None:
    assert changed_by(function) == names


def test_all_that_is_spread_can_be_changed() -> None:
    assert changed_arguments(spread) == {"arguments"}


def test_code_without_source_keeps_all_that_counts() -> None:
    names: dict[str, Any] = {"Net": Net, "__name__": __name__}
    exec("class Typed(Net):\n    def prepare(self, size): self.size = size", names)
    net = names["Typed"]()
    before = of_value(net)
    net(torch.ones(3, 4))
    assert of_value(net) != before  # refused on resume rather than taken for another model
