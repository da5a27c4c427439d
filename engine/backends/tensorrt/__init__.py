"""TensorRT 11, natively: an engine built on this machine from the ONNX graph, kept by the node, executed on the card.

It is written over the module object, so that `tensorrt` and `tensorrt_rtx` both serve. An engine is native code that
TensorRT writes and runs: it comes from the builder here, or from the node's own cache of what was built here, and from
nowhere else.
"""

from .runtime import TensorRT

__all__ = ["TensorRT"]
