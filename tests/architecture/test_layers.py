"""Rules of the architecture that no linter checks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import blackbox_am

PACKAGE = Path(blackbox_am.__file__).parent
SOURCES = [p for p in PACKAGE.rglob("*.py") if p.parent.name != "v1"]


def python(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


WITHOUT_TORCH = (
    "blackbox_am",
    "blackbox_am.client",
    "blackbox_am.rpc.status",
    "blackbox_am.rpc.specs",
    "blackbox_am.core.types",
    "blackbox_am.core.spec",
    "blackbox_am.cli",
    "blackbox_am.zoo",
)


def test_torch_is_not_imported():
    """None of them imports it: one process, as they would share what one of them imports."""
    program = (
        "import importlib, sys\n"
        f"for module in {WITHOUT_TORCH}:\n"
        "    importlib.import_module(module)\n"
        "    if 'torch' in sys.modules:\n"
        "        sys.exit(print(module))\n"
    )
    assert python(program) == ""


def test_the_package_imports_next_to_nothing():
    """Submodules are imported when their names are used, so that the import takes no time."""
    before, after = python(
        "import sys; before = len(sys.modules); import blackbox_am; print(before, len(sys.modules))"
    ).split()
    assert int(after) - int(before) < 20  # 7 when this was written


def test_every_public_name_exists():
    for name in blackbox_am.__all__:
        assert getattr(blackbox_am, name) is not None
    assert sorted(blackbox_am.__all__) == blackbox_am.__all__
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = blackbox_am.nonsense


def test_nothing_is_unpickled():
    for path in SOURCES:
        text = path.read_text("utf-8")
        assert "import pickle" not in text, path
        if "torch.load(" in text:
            assert "weights_only=True" in text, path


def test_generated_stubs_are_importable_from_the_declared_range():
    text = (PACKAGE / "v1" / "study_pb2.py").read_text("utf-8")
    assert "# Protobuf Python Version: 6.30" in text  # runs on protobuf 6 and 7
