"""Matrix products and factorisations whose bits do not depend on memory addresses.

MKL, which torch uses on x86 processors, may pick another kernel where an operand begins at
another address: on AMD processors a product or a triangular solve of equal numbers then ends in
other last bits. Two measures make the bits a function of the numbers, the shapes and the
strides alone:

- MKL's reproducible mode. `import blackbox_am` sets `MKL_CBWR=AUTO` unless the variable is set.
  MKL reads the variable when it is first used, so a program that multiplies matrices before it
  imports blackbox_am keeps MKL's default mode.
- Copies to aligned memory. `reproducible` asks MKL which mode is in effect. Where the mode is not
  a reproducible one, every function of this module copies operands that do not begin at a multiple
  of 64 bytes.

Measured on an AMD EPYC (one thread, float32), as times over those without a guard: the mode costs
1.02 for a product of 2,048 x 2,048, within the spread of repeats. The copies cost 1.2 to 1.3 for a
product of 20 x D and D x D with D from 128 to 513, and 1.35 to 1.44 for ask and tell of `cma`,
`xnes` and `cholesky_cma` at odd D with several targets; next to nothing where D is a multiple of 4,
since operands are aligned then. So the mode is set, and copies are made only where the mode is not
in effect. `blackbox-am bench alignment` measures both.

Bits may still differ between processors, between the two modes, between numbers of threads and
between versions of torch. `numerics` describes all of these in one line.

The functions take matrices, not batches of them: inside a batch, later matrices begin at other
addresses. On other devices than the CPU they call torch and do nothing else.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from pathlib import Path

import torch

ALIGNMENT = 64
"""Bytes. torch allocates CPU memory at multiples of this number."""

_MODES = {1: "off", 2: "AUTO", 3: "COMPATIBLE"}
"""MKL's numbers for its modes, and the corresponding values of `MKL_CBWR`."""
_BRANCH = 1
"""Argument that requests the mode from MKL."""
_STRICT = 0x10000
"""Added to the mode if the result does not depend on the number of threads either."""


@cache
def mkl_mode() -> str:
    """The reproducible mode of MKL in this process, as MKL itself reports it: `AUTO`,
    `COMPATIBLE`, `branch N` for a named instruction set, or `off`; `unknown` where MKL cannot be
    asked, and `absent` where torch does not use MKL.
    """
    if not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return "absent"
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        loaded = ctypes.CDLL(str(library))
    except OSError:
        return "unknown"
    for name in ("MKL_CBWR_Get", "mkl_serv_cbwr_get"):  # linked dynamically, statically
        ask = getattr(loaded, name, None)
        if ask is not None:
            answer = int(ask(ctypes.c_int(_BRANCH))) & ~_STRICT
            return _MODES.get(answer, f"branch {answer}" if answer > 0 else "unknown")
    return "unknown"


def reproducible() -> bool:
    """Whether MKL gives the same bits at every address without any copies."""
    return mkl_mode() not in ("off", "unknown", "absent")


def numerics(device: torch.device | str = "cpu") -> str:
    """A description of everything besides the inputs that the last bits of a result on `device`
    depend on: the processor, its instruction set, MKL's mode, the number of threads, the graphics
    card if `device` is one, and the version of torch. Two processes with equal descriptions compute
    the same bits.
    """
    mode = mkl_mode()
    guard = "" if reproducible() else ", aligned copies"
    parts = [
        _processor(),
        torch.backends.cpu.get_cpu_capability().lower(),
        f"MKL reproducible: {mode}{guard}",
        f"threads {torch.get_num_threads()}",
    ]
    device = torch.device(device)
    if device.type == "cuda":
        parts.append(f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}")
    return ", ".join([*parts, f"torch {torch.__version__}"])


@cache
def _processor() -> str:
    """The model of the processor, or its architecture if the system does not give a model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()


def aligned(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor`, or a copy of it with the same strides if it is on the CPU and does not begin at a
    multiple of 64 bytes. Gradients pass through the copy.
    """
    if tensor.device.type != "cpu" or tensor.data_ptr() % ALIGNMENT == 0:
        return tensor
    if _dense(tensor) or tensor.requires_grad:
        return tensor.clone()
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    return copy.copy_(tensor)


def _dense(tensor: torch.Tensor) -> bool:
    """Whether `clone` keeps the strides of `tensor`: its elements fill its memory without gaps."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return True


def _fixed(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor`, aligned for MKL if necessary."""
    return tensor if reproducible() else aligned(tensor)


def matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The product of two matrices, or of a matrix and a vector on either side of it."""
    return torch.matmul(_fixed(left), _fixed(right))


def addmm(
    base: torch.Tensor,
    left: torch.Tensor,
    right: torch.Tensor,
    *,
    beta: float = 1.0,
    alpha: float = 1.0,
) -> torch.Tensor:
    """The matrix beta base + alpha left right."""
    return torch.addmm(_fixed(base), _fixed(left), _fixed(right), beta=beta, alpha=alpha)


def addmm_(
    base: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *, beta: float = 1.0
) -> None:
    """Replaces `base` by beta base + left right, in place, for matrices."""
    place = _fixed(base)
    place.addmm_(_fixed(left), _fixed(right), beta=beta)
    if place is not base:
        base.copy_(place)


def solve(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """matrix^-1 right, for a square matrix."""
    found: torch.Tensor = torch.linalg.solve(_fixed(matrix), _fixed(right))
    return found


def solve_triangular(
    matrix: torch.Tensor, right: torch.Tensor, *, upper: bool, left: bool = True
) -> torch.Tensor:
    """matrix^-1 right for a triangular matrix; right matrix^-1 where `left` is False."""
    found: torch.Tensor = torch.linalg.solve_triangular(
        _fixed(matrix), _fixed(right), upper=upper, left=left
    )
    return found


def cholesky(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Lower A (..., D, D) with A A^T = `matrix` (..., D, D), of which only the lower triangle is
    read, and (...) int32: 0, or the order of the leading minor that is not positive definite.

    This function takes batches, since one call for all matrices is several times as fast for small
    matrices. If MKL is not reproducible, each matrix of a batch has its own call.
    """
    if matrix.ndim == 3 and matrix.device.type == "cpu" and not reproducible():
        pairs = [cholesky(one) for one in matrix]
        return torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])
    lower, info = torch.linalg.cholesky_ex(_fixed(matrix))
    return lower, info


def inverse(matrix: torch.Tensor) -> torch.Tensor:
    """The inverse of a square matrix; not finite, or meaningless, for a singular matrix."""
    found: torch.Tensor = torch.linalg.inv_ex(_fixed(matrix))[0]
    return found


def eigh(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues in ascending order, and eigenvectors as columns, of a symmetric matrix."""
    values, vectors = torch.linalg.eigh(_fixed(matrix))
    return values, vectors


def qr(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Orthonormal columns Q and upper triangular R with Q R = `matrix`, reduced."""
    q, r = torch.linalg.qr(_fixed(matrix))
    return q, r


def inverts_badly(matrix: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """(...) bool: True for matrices (..., D, D) that are not finite, or whose axes differ by more
    than the floating-point format can represent.
    """
    spread = matrix.abs().amax((-2, -1)) * inverse.abs().amax((-2, -1))
    return ~(spread < 0.1 / torch.finfo(matrix.dtype).eps)
