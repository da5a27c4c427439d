"""The `onnx` package's own cases, each asked of a peer: what ONNX Runtime passes must pass here too."""
