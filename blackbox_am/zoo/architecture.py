"""Descriptions of plain PyTorch nets, as they stand in JSON beside their weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from torch import nn

from blackbox_am.errors import InvalidSpec, did_you_mean


@dataclass(frozen=True)
class Architecture:
    """What must be known of a decoder before its weights fit.

    A subclass is a frozen dataclass of whole numbers, words and tuples of whole numbers; it
    checks what no number alone can get wrong.

    Attributes:
        latent: Length D of the latent.

    Raises:
        InvalidSpec: For a number below 1, or no whole number.
    """

    latent: int = 128

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (list, tuple)):
                object.__setattr__(self, field.name, tuple(value))
                for i, number in enumerate(value):
                    _check_whole(f"{field.name}[{i}]", number)
            elif not isinstance(field.default, str):
                _check_whole(field.name, value)

    @property
    @abstractmethod
    def stimulus_shape(self) -> tuple[int, ...]:
        """Shape of one picture or series, channels first."""

    @abstractmethod
    def build(self) -> nn.Module:
        """A net with fresh weights, from latents ``(B, D)`` to ``(B, *stimulus)``."""

    @classmethod
    def from_plain(cls, values: Any) -> Self:
        """The architecture that a JSON object describes.

        Raises:
            InvalidSpec: For no object, an unknown key, or a value no net can be built from.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping):
            raise InvalidSpec(
                f"architecture: expected an object with {', '.join(known)}, got {values!r}",
                field="architecture",
            )
        for key in values:
            if key not in known:
                raise InvalidSpec(
                    f"architecture: expected {', '.join(known)}, got {key!r}"
                    f"{did_you_mean(str(key), known)}",
                    field="architecture",
                )
        return cls(**values)

    def plain(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }


def check_widths(widths: object, example: str) -> None:
    """Refuses ``widths`` that are no tuple of two or more.

    Raises:
        InvalidSpec: Says what was expected, such as ``example``.
    """
    if not isinstance(widths, tuple) or len(widths) < 2:
        raise InvalidSpec(
            f"widths: expected the channels at each size, smallest size first, such as {example}, "
            f"got {widths!r}",
            field="widths",
        )


def _check_whole(name: str, number: object) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise InvalidSpec(f"{name}: expected a whole number above 0, got {number!r}", field=name)
