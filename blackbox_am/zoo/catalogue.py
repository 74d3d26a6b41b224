"""What the zoo holds: names, files, and how to feed each model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from blackbox_am.errors import NotFound, StoreCorrupt, did_you_mean
from blackbox_am.zoo import cbf

ROOT = Path(__file__).parent

Kind = Literal["classifier", "autoencoder", "diffusion", "decoder", "images"]

LICENCE = "Apache-2.0"
"""Of all weights that ship; what they were trained on has its own, see the cards."""

CIFAR10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)


@dataclass(frozen=True)
class Entry:
    """One model or image set of the zoo.

    Attributes:
        name: What users call it.
        kind: ``"classifier"``, ``"autoencoder"`` and ``"diffusion"`` (a model, and a pipeline of
            several, in diffusers' layout), ``"decoder"`` (a plain net, from latents to stimuli) or
            ``"images"``.
        summary: One line for listings.
        files: Paths relative to the zoo folder; the first one holds the weights or images.
        task: The word that retrains it with ``python -m training``.
        input_shape: One input, channels first; of a decoder, one stimulus.
        mean: Subtract this per channel from values in [0, 1] ...
        std: ... and divide by this. Autoencoders take pixels in [-1, 1], hence 0.5 and 0.5.
        labels: Class names in the order of the logits; empty where there are no classes.
        latent_shape: Shape of one latent, channels first; empty where there is none.
        codes: Size of the codebook; 0 where latents are continuous.
    """

    name: str
    kind: Kind
    summary: str
    files: tuple[str, ...]
    task: str
    input_shape: tuple[int, ...] = (3, 32, 32)
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    labels: tuple[str, ...] = ()
    latent_shape: tuple[int, ...] = ()
    codes: int = 0

    @property
    def needs_pictures(self) -> bool:
        """Whether its training reads CIFAR-10; series are made by their recipe."""
        return len(self.input_shape) == 3

    @property
    def cure(self) -> str:
        """What to do about a missing or damaged file, as the end of an error message."""
        return (
            "reinstall the package, or retrain with: python -m training "
            f"{self.task} --out {ROOT / 'weights'}"
            + (" --data DIR --teacher FILE" if self.needs_pictures else "")
        )


_TEACHER_MEAN = (0.485, 0.456, 0.406)
_TEACHER_STD = (0.229, 0.224, 0.225)

_ENTRIES = (
    Entry(
        name="cifar_cnn",
        kind="classifier",
        summary="residual net for CIFAR-10, 0.68 M parameters",
        files=("weights/cifar_cnn.safetensors", "weights/cifar_cnn.json"),
        task="cnn",
        mean=_TEACHER_MEAN,
        std=_TEACHER_STD,
        labels=CIFAR10,
    ),
    Entry(
        name="cifar_vit",
        kind="classifier",
        summary="vision transformer for CIFAR-10, 0.31 M parameters",
        files=("weights/cifar_vit.safetensors", "weights/cifar_vit.json"),
        task="vit",
        mean=_TEACHER_MEAN,
        std=_TEACHER_STD,
        labels=CIFAR10,
    ),
    Entry(
        name="cifar_vae",
        kind="autoencoder",
        summary="continuous generator of 32x32 pictures, 128 latent values",
        files=(
            "weights/cifar_vae/diffusion_pytorch_model.safetensors",
            "weights/cifar_vae/config.json",
            "weights/cifar_vae.json",
        ),
        task="vae",
        latent_shape=(8, 4, 4),
    ),
    Entry(
        name="cifar_vq",
        kind="autoencoder",
        summary="discrete generator of 32x32 pictures, 8 x 8 codes out of 512",
        files=(
            "weights/cifar_vq/diffusion_pytorch_model.safetensors",
            "weights/cifar_vq/config.json",
            "weights/cifar_vq.json",
        ),
        task="vq",
        latent_shape=(4, 8, 8),
        codes=512,
    ),
    Entry(
        name="cifar_ldm",
        kind="diffusion",
        summary="latent diffusion generator of 32x32 pictures, 256 noise values",
        files=(
            "weights/cifar_ldm/unet/diffusion_pytorch_model.safetensors",
            "weights/cifar_ldm/unet/config.json",
            "weights/cifar_ldm/vqvae/diffusion_pytorch_model.safetensors",
            "weights/cifar_ldm/vqvae/config.json",
            "weights/cifar_ldm/scheduler/scheduler_config.json",
            "weights/cifar_ldm/model_index.json",
            "weights/cifar_ldm.json",
        ),
        task="ldm",
        latent_shape=(4, 8, 8),
    ),
    Entry(
        name="cifar_sngan",
        kind="decoder",
        summary="adversarial generator of 32x32 pictures, 128 latent values",
        files=("weights/cifar_sngan.safetensors", "weights/cifar_sngan.json"),
        task="sngan",
        latent_shape=(128,),
    ),
    Entry(
        name="cbf_cnn",
        kind="classifier",
        summary="convolutional net for cylinder-bell-funnel series, 0.02 M parameters",
        files=("weights/cbf_cnn.safetensors", "weights/cbf_cnn.json"),
        task="cbf_cnn",
        input_shape=(1, cbf.LENGTH),
        mean=(cbf.MEAN,),
        std=(cbf.STD,),
        labels=cbf.LABELS,
    ),
    Entry(
        name="cbf_vae",
        kind="decoder",
        summary="generator of cylinder-bell-funnel series, 6 latent values",
        files=("weights/cbf_vae.safetensors", "weights/cbf_vae.json"),
        task="cbf_vae",
        input_shape=(1, cbf.LENGTH),
        mean=(),
        std=(),
        latent_shape=(6,),
    ),
    Entry(
        name="probe_images",
        kind="images",
        summary="200 natural images, 20 of each CIFAR-10 class",
        files=("weights/probe_images.npz",),
        task="probe",
        labels=CIFAR10,
    ),
)


def names() -> tuple[str, ...]:
    """All names, in the order of the catalogue."""
    return tuple(item.name for item in _ENTRIES)


def entry(name: str) -> Entry:
    """The entry of that name.

    Raises:
        NotFound: There is none; the message names the nearest ones.
    """
    for item in _ENTRIES:
        if item.name == name:
            return item
    raise NotFound(f"no zoo entry {name!r}{did_you_mean(name, names())}")


def file(name: str, relative: str) -> Path:
    """The absolute path of one of the entry's files.

    Raises:
        NotFound: The file is absent; the message says which one and what cures it.
    """
    found = ROOT / relative
    if not found.is_file():
        raise NotFound(f"zoo entry {name!r}: expected the file {found}; {entry(name).cure}")
    return found


def path(name: str) -> Path:
    """Where the entry lies: a weights file, a folder in diffusers' layout, or an npz file.

    Raises:
        NotFound: Unknown name, or one of the entry's files is absent.
    """
    item = entry(name)
    found = [file(name, relative) for relative in item.files]
    above = {"autoencoder": 1, "diffusion": 2}.get(item.kind, 0)
    return found[0].parents[above - 1] if above else found[0]


def files(name: str) -> list[Path]:
    """Absolute paths of all the entry's files.

    Raises:
        NotFound: Unknown name, or one of the files is absent.
    """
    return [file(name, relative) for relative in entry(name).files]


def metadata(name: str) -> dict[str, Any]:
    """Measured facts: accuracy, or reconstruction errors and latent statistics.

    For autoencoders ``latent_mean`` and ``latent_std`` are per-channel statistics of encoded
    training images, so that a generator can draw from or whiten to them.

    Returns:
        The facts; empty for image sets.

    Raises:
        NotFound: Unknown name, or the file is absent.
        StoreCorrupt: The file is damaged.
    """
    item = entry(name)
    if item.kind == "images":
        return {}
    found = file(name, item.files[-1])
    try:
        content: Any = json.loads(found.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreCorrupt(f"{found} is damaged ({error}); {item.cure}") from error
    if not isinstance(content, dict):
        raise StoreCorrupt(f"{found} is damaged (no JSON object); {item.cure}")
    return content


def card(name: str) -> str:
    """The entry's model card, Markdown.

    Raises:
        NotFound: Unknown name, or the card is absent.
    """
    return file(entry(name).name, f"cards/{name}.md").read_text(encoding="utf-8")
