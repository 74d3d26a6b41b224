"""The plug-in of CONTRIBUTING.md fulfils the optimizer contract."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from blackbox_am import plugins
from blackbox_am.core.optimizer import Optimizer
from blackbox_am.testing.optimizers import OptimizerContract

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")


def _module():
    """The code block of the page as a module."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    module = ModuleType("hill")
    sys.modules["hill"] = module  # dataclasses look up types here
    exec(compile(code, "CONTRIBUTING.md", "exec"), vars(module))
    return module


class TestHill(OptimizerContract):
    @pytest.fixture
    def optimizer(self):
        return plugins.public_class(_module(), Optimizer)()
