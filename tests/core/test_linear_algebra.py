"""Linear algebra gives the same bits at every memory address."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from blackbox_am.core import linear_algebra
from blackbox_am.testing.searches import displaced

Operation = Callable[..., torch.Tensor]
USED = "torch.ones(9, 9) @ torch.ones(9, 9)"
"""MKL reads its mode when it is first used."""


def _added(base: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    linear_algebra.addmm_(base, rows.T, rows, beta=0.5)
    return base


OPERATIONS: dict[str, tuple[Operation, str]] = {
    "matmul": (lambda z, a: linear_algebra.matmul(z, a), "ZA"),
    "matmul, transposed": (lambda z, a: linear_algebra.matmul(z, a.T), "ZA"),
    "gram": (lambda z: linear_algebra.matmul(z.T, z), "Z"),
    "matrix and vector": (lambda z, w: linear_algebra.matmul(z.T, w), "Zw"),
    "vector and matrix": (lambda w, z: linear_algebra.matmul(w, z), "wZ"),
    "addmm": (lambda a, z: linear_algebra.addmm(a, z.T, z, beta=0.5), "AZ"),
    "addmm in place": (_added, "AZ"),
    "addmm in a part": (lambda a, z: _part(a, z), "AZ"),
    "solve": (lambda a, z: linear_algebra.solve(a, z.T), "AZ"),
    "solve_triangular": (
        lambda t, z: linear_algebra.solve_triangular(t, z.T, upper=False),
        "LZ",
    ),
    "solve_triangular, right": (
        lambda t, z: linear_algebra.solve_triangular(t.T, z, upper=True, left=False),
        "LZ",
    ),
    "cholesky": (lambda a: linear_algebra.cholesky(a)[0], "A"),
    "cholesky of a batch": (
        lambda a: linear_algebra.cholesky(torch.stack([a, 2 * a, a]))[0][2],
        "A",
    ),
    "inverse": (linear_algebra.inverse, "A"),
    "eigh": (lambda a: torch.cat([x.flatten() for x in linear_algebra.eigh(a)]), "A"),
    "qr": (lambda z: torch.cat([x.flatten() for x in linear_algebra.qr(z.T)]), "Z"),
}


def _part(whole: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """A product added to rows of a matrix that has further columns."""
    linear_algebra.addmm_(whole[1:, :-1], rows[:, 1:].T, rows[:, :-1], beta=0.5)
    return whole


def _operands(dim: int, population: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(dim * 100 + population)
    rows, square = (
        torch.randn(n, dim, generator=generator, dtype=dtype) for n in (population, dim)
    )
    positive = square @ square.T + dim * torch.eye(dim, dtype=dtype)
    return {
        "Z": rows,
        "A": positive,
        "L": torch.linalg.cholesky(positive),
        "w": torch.randn(population, generator=generator, dtype=dtype),
    }


def _moved_by_address() -> list[str]:
    """Operations and shapes whose bits change with the addresses of the operands."""
    found = []
    for dtype in (torch.float32, torch.float64):
        for dim in (5, 8, 33, 64):
            for population in (6, 20):
                operands = _operands(dim, population, dtype)
                for name, (operation, letters) in OPERATIONS.items():
                    usual = operation(*(displaced(operands[x], 0) for x in letters))
                    for offset in (4, 20, 40):
                        for which in range(len(letters)):
                            given = [
                                displaced(operands[x], offset if i == which else 0)
                                for i, x in enumerate(letters)
                            ]
                            if not torch.equal(operation(*given), usual):
                                found.append(f"{name} {dtype} D={dim} P={population} +{offset}")
    return found


def _child(code: str, **variables: str) -> str:
    """What a fresh process prints that sets nothing but `variables`."""
    environment = {k: v for k, v in os.environ.items() if k != "MKL_CBWR"} | variables
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_equal_bits_at_every_address() -> None:
    assert _moved_by_address() == []


@pytest.mark.slow
def test_equal_bits_at_every_address_where_mkl_was_used_first() -> None:
    """MKL then keeps its default mode, and operands are copied instead."""
    code = (
        f"import torch\n{USED}\n"
        "from tests.core.test_linear_algebra import _moved_by_address, linear_algebra\n"
        "print(linear_algebra.reproducible(), _moved_by_address())"
    )
    assert _child(code) == "False []"


MODES = [
    ("import blackbox_am", {}, "AUTO"),
    (f"{USED}; import blackbox_am", {}, "off"),
    (f"{USED}; import blackbox_am", {"MKL_CBWR": "COMPATIBLE"}, "COMPATIBLE"),
    ("import blackbox_am", {"MKL_CBWR": ""}, "off"),
]
FORKING = f"""
import os, torch
for first, variables, _ in {MODES}:
    if not os.fork():
        os.environ.update(variables)
        exec(first)
        from blackbox_am.core.linear_algebra import mkl_mode
        print(mkl_mode(), flush=True)
        os._exit(0)
    os.wait()
