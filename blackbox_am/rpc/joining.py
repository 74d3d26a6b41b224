"""A tensor that is received as a header, then chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from blackbox_am.errors import InvalidInput
from blackbox_am.rpc import tensors
from blackbox_am.rpc.chunks import MAX_STREAM_BYTES, Joiner
from blackbox_am.v1.tensor_pb2 import Tensor

Header = TypeVar("Header")


class TensorJoiner(Generic[Header]):
    """Joins a tensor from the parts of a stream: a header, then chunks in order.

    Args:
        field: name of the tensor, for messages.
        announced: function that returns the dtype and shape in a header of the stream.
        check: called with dtype and shape before any chunk is accepted.
        limit: largest accepted number of bytes.

    Attributes:
        header: the stream's header; None before it is received.
    """

    def __init__(
        self,
        field: str,
        announced: Callable[[Header], Tensor],
        *,
        check: Callable[[Tensor], None] | None = None,
        limit: int = MAX_STREAM_BYTES,
    ) -> None:
        self.header: Header | None = None
        self._field = field
        self._announced = announced
        self._check = check
        self._limit = limit
        self._joiner: Joiner | None = None

    def add(self, part: Any) -> None:
        """Adds the next part: a message with a oneof `part`, either `header` or `chunk`.

        Raises:
            ShapeMismatch: for a header without a valid array.
            InvalidInput: for damaged chunks, too many bytes, or another order.
        """
        kind = part.WhichOneof("part")
        if kind == "chunk" and self._joiner is not None:
            self._joiner.add(part.chunk)
        elif kind == "header" and self._joiner is None:
            tensor = self._announced(part.header)
            total = tensors.size_of(tensor, field=self._field)
            if self._check is not None:
                self._check(tensor)
            self._joiner = Joiner(total, limit=self._limit)
            self.header = part.header
        else:
            raise InvalidInput(
                "expected a header first, then chunks; got " + self._unexpected(kind)
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in the header; empty before the header is received."""
        return () if self.header is None else tuple(self._announced(self.header).shape)

    def result(self) -> tuple[Header, NDArray[Any]]:
        """The header and the tensor, after all parts are received.

        Raises:
            InvalidInput: if a part is missing.
        """
        if self.header is None or self._joiner is None:
            raise InvalidInput("the stream held no header; send the header, then chunks")
        tensor, data = self._announced(self.header), self._joiner.result()
        return self.header, tensors.from_header(tensor, data, field=self._field)

    def _unexpected(self, kind: str | None) -> str:
        if self._joiner is None:
            return f"{kind or 'nothing'} before it"
        return "a second header" if kind == "header" else "a part without either"
