"""The colours of a picture of Pillow, as red, green and blue or shades of grey of 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from blackbox_am.errors import InvalidSpec

if TYPE_CHECKING:
    from PIL import Image

DEEP = ("I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes of shades of grey of 9 to 16 bits, which it would cut off at 255."""
WHOLE, REAL = "I", "F"
BITS_PER_SAMPLE = 258
"""The tag of TIFF that says how many bits a value has."""


def is_deep(image: Image.Image) -> bool:
    """Whether the values of a picture have more than 8 bits and are scaled."""
    return image.mode in (*DEEP, WHOLE, REAL)


def in_colours(image: Image.Image, channels: int) -> Image.Image:
    """A picture in shades of grey (1 channel) or in red, green and blue (3 channels), 8 bits each,
    turned as its EXIF orientation says.

    What lies behind transparent pixels is white, as viewers show it. Shades of more than 8 bits
    are scaled, 65535 to 255 (a TIFF file of 12 bits 4095 to 255). CMYK and palettes are
    converted; colours of 16 bits keep their 8 highest bits.

    Raises:
        InvalidSpec: for whole numbers of 32 bits or real numbers whose range the file does not
            say.
    """
    from PIL import Image, ImageOps

    white = _white(image) if is_deep(image) else None
    image = ImageOps.exif_transpose(image)  # which loses the tags of a TIFF file
    if white is not None:
        shades = np.asarray(image).astype(np.float64) * (255 / white)
        image = Image.fromarray(np.rint(shades).astype(np.uint8))
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image.convert("L" if channels == 1 else "RGB")


def _white(image: Image.Image) -> float:
    """The value of white of a picture of more than 8 bits, as its file was opened."""
    if image.mode in DEEP:
        bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))[0]
        return float(2 ** min(int(bits), 16) - 1)
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if image.mode == REAL and low >= 0 and high <= 1:
        return 1.0
    raise InvalidSpec(
        f"expected values of 8 or 16 bits, or real numbers in [0, 1], got a file of 32 bits with "
        f"values from {low:g} to {high:g}, which does not say what is white; save it with 8 or 16 "
        "bits, or give the pictures as an array",
        field="images",
    )
