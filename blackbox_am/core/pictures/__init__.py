"""Pictures as people have them: files, folders, PIL images and arrays, read in one place."""

from __future__ import annotations

from blackbox_am.core.pictures.arrays import check_range, picture_array, with_white
from blackbox_am.core.pictures.files import (
    SUFFIXES,
    begins_as_picture,
    pictures_in,
    read_picture,
    read_pictures,
    read_pixels,
)
from blackbox_am.core.pictures.given import Pictures, pictures
from blackbox_am.core.pictures.numpy_files import array_in, arrays_in, what_is_at

__all__ = [
    "SUFFIXES",
    "Pictures",
    "array_in",
    "arrays_in",
    "begins_as_picture",
    "check_range",
    "picture_array",
    "pictures",
    "pictures_in",
    "read_picture",
    "read_pictures",
    "read_pixels",
    "what_is_at",
    "with_white",
]
