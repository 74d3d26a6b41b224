"""The network on KServe's ModelServer: run in its own environment, with two ports."""

from __future__ import annotations

import sys
from typing import Any

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from network import INPUT, MODELS, OUTPUTS, SHAPE, answers


class Network(Model):
    """Describes its inputs and outputs, because KServe does not derive them."""

    def __init__(self, name: str, datatype: str) -> None:
        super().__init__(name)
        self._datatype = datatype
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": INPUT, "datatype": self._datatype, "shape": [-1, *SHAPE]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        return [
            {"name": name, "datatype": "FP32", "shape": [-1, *shape]}
            for name, shape in OUTPUTS.items()
        ]

    def predict(self, payload: InferRequest, *_: object, **__: object) -> InferResponse:
        found = answers(payload.inputs[0].as_numpy())
        outputs = []
        for name, array in found.items():
            output = InferOutput(name, list(array.shape), "FP32")
            output.set_data_from_numpy(array, binary_data=True)
            outputs.append(output)
        return InferResponse(payload.id or "", self.name, outputs)


if __name__ == "__main__":
    http_port, grpc_port = (int(argument) for argument in sys.argv[1:3])
    server = ModelServer(http_port=http_port, grpc_port=grpc_port, workers=1)
    server.start([Network(name, datatype) for name, datatype in MODELS.items()])
