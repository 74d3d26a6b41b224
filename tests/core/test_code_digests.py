"""Which names a function changes, and whether a hook only observes."""

from __future__ import annotations

from typing import Any

import pytest

from blackbox_am.core.code_digests import changed_names, global_names, only_observes

COUNT = 0
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


HOOKS = {
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
