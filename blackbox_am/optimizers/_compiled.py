"""Functions that numba compiles at their first call.

Only modules of kernels import this module, and only code for the CPU imports those, inside
functions: the import of numba takes a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """`function`, compiled. The compiled code is cached on disk if a writable folder exists.

    The code is compiled without relaxed arithmetic: no sum is reordered and no product is fused
    with a sum, so its bits depend neither on memory addresses nor on the processor.
    """
    try:
        return numba.njit(function, cache=True, error_model="numpy", nogil=True)  # type: ignore[no-any-return]
    except RuntimeError:  # no writable folder
        return numba.njit(function, error_model="numpy", nogil=True)  # type: ignore[no-any-return]
