"""Optimizers multiply and factor matrices through one module, which guards their bits."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import blackbox_am

OPTIMIZERS = Path(blackbox_am.__file__).parent / "optimizers"
BATCHED_ON_CUDA = "_sweeps.py"
"""Its products of batches run on CUDA alone; the CPU has compiled sweeps."""
NORMS = {"vector_norm", "norm"}
PRODUCTS = {"matmul", "mm", "mv", "bmm", "addmm", "addmm_", "baddbmm", "addmv", "einsum", "dot"}


def raw(source: str) -> list[str]:
    """Products and factorisations in `source` that bypass `core.linear_algebra`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            found.append(f"line {node.lineno}: @")
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            if owner.endswith("linalg") and node.attr not in NORMS:
                found.append(f"line {node.lineno}: {owner}.{node.attr}")
            if node.attr in PRODUCTS and owner != "linear_algebra":
                found.append(f"line {node.lineno}: {owner}.{node.attr}")
    return found


def test_optimizers_use_the_guarded_linear_algebra() -> None:
    sources = [path for path in OPTIMIZERS.rglob("*.py") if path.name != BATCHED_ON_CUDA]
    found = {str(path.relative_to(OPTIMIZERS)): raw(path.read_text()) for path in sources}
    assert len(found) > 50
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line", ["x @ y", "x @= y", "torch.linalg.qr(x)", "np.linalg.solve(a, b)", "x.mm(y)"]
)
def test_raw_products_are_found(line: str) -> None:
    assert raw(line)
    assert not raw("linear_algebra.matmul(x, y) + torch.linalg.vector_norm(x)")
