"""Converts stimuli into the body of a request: encodings and templates."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blackbox_am.core.tensors import to_uint8
from blackbox_am.errors import InvalidSpec, did_you_mean
from blackbox_am.oracles._inputs import channel_axis
from blackbox_am.oracles.http._answer import brief

Encoding = Literal["png", "jpeg", "floats", "bytes"]
Body = Literal["json", "multipart", "raw"]

ONE = "$image"
MANY = "$images"

CHANNELS: dict[str, tuple[int, ...]] = {"png": (1, 3, 4), "jpeg": (1, 3)}
"""Numbers of channels that each kind of file can have: grey, RGB, RGB with opacity."""


@dataclass(frozen=True)
class RequestWriter:
    """Writes the bodies of requests.

    Attributes:
        shape: of one stimulus.
        image: how a stimulus is encoded.
        body: the kind of body.
        template: JSON of the request.
        item: JSON of one stimulus in a batch.
        channels_last: whether channels are the last axis of lists.

    Raises:
        InvalidSpec: if the attributes do not fit together.
    """

    shape: tuple[int, ...]
    image: Encoding
    body: Body
    template: Any
    item: Any
    channels_last: bool

    @property
    def batched(self) -> bool:
        """Whether a request has many stimuli."""
        return self.body == "json" and holds(self.template, MANY)

    def content(self, rows: NDArray[np.floating[Any]]) -> dict[str, Any]:
        """The body for stimuli (N, *shape) in [0, 1], as httpx takes it; N is 1 unless batched."""
        images = [encoded(row, self.image, channels_last=self.channels_last) for row in rows]
        if self.body == "raw":
            return {"content": images[0], "headers": {"Content-Type": f"image/{self.image}"}}
        if self.body == "multipart":
            fields = dict(self.template)
            place = next(name for name, value in fields.items() if value == ONE)
            del fields[place]
            file = (f"image.{self.image}", images[0], f"image/{self.image}")
            return {"data": fields, "files": {place: file}}
        if self.batched:
            items = [filled(self.item, ONE, image) for image in images]
            return {"json": filled(self.template, MANY, items)}
        return {"json": filled(self.template, ONE, images[0])}

    def __post_init__(self) -> None:
        for field, known in (("image", get_args(Encoding)), ("body", get_args(Body))):
            value = getattr(self, field)
            if value not in known:
                near = did_you_mean(str(value), known)
                raise InvalidSpec(f"{field}: there is no {value!r}{near}", field=field)
        files = self.image in CHANNELS
        shape = self.shape
        held = CHANNELS.get(self.image, ())
        if files and (len(shape) != 3 or shape[0] not in held):
            raise InvalidSpec(
                f"image: a {self.image} file holds stimuli of shape ("
                f"{', '.join(map(str, held[:-1]))} or {held[-1]}, height, width), got {shape}; "
                "use 'floats' for numbers in lists",
                field="image",
            )
        if self.body != "json" and not files:
            raise InvalidSpec(
                f"body: {self.body!r} sends a file; expected image 'png' or 'jpeg', got "
                f"{self.image!r}",
                field="body",
            )
        if self.body == "multipart":
            fields = self.template.values() if isinstance(self.template, dict) else ()
            if list(fields).count(ONE) != 1 or not all(isinstance(text, str) for text in fields):
                raise InvalidSpec(
                    f"template: a multipart one is a table of texts, one of which is {ONE!r}, got "
                    f"{brief(self.template)}",
                    field="template",
                )
        if self.body == "json":
            self._check_template(files)

    def _check_template(self, files: bool) -> None:
        one, many = holds(self.template, ONE), holds(self.template, MANY, alone=True)
        if one == many:
            raise InvalidSpec(
                f"template: expected {ONE!r} for one stimulus, or a value {MANY!r} for all of a "
                f"batch, and not both, got {brief(self.template)}",
                field="template",
            )
        place, name = (self.item, "item") if many else (self.template, "template")
        if not holds(place, ONE, alone=not files):
            raise InvalidSpec(
                f"{name}: expected {ONE!r} in it"
                + ("" if files else ", as a value of its own where it is a list")
                + f", got {brief(place)}",
                field=name,
            )


def encoded(stimulus: NDArray[np.floating[Any]], encoding: Encoding, *, channels_last: bool) -> Any:
    """One stimulus in [0, 1] as an image file, or as nested lists.

    Args:
        stimulus: (channels, height, width) for files, see `CHANNELS`; any shape for lists.
        encoding: `png` and `jpeg` are bytes of such a file; `floats` and `bytes` are lists of
            numbers from 0 to 1, and of whole numbers from 0 to 255.
        channels_last: whether channels are the last axis of lists.
    """
    if encoding in ("floats", "bytes"):
        axis = channel_axis(stimulus.shape)
        turned = np.moveaxis(stimulus, axis, -1) if channels_last else stimulus
        return (to_uint8(turned) if encoding == "bytes" else turned).tolist()
    pixels = np.moveaxis(to_uint8(stimulus), 0, -1)
    file = io.BytesIO()
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.save(file, "PNG" if encoding == "png" else "JPEG", quality=95)
    return file.getvalue()


def holds(template: Any, word: str, *, alone: bool = False) -> bool:
    """Whether `word` is in a template; where `alone`, as a whole value."""
    if isinstance(template, str):
        return template == word or (
            not alone and re.search(re.escape(word) + r"(?!s\b)", template) is not None
        )
    if isinstance(template, Mapping):
        return any(holds(value, word, alone=alone) for value in template.values())
    return isinstance(template, Sequence) and any(
        holds(value, word, alone=alone) for value in template
    )


def filled(template: Any, word: str, value: Any) -> Any:
    """A copy of a template with `word` replaced by `value`; bytes become base64.

    A text that is `word` alone becomes the value itself. Within a longer text, `word` is replaced
    by the text of the value.
    """
    if isinstance(value, bytes):
        value = base64.b64encode(value).decode()
    if isinstance(template, str):
        if template == word:
            return value
        return template.replace(word, value) if isinstance(value, str) else template
    if isinstance(template, Mapping):
        return {key: filled(inner, word, value) for key, inner in template.items()}
    if isinstance(template, Sequence):
        return [filled(inner, word, value) for inner in template]
    return template
