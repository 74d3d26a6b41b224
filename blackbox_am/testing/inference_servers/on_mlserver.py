"""The network as a runtime of MLServer, which loads this file in its own environment."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from network import answers


class Network(MLModel):
    """Returns the requested outputs, or all outputs."""

    async def load(self) -> bool:
        """Do nothing: the network has no weights file."""
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Decode the input and encode the outputs with numpy's codec."""
        found = answers(self.decode(payload.inputs[0], default_codec=NumpyCodec))
        wanted = [output.name for output in payload.outputs or ()] or list(found)
        outputs = [NumpyCodec.encode_output(name, found[name]) for name in wanted]
        return InferenceResponse(model_name=self.name, outputs=outputs)
