"""The average metric tensor E[J' J] of a differentiable function, exact or by random probes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from blackbox_am.core.rng import Stream
from blackbox_am.errors import Unsupported

Render = Callable[[torch.Tensor, slice], torch.Tensor]
"""Function of points (n, D) and of their row numbers among all points that returns stimuli."""


def exact_metric(render: Render, points: torch.Tensor, batch_size: int) -> torch.Tensor:
    """(D, D) float64: the mean of J' J over points (n, D), by n D Jacobian-vector products.

    J u is the derivative of v' J u by v, so two reverse passes replace forward-mode derivatives,
    which some operations lack. The first pass is shared by all columns.

    Raises:
        Unsupported: if an operation of the function cannot be differentiated twice.
    """
    dim = points.shape[1]
    total = torch.zeros(dim, dim, dtype=torch.float64)
    for start in range(0, len(points), batch_size):
        rows = slice(start, start + batch_size)
        leaf = points[rows].clone().requires_grad_()
        try:
            # Fused attention has no second derivative.
            with sdpa_kernel(SDPBackend.MATH):
                stimuli = render(leaf, rows)
            dual = torch.zeros_like(stimuli, requires_grad=True)
            (pulled,) = torch.autograd.grad(stimuli, leaf, dual, create_graph=True)
            columns = [
                torch.autograd.grad(pulled[:, column].sum(), dual, retain_graph=True)[0]
                for column in range(dim)
            ]
        except NotImplementedError as error:
            raise Unsupported(
                f"basis: the generator cannot be differentiated twice ({error}); set probes to 1 "
                "or more, which need one backward pass",
                field="probes",
            ) from error
        for jacobian in torch.stack(columns, dim=1).flatten(2):
            total += (jacobian.double() @ jacobian.double().T).cpu()
    return total / len(points)


def probed_metric(
    render: Render, points: torch.Tensor, probes: int, batch_size: int
) -> torch.Tensor:
    """(D, D) float64: an unbiased estimate of the mean of J' J, of rank n x probes at most.

    For v of N(0, I), E[(J' v)(J' v)'] = J' J: one vector-Jacobian product a probe.
    """
    total = torch.zeros(points.shape[1], points.shape[1], dtype=torch.float64)
    for probe in range(probes):
        stream = Stream(0, "basis probes", probe)
        for start in range(0, len(points), batch_size):
            rows = slice(start, start + batch_size)
            leaf = points[rows].clone().requires_grad_()
            stimuli = render(leaf, rows)
            weights = stream.normal(*stimuli.shape)[0].to(stimuli.device)
            (slopes,) = torch.autograd.grad((stimuli * weights).sum(), leaf)
            total += (slopes.double().T @ slopes.double()).cpu()
    return total / (len(points) * probes)
