"""The model that a probe executes: one addition, whose result is known before a runtime says it."""

# y = x + x over FP32 [3], IR version 10, opset 21, as onnx.helper builds it (the node itself does without onnx)
DOUBLE = bytes.fromhex(
    "080a3a3a0a0e0a01780a017812017922034164641206646f75626c655a0f0a017812"
    "0a0a08080112040a020803620f0a0179120a0a08080112040a02080342040a001015"
)
