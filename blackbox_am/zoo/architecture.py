"""Descriptions of plain PyTorch nets, stored as JSON beside the weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from torch import nn

from blackbox_am.errors import InvalidSpec, did_you_mean


@dataclass(frozen=True)
class Architecture:
    """The parameters from which a decoder is built before its weights are loaded.

    A subclass is a frozen dataclass of integers, strings and tuples of integers. The subclass
    checks conditions on combinations of values.

    Attributes:
        latent: Length D of the latent.

    Raises:
        InvalidSpec: A number is below 1 or not an integer.
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
        """A net with random weights, from latents ``(B, D)`` to ``(B, *stimulus)``."""

    @classmethod
    def from_plain(cls, values: Any) -> Self:
        """The architecture that a JSON object describes.

        Raises:
            InvalidSpec: The value is not an object, has an unknown key, or describes no net.
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
    """Check that ``widths`` is a tuple of at least two entries.

    Raises:
        InvalidSpec: The check failed; the message contains ``example``.
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
