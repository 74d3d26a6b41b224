"""Arrays in files of numpy, and what a file is that is none."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from blackbox_am.errors import InvalidSpec, NotFound

Array = NDArray[Any]

ALONE = ""
"""Name of the array of a .npy file, which has none of its own."""
HEAD = 512
LARGE = 2**20
"""Bytes of a file that is neither a page nor a pointer."""
_LFS = b"version https://git-lfs"
_PAGES = (b"<!doctype html", b"<html", b"<?xml", b"<head")
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")


def arrays_in(source: str | os.PathLike[str] | bytes, field: str) -> dict[str, Array]:
    """The arrays of a .npz file by their names, or the one of a .npy file with the name `ALONE`.

    No code in a file is run: an array of Python objects is refused.

    Args:
        source: the path of a file, or its content.
        field: the parameter that names the file, for messages.

    Raises:
        NotFound: if the file does not exist.
        InvalidSpec: if it is no such file; the message says what it is instead, such as a page
            of HTML or a pointer of Git LFS.
    """
    name = f"{len(source)} bytes" if isinstance(source, bytes) else repr(os.fspath(source))
    try:
        # Opened here because numpy leaves its own handle open where the file is damaged.
        with _opened(source) as stream:
            head = stream.read(HEAD)
            stream.seek(0)
            try:
                return _loaded(stream)
            except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
                why = what_it_is(head) or _picture(head) or _why(error)
                raise InvalidSpec(
                    f"{field}: cannot read {name} as arrays: {why}", field=field
                ) from error
    except FileNotFoundError as error:
        raise NotFound(f"{field}: there is no file {name}", field=field) from error
    except OSError as error:
        raise InvalidSpec(f"{field}: cannot read {name}: {error.strerror}", field=field) from error


def array_in(source: str | os.PathLike[str] | bytes, field: str) -> Array:
    """The array of a .npy file.

    Raises:
        NotFound, InvalidSpec: as `arrays_in`, and for a .npz file.
    """
    arrays = arrays_in(source, field)
    if ALONE not in arrays:
        raise InvalidSpec(
            f"{field}: expected one array, written by numpy.save (.npy), got a .npz file",
            field=field,
        )
    return arrays[ALONE]


def what_it_is(head: bytes) -> str:
    """What a file with these first bytes is, and what to do; empty if it is nothing known.

    Known are kinds that stand under the name of another: an empty file, a page of HTML that a
    server sent in place of a file, and a pointer of Git LFS.
    """
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "the file is empty"
    if text.startswith(_LFS):
        return "the file is a pointer of Git LFS; `git lfs pull` fetches the file itself"
    if text.startswith(_PAGES):
        return (
            "the file is a page of HTML, which a server sends in place of a file that needs a "
            "login or has moved; open it in a browser, and download the file again"
        )
    return ""


def what_is_at(path: str | os.PathLike[str]) -> str:
    """What the small file at `path` is, as `what_it_is` says it; empty if that is unknown."""
    try:
        with Path(path).open("rb") as stream:
            small = os.fstat(stream.fileno()).st_size < LARGE
            return what_it_is(stream.read(HEAD)) if small else ""
    except OSError:
        return ""


def _picture(head: bytes) -> str:
    found = head.startswith(_PICTURES)
    return "the file is a picture; name the folder of the pictures" if found else ""


def _opened(source: str | os.PathLike[str] | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")


def _why(error: Exception) -> str:
    # numpy takes any bytes for a pickle, and advises to load it.
    pickled = "pickle" in str(error)
    return "expected numbers, written by numpy.save or numpy.savez" if pickled else str(error)


def _loaded(stream: IO[bytes]) -> dict[str, Array]:
    found: Any = np.load(stream, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return {ALONE: found}
    with found as archive:
        return {name: archive[name] for name in archive.files}
