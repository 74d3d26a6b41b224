"""Bare gRPC as a baseline for `bench oracle`: a server that looks at nothing of what it carries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc

SINK, ECHO, CALL = "/bare/Sink", "/bare/Echo", "/bare/Call"
"""A stream of bytes answered with its length, the same stream back, and one message answered
with `ANSWER_BYTES`."""
ANSWER_BYTES = 32


async def sink(parts: AsyncIterator[bytes], context: object) -> bytes:
    del context
    length = 0
    async for part in parts:
        length += len(part)
    return str(length).encode()


async def echo(parts: AsyncIterator[bytes], context: object) -> AsyncIterator[bytes]:
    del context
    async for part in parts:
        yield part


async def call(message: bytes, context: object) -> bytes:
    del message, context
    return bytes(ANSWER_BYTES)


async def main() -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    methods = {
        "Sink": grpc.stream_unary_rpc_method_handler(sink),
        "Echo": grpc.stream_stream_rpc_method_handler(echo),
        "Call": grpc.unary_unary_rpc_method_handler(call),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bare", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)  # whoever started this process waits for it
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
