"""A model on a server of the Open Inference Protocol: MLServer, KServe, Triton."""

from blackbox_am.oracles.inference_protocol._oracle import InferenceProtocol

__all__ = ["InferenceProtocol"]
