"""Bare gRPC as a baseline of `bench oracle`: a server that does not inspect its messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc

SINK, ECHO, CALL = "/bare/Sink", "/bare/Echo", "/bare/Call"
"""Sink returns the length of a stream, Echo returns the stream, Call returns `ANSWER_BYTES`."""
ANSWER_BYTES = 32
PIECE_BYTES = 2**20
"""Bytes of a message in a stream, as in the streams of the OracleService."""


class Bare:
    """A client of the bare server.

    Args:
        address: host:port of the server.
    """

    def __init__(self, address: str) -> None:
        unlimited = ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)
        self._channel = grpc.insecure_channel(address, options=unlimited)
        self._sink: Any = self._channel.stream_unary(SINK)
        self._echo: Any = self._channel.stream_stream(ECHO)
        self._call: Any = self._channel.unary_unary(CALL)

    def sink(self, data: memoryview) -> int:
        """Send `data` in pieces; returns the number of bytes that the server received."""
        return int(self._sink(_pieces(data)))

    def echo(self, data: memoryview) -> int:
        """Send `data` in pieces; returns the number of bytes that the server sent back."""
        return sum(map(len, self._echo(_pieces(data))))

    def call(self, message: bytes) -> bytes:
        """The server's answer to one message."""
        answer: bytes = self._call(message)
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def _pieces(data: memoryview) -> Iterator[bytes]:
    for start in range(0, len(data), PIECE_BYTES):
        yield bytes(data[start : start + PIECE_BYTES])


async def sink(parts: AsyncIterator[bytes], context: object) -> bytes:
    """Serve Sink: the number of received bytes, as decimal digits."""
    del context
    length = 0
    async for part in parts:
        length += len(part)
    return str(length).encode()


async def echo(parts: AsyncIterator[bytes], context: object) -> AsyncIterator[bytes]:
    """Serve Echo: the received messages."""
    del context
    async for part in parts:
        yield part


async def call(message: bytes, context: object) -> bytes:
    """Serve Call: `ANSWER_BYTES` zero bytes."""
    del message, context
    return bytes(ANSWER_BYTES)


async def main() -> None:
    """Serve on a free port of this machine and print the address."""
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    methods = {
        "Sink": grpc.stream_unary_rpc_method_handler(sink),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
        "Call": grpc.unary_unary_rpc_method_handler(call),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)  # the parent process reads the address
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
