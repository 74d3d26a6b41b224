"""Which names a function changes, and whether a hook only observes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from blackbox_am.core.code_digests import changed_names, global_names, only_observes

COUNT = 0
KEPT: dict[Any, Any] = {}
LOG: list[Any] = []


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


def test_names_of_global_variables() -> None:
    assert {"COUNT", "LOG"} <= global_names(changes_many.__code__)


def appends(m: Any, a: Any, o: Any) -> None:
    LOG.append(o.detach().clone())


def writes(m: Any, a: Any, o: Any) -> None:
    o[:, 0] = 0


def in_place(m: Any, a: Any, o: Any) -> None:
    o.mul_(2)


def returns_sometimes(m: Any, a: Any, o: Any) -> Any:
    if len(o) > 2:
        return o * 2
    return None


def adds_in_place(m: Any, a: Any, o: Any) -> None:
    o += 1


def writes_data(m: Any, a: Any, o: Any) -> None:
    o.data[:] = 0


def writes_out(m: Any, a: Any, o: Any) -> None:
    torch.mul(o, 0, out=o)


def calls_a_helper(m: Any, a: Any, o: Any) -> None:
    in_place(m, a, o)


def keeps_by_module(m: Any, a: Any, o: Any) -> None:
    KEPT[m] = o.detach()


HOOKS = {
    adds_in_place: False,
    writes_data: False,
    writes_out: False,
    calls_a_helper: False,
    keeps_by_module: True,
    appends: True,
    (lambda m, a, o: LOG.append(o)): True,
    writes: False,
    in_place: False,
    returns_sometimes: False,
    (lambda m, a, o: o * 2): False,
    (lambda m, a, o: LOG.pop()): False,
}


@pytest.mark.parametrize(("hook", "observes"), HOOKS.items())
def test_hooks_that_only_observe(hook: Any, *, observes: bool) -> None:
    assert only_observes(hook.__code__) is observes