"""
"""Each case in a process of its own, which has imported torch and has not used MKL."""


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="torch does not use MKL")
def test_the_mode_is_what_mkl_says() -> None:
    assert _child(FORKING).split() == [mode for _, _, mode in MODES]


def test_numerics_names_what_bits_depend_on() -> None:
    found = linear_algebra.numerics()
    assert f"torch {torch.__version__}" in found
    assert f"threads {torch.get_num_threads()}" in found
    assert f"MKL reproducible: {linear_algebra.mkl_mode()}" in found
    assert len(found) < 200
    assert "\n" not in found


@pytest.mark.slow
def test_numerics_tells_modes_and_threads_apart() -> None:
    code = (
        "import torch\ntorch.set_num_threads(1)\n"
        "from blackbox_am.core.linear_algebra import numerics\nprint(numerics())"
    )
    usual, other = _child(code, MKL_CBWR="AUTO"), _child(code, MKL_CBWR="")
    if torch.backends.mkl.is_available():
        assert usual != other
        assert "aligned copies" in other
    assert "threads 2" in _child(code.replace("threads(1)", "threads(2)"))


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 5, 7)])
def test_aligned_copies_only_what_is_not(shape: tuple[int, ...]) -> None:
    usual = displaced(torch.randn(shape), 0)
    assert linear_algebra.aligned(usual) is usual
    moved = displaced(usual, 12)
    copy = linear_algebra.aligned(moved)
    assert copy.data_ptr() % linear_algebra.ALIGNMENT == 0
    assert copy.stride() == moved.stride()
    assert torch.equal(copy, usual)


def test_aligned_keeps_the_strides_of_parts_and_transposed_matrices() -> None:
    whole = torch.randn(9, 11)
    for part in (whole[1:4, 1:6], whole.T[1:, 2:5], whole[:, 1:]):
        copy = linear_algebra.aligned(part)
        assert copy.data_ptr() % linear_algebra.ALIGNMENT == 0
        assert copy.stride() == part.stride()
        assert torch.equal(copy, part)


def test_gradients_pass_through_aligned_copies() -> None:
    leaf = torch.randn(9, requires_grad=True)
    linear_algebra.aligned(leaf[1:]).sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [0] + [1] * 8


def test_results_are_those_of_torch() -> None:
    z, a, lower, w = (_operands(7, 5, torch.float64)[x] for x in "ZALw")
    torch.testing.assert_close(linear_algebra.matmul(z, a), z @ a)
    torch.testing.assert_close(linear_algebra.matmul(w, z), w @ z)
    torch.testing.assert_close(
        linear_algebra.addmm(a, z.T, z, beta=0.5, alpha=2.0), a / 2 + 2 * z.T @ z
    )
    base = a.clone()
    linear_algebra.addmm_(base, z.T, z, beta=0.5)
    torch.testing.assert_close(base, a / 2 + z.T @ z)
    torch.testing.assert_close(a @ linear_algebra.solve(a, z.T), z.T)
    torch.testing.assert_close(
        lower @ linear_algebra.solve_triangular(lower, z.T, upper=False), z.T
    )
    found, info = linear_algebra.cholesky(a)
    torch.testing.assert_close(found, lower)
    assert info == 0
    assert linear_algebra.cholesky(-a)[1] > 0
    torch.testing.assert_close(linear_algebra.inverse(a) @ a, torch.eye(7, dtype=a.dtype))
    values, vectors = linear_algebra.eigh(a)
    torch.testing.assert_close(vectors * values @ vectors.T, a)
    q, r = linear_algebra.qr(z.T)
    torch.testing.assert_close(q @ r, z.T)
