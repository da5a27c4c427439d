"""How a model is served: its graph as it is, behind a tokeniser, or as a generator; and its signature then."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from wire.generation import PROMPT, TEXT, TOKENS, Interface, forcing_signature, generator_signature
from wire.tensors import TensorHeader

from .errors import ModelRefused
from .generation.layout import layout_of, looks_like_decoder
from .messages import Signature

# What the worker may need beside a graph and its weights; each by its own name, wherever in the model it lies.
TOKENISER = "tokenizer.json"
SIDE_FILES = (TOKENISER, "generation_config.json", "config.json", "tokenizer_config.json")
_READS = {"input_ids", "attention_mask", "token_type_ids"}


def interface_of(graph: Signature, paths: Collection[str]) -> Interface:
    """How a graph with this signature and these files beside it is best served."""
    if looks_like_decoder(graph):
        return "generate"
    return "text" if TOKENISER in paths and _reads_tokens(graph) else "tensors"


def served(graph: Signature, interface: Interface, paths: Collection[str]) -> Signature:
    """The signature under which a model is asked; ModelRefused when the graph cannot be served in this way."""
    if interface == "tensors":
        return graph
    has_text = TOKENISER in paths
    if interface == "generate":
        layout_of(graph)
        inputs, outputs = generator_signature(has_text=has_text)
        return Signature(inputs=inputs, outputs=outputs, opset=graph.opset, interface=interface)
    if not has_text or not _reads_tokens(graph):
        raise ModelRefused(
            f"a text model has {TOKENISER} beside it, and a graph that takes input_ids, and attention_mask and "
            "token_type_ids if it likes, as INT64 [batch, sequence]; add the file, or serve its tensors"
        )
    return Signature(inputs=(TEXT,), outputs=graph.outputs, opset=graph.opset, interface=interface)


def asked(signature: Signature, inputs: Sequence[TensorHeader]) -> Signature:
    """The signature that a request with these inputs is held against: a generator given tokens checks an answer."""
    if signature.interface != "generate" or not inputs or inputs[-1].name != TOKENS.name:
        return signature
    takes, gives = forcing_signature(has_text=signature.inputs[0] == PROMPT)
    return replace(signature, inputs=takes, outputs=gives)


def _reads_tokens(graph: Signature) -> bool:
    names = {spec.name for spec in graph.inputs}
    plain = all(spec.datatype == "INT64" and [type(d) for d in spec.shape] == [str, str] for spec in graph.inputs)
    return plain and "input_ids" in names and names <= _READS
