"""Which names a function reads, and whether a hook only observes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from blackbox_am.core.code_digests import global_names, only_observes

KEPT: dict[Any, Any] = {}
LOG: list[Any] = []


def test_names_of_global_variables() -> None:
    assert "LOG" in global_names(appends.__code__)
    assert "KEPT" in global_names(keeps_by_module.__code__)


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


def adds_one_argument_to_another(m: Any, a: Any, o: Any) -> None:
    o += a  # Python 3.13 reads both with one instruction


def adds_to_a_second_name(m: Any, a: Any, o: Any) -> None:
    same = o
    same += 1


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
    adds_one_argument_to_another: False,
    adds_to_a_second_name: False,
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


def test_a_hook_without_source_does_not_certainly_observe() -> None:
    names: dict[str, Any] = {}
    exec("def hook(m, a, o): pass", names)
    assert not only_observes(names["hook"].__code__)
