"""Measures a server's own client; the program runs in the server's environment.

For each line on standard input, the program makes the same requests and writes rows a second on
standard output. KServe has its own client; MLServer recommends and installs Triton's client.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from network import INPUT, SHAPE, answers

OUTPUT = "scores"
Ask = Callable[[], Awaitable[Any]]


def of_triton(protocol: str, address: str, model: str, images: Any, *, binary: bool) -> Ask:
    """One request with tritonclient, as its examples make it."""
    if protocol == "grpc":
        from tritonclient import grpc as package
    else:
        from tritonclient import http as package
    client = package.InferenceServerClient(address)
    how = {"binary_data": binary} if protocol == "http" else {}

    async def ask() -> Any:
        tensor = package.InferInput(INPUT, list(images.shape), "FP32")
        tensor.set_data_from_numpy(images, **how)
        outputs = [package.InferRequestedOutput(OUTPUT, **how)]
        return client.infer(model, [tensor], outputs=outputs).as_numpy(OUTPUT)

    return ask


def of_kserve(protocol: str, address: str, model: str, images: Any) -> Ask:
    """One request with KServe's clients, which are asynchronous."""
    from kserve import (
        InferenceGRPCClient,
        InferenceRESTClient,
        InferInput,
        InferRequest,
        RESTConfig,
    )
    from kserve.protocol.infer_type import RequestedOutput

    client = (
        InferenceGRPCClient(address)
        if protocol == "grpc"
        else InferenceRESTClient(RESTConfig(protocol="v2"))
    )

    async def ask() -> Any:
        tensor = InferInput(INPUT, list(images.shape), "FP32")
        tensor.set_data_from_numpy(images, binary_data=True)
        request = InferRequest(
            model_name=model, infer_inputs=[tensor], request_outputs=[RequestedOutput(OUTPUT)]
        )
        if protocol == "grpc":
            answer = await client.infer(request)
        else:
            request.parameters = {"binary_data_output": True}
            answer = await client.infer(f"http://{address}", request, model_name=model)
        found = next(output for output in answer.outputs if output.name == OUTPUT)
        return found.as_numpy()

    return ask


async def main(
    kind: str, protocol: str, address: str, model: str, rows: int, requests: int
) -> None:
    """Measure once for each line of standard input."""
    images = np.random.default_rng(1).random((rows, *SHAPE), np.float32)
    ask = (
        of_kserve(protocol, address, model, images)
        if kind == "kserve"
        else of_triton(protocol, address, model, images, binary=kind == "triton")
    )
    np.testing.assert_allclose(await ask(), answers(images)[OUTPUT], rtol=1e-4, atol=1e-4)
    for _ in sys.stdin:
        started = time.perf_counter()
        for _ in range(requests):
            await ask()
        took = time.perf_counter() - started
        sys.stdout.write(f"{rows * requests / took}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    kind, protocol, address, model = sys.argv[1:5]
    asyncio.run(main(kind, protocol, address, model, int(sys.argv[5]), int(sys.argv[6])))
