"""Refusals of searches that would not fit into memory, before anything is allocated."""

from __future__ import annotations

from blackbox_am.errors import Unsupported


def check_matrices(
    name: str, *, matrices: int, targets: int, dim: int, itemsize: int, max_bytes: int
) -> None:
    """Checks that `matrices` of D x D for each of `targets` fit into `max_bytes`.

    Raises:
        Unsupported: if the matrices need more memory. The message names an alternative.
    """
    needed = matrices * targets * dim**2 * itemsize
    if needed > max_bytes:
        raise Unsupported(
            f"{name} needs {needed} bytes of matrices for {targets} targets in {dim} dimensions, "
            f"more than max_bytes = {max_bytes}; use `snes` or `sep_cma`, which are linear in "
            "the dimension, or raise max_bytes",
            field="optimizer.parameters.max_bytes",
        )


def archive_bytes(rows: int, targets: int, dim: int) -> int:
    """Memory of an archive of nevergrad, which has a candidate as up to four arrays in double
    precision: the point, its bounded value, and those of its parent.
    """
    return 32 * rows * targets * dim


def check_archive(name: str, *, rows: int, targets: int, dim: int, max_bytes: int) -> None:
    """Checks that an archive of `rows` latents for each of `targets` fits into `max_bytes`.

    Raises:
        Unsupported: if the archive needs more memory. The message names an alternative.
    """
    needed = archive_bytes(rows, targets, dim)
    if needed > max_bytes:
        raise Unsupported(
            f"{name} needs up to {needed} bytes to remember {rows} candidates of each of {targets} "
            f"targets in {dim} dimensions, more than max_bytes = {max_bytes}; use fewer targets, "
            "or `snes` or `sep_cma`, which remember none, or raise max_bytes",
            field="optimizer.parameters.max_bytes",
        )
