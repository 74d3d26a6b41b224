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


@pytest.mark.parametrize(
    "module",
    [
        "blackbox_am",
        "blackbox_am.client",
        "blackbox_am.rpc.status",
        "blackbox_am.rpc.specs",
        "blackbox_am.core.types",
        "blackbox_am.core.spec",
        "blackbox_am.cli",
        "blackbox_am.zoo",
    ],
)
def test_torch_is_not_imported(module):
    loaded = python(f"import sys, {module}; print([m for m in sys.modules if m == 'torch'])")
    assert loaded == "[]"


def test_the_package_imports_in_under_300_ms():
    program = (
        "import time; t = time.process_time(); import blackbox_am; print(time.process_time() - t)"
    )
    assert min(float(python(program)) for _ in range(3)) < 0.3


def test_a_client_starts_in_under_a_second():
    program = (
        "import time; t = time.process_time(); import blackbox_am; blackbox_am.connect;"
        "print(time.process_time() - t)"
    )
    assert min(float(python(program)) for _ in range(3)) < 1.0


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
