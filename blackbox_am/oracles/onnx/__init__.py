"""An ONNX model, run by ONNX Runtime, with every tensor of its graph readable."""

from blackbox_am.oracles.onnx._oracle import Onnx

__all__ = ["Onnx"]
