"""The network as a runtime of MLServer, which loads this file in its own environment."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from network import answers


class Network(MLModel):
    """Answers with the outputs that are asked for, or all."""

    async def load(self) -> bool:
        """Nothing to load."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Both tensors travel in numpy's codec."""
        found = answers(self.decode(payload.inputs[0], default_codec=NumpyCodec))
        wanted = [output.name for output in payload.outputs or ()] or list(found)
        outputs = [NumpyCodec.encode_output(name, found[name]) for name in wanted]
        return InferenceResponse(model_name=self.name, outputs=outputs)
