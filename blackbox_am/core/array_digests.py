"""Digests of texts, arrays and tensors."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.parameter import is_lazy


class Hash(Protocol):
    """A hash object of `hashlib`."""

    def update(self, data: Any, /) -> object:
        """Add bytes to the hash."""


def add_text(digest: Hash, text: str) -> None:
    """Add a text, with its length, so that two texts in a row are not one longer text."""
    digest.update(f"{len(text)}:{text}".encode(errors="surrogatepass"))


def add_array(digest: Hash, array: NDArray[Any]) -> None:
    """Add an array of numbers or texts, with its type and shape."""
    add_text(digest, f"{array.dtype.str}{array.shape}")
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def add_tensor(digest: Hash, tensor: torch.Tensor) -> None:
    """Add a tensor of any layout, with its type and shape."""
    if is_lazy(tensor):
        add_text(digest, "uninitialised")
        return
    tensor = tensor.detach()
    add_text(digest, f"{tensor.dtype}{tuple(tensor.shape)}{tensor.layout}")
    if tensor.is_meta:
        return
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        add_text(digest, str(tensor.qscheme()))
        if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
            add_text(digest, f"{tensor.q_scale()!r},{tensor.q_zero_point()!r}")
        else:
            add_tensor(digest, tensor.q_per_channel_scales())
            add_tensor(digest, tensor.q_per_channel_zero_points())
        tensor = tensor.int_repr()
    flat = tensor.cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    digest.update(flat.view(torch.uint8).numpy().data)
