"""The network on Triton, through pytriton: run in its own environment, with two ports."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from network import INPUT, MODELS, MOST_ROWS, OUTPUTS, SHAPE, answers
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

DTYPES = {"FP32": np.float32, "FP16": np.float16, "UINT8": np.uint8}


@batch
def infer(**inputs: Any) -> dict[str, Any]:
    """Return all outputs; Triton sends the requested ones."""
    return answers(inputs[INPUT])


if __name__ == "__main__":
    http_port, grpc_port = (int(argument) for argument in sys.argv[1:3])
    address = "127.0.0.1"
    config = TritonConfig(
        http_address=address,
        http_port=http_port,
        grpc_address=address,
        grpc_port=grpc_port,
        allow_metrics=False,
        exit_on_error=True,
    )
    with Triton(config=config) as triton:
        for name, datatype in MODELS.items():
            triton.bind(
                model_name=name,
                infer_func=infer,
                inputs=[Tensor(name=INPUT, dtype=DTYPES[datatype], shape=SHAPE)],
                outputs=[
                    Tensor(name=output, dtype=np.float32, shape=shape)
                    for output, shape in OUTPUTS.items()
                ],
                config=ModelConfig(max_batch_size=MOST_ROWS),
            )
        triton.serve()
