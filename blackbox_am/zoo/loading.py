"""Turning zoo entries into modules and arrays.

PyTorch and diffusers take seconds to import, so they are imported only when a model is loaded.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from blackbox_am.errors import NotFound, StoreCorrupt
from blackbox_am.zoo import catalogue
from blackbox_am.zoo.catalogue import Entry, Kind

if TYPE_CHECKING:
    from torch import Tensor, nn


def _entry_of(name: str, kind: Kind) -> Entry:
    item = catalogue.entry(name)
    if item.kind != kind:
        fitting = ", ".join(n for n in catalogue.names() if catalogue.entry(n).kind == kind)
        raise NotFound(f"zoo entry {name!r} is of kind {item.kind!r}; of kind {kind!r}: {fitting}")
    return item


def _read_state(item: Entry) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    found = catalogue.file(item.name, item.files[0])
    try:
        state = load_file(found)
    except (SafetensorError, OSError) as error:
        raise StoreCorrupt(f"{found} is damaged ({error}); {item.cure}") from error
    # Stored in half precision to keep the package small.
    return {key: value.float() for key, value in state.items()}


def _fill(item: Entry, net: nn.Module) -> None:
    state = _read_state(item)
    # Batch norm's step counters are not stored: they play no part in evaluation.
    wanted = {key for key in net.state_dict() if not key.endswith("num_batches_tracked")}
    found = catalogue.file(item.name, item.files[0])
    if wanted != set(state):
        odd = sorted(wanted ^ set(state))[:3]
        raise StoreCorrupt(f"{found} holds other tensors than expected, e.g. {odd}; {item.cure}")
    try:
        net.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise StoreCorrupt(f"{found} does not fit the net ({error}); {item.cure}") from error
    net.eval().requires_grad_(False)


def load_classifier(name: str) -> nn.Module:
    """Load a classifier in evaluation mode, float32, on the CPU, parameters frozen.

    Args:
        name: ``"cifar_cnn"`` or ``"cifar_vit"``.

    Returns:
        A module from images ``(B, 3, 32, 32)``, normalised by the entry's mean and std, to logits
        ``(B, 10)``. Gradients still flow to the images.

    Raises:
        NotFound: Unknown name, no classifier, or the weights are absent.
        StoreCorrupt: The weights are damaged.
    """
    item = _entry_of(name, "classifier")
    from blackbox_am.zoo.nets import CifarResNet, CifarViT

    builders: dict[str, Callable[[], nn.Module]] = {"cifar_cnn": CifarResNet, "cifar_vit": CifarViT}
    net = builders[name]()
    _fill(item, net)
    return net


def load_autoencoder(name: str) -> Any:
    """Load a diffusers autoencoder in evaluation mode, float32, on the CPU, parameters frozen.

    The folder ``path(name)`` can also be given to diffusers' own ``from_pretrained``.

    Args:
        name: ``"cifar_vae"`` (``AutoencoderKL``) or ``"cifar_vq"`` (``VQModel``).

    Returns:
        The model; pictures are ``(B, 3, 32, 32)`` in [-1, 1], latents ``(B, *latent_shape)``.
        Decoded values may lie slightly outside the range: clip them.

    Raises:
        NotFound: Unknown name, no autoencoder, or a file is absent.
        StoreCorrupt: The weights or the configuration are damaged.
    """
    item = _entry_of(name, "autoencoder")
    found = catalogue.file(name, item.files[1])
    from diffusers import AutoencoderKL, VQModel

    builder: Any = VQModel if item.codes else AutoencoderKL
    try:
        config = json.loads(found.read_text(encoding="utf-8"))
        net = builder.from_config(config)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreCorrupt(f"{found} is damaged ({error}); {item.cure}") from error
    _fill(item, net)
    return net


def probe_images() -> tuple[np.ndarray, np.ndarray]:
    """The natural images of the zoo, for baselines.

    Returns:
        Images uint8 ``(200, 32, 32, 3)`` and labels int64 ``(200,)``, 20 of each class, sorted
        by label.

    Raises:
        NotFound: The file is absent.
        StoreCorrupt: It is damaged.
    """
    item = _entry_of("probe_images", "images")
    found = catalogue.file(item.name, item.files[0])
    try:
        # Opened here because numpy leaves its own handle open where the file is no archive.
        with found.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            x, y = archive["x"], archive["y"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StoreCorrupt(f"{found} is damaged ({error}); {item.cure}") from error
    if x.shape[1:] != (32, 32, 3) or x.dtype != np.uint8 or y.shape != (len(x),):
        raise StoreCorrupt(f"{found} holds arrays of another shape; {item.cure}")
    return x, y.astype(np.int64)
