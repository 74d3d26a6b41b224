"""A model behind a server that speaks the Open Inference Protocol: MLServer, KServe, Triton."""

from blackbox_am.oracles.inference_protocol._oracle import InferenceProtocol

__all__ = ["InferenceProtocol"]
