"""Progress in a notebook, and figures that a notebook shows."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from blackbox_am.results.notebooks import in_notebook, shown_while


@pytest.fixture
def notebook(monkeypatch):
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))


def test_a_script_is_no_notebook():
    assert not in_notebook()


def test_a_kernel_is_a_notebook(notebook):
    assert in_notebook()


def test_progress_is_shown_only_on_demand_in_a_script(result, capsys):
    seen = []
    with shown_while(None, seen.append) as show:
        show(result.progress)
    assert capsys.readouterr().out == ""
    with shown_while(True, seen.append) as show:
        show(result.progress)
    said = capsys.readouterr().out
    assert "found" in said
    assert "80/80" in said
    assert "of 2 targets" in said
    assert seen == [result.progress] * 2
