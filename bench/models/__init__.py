"""Models that the measurements need and no package holds as ONNX: made here, from packages that install by name."""
