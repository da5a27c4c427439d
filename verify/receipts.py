"""Does this receipt answer this request? Every field of it, against the request, the model's manifest and the bytes.

Inputs and outputs are bound by hash, never by similarity; who signed is recovered, never believed. Each function gives
all its checks, so that a person sees every one; `checks.require` turns them into an error.
"""

from __future__ import annotations

from collections.abc import Sequence

from wire.audit import UNSEEDED
from wire.bounds import CLOCK_SKEW_MS, MAX_REQUEST_LIFE_MS
from wire.canonical import encode
from wire.cid import content_hash, to_cid
from wire.errors import RecordError
from wire.generation import INPUT_IDS, SCORES
from wire.inference import SignedReceipt, SignedRequest
from wire.manifest import Manifest
from wire.network import Network
from wire.tensors import Tensor, TensorHeader, TensorSet, TensorSpec, check_headers, tensor_set
from wire.tier import rungs_of

from .checks import Check, equal


def check_answer(
    network: Network,
    manifest: Manifest,
    request: SignedRequest,
    receipt: SignedReceipt,
    inputs: TensorSet,
    outputs: Sequence[Tensor],
) -> list[Check]:
    """All that a client checks before it believes an answer of any tier; the tier's evidence comes on top."""
    units = receipt.receipt.usage.units
    return [
        *check_inputs(manifest, request, inputs),
        *check_binding(network, manifest, request, receipt),
        equal("usage", units, rows(inputs), f"the receipt counts {units} rows, the inputs have {rows(inputs)}"),
        check_tokens(manifest, receipt, inputs, outputs),
        *check_outputs(manifest, receipt, outputs),
    ]


def check_tokens(manifest: Manifest, receipt: SignedReceipt, inputs: TensorSet, outputs: Sequence[Tensor]) -> Check:
    """Are the tokens that the receipt counts those drawn, and those of the prompt?

    A text's tokens can't be counted without the model's tokeniser, whose file is a stranger's: they are the provider's
    word, of a text model all of them.
    """
    said, wrong, right = receipt.receipt.usage, "", "as many as were given and drawn"
    if manifest.interface == "generate":
        drawn = sum(sum(t.header.shape) for t in outputs if t.name == "tokens")  # it has one dim
        given = sum(leaf.shape[-1] for leaf in inputs.leaves if leaf.name == INPUT_IDS.name and leaf.shape)
        scored = sum(sum(t.header.shape) for t in outputs if t.name == SCORES.name)
        if scored != drawn:
            wrong = f"there is not a score for each of the {drawn} tokens, but {scored}"
        elif said.tokens_out != drawn:
            wrong = f"the receipt counts {said.tokens_out} tokens drawn, the outputs have {drawn}"
        elif manifest.inputs[0] != INPUT_IDS:
            right = "as many as were drawn; those of the prompt are the provider's word"
        elif said.tokens_in != given:
            wrong = f"the receipt counts {said.tokens_in} tokens of the prompt, the inputs have {given}"
    elif said.tokens_out:
        wrong = "tokens are drawn, and the model is no generator"
    elif manifest.interface == "text":
        right = "those of the texts are the provider's word"
    elif said.tokens_in:
        wrong = "tokens are counted, and the model reads no text"
    return Check("tokens", not wrong, wrong or right)


def rows(inputs: TensorSet) -> int:
    """The units a request is charged for: the leading dimension of the first input, 1 where that has none."""
    return inputs.leaves[0].shape[0] if inputs.leaves and inputs.leaves[0].shape else 1


def check_inputs(manifest: Manifest, request: SignedRequest, inputs: TensorSet) -> list[Check]:
    """Are these the tensors that the payer asked about, and does the model take them?"""
    headers = [
        TensorHeader(name=leaf.name, shape=leaf.shape, datatype=leaf.datatype, binary_data_size=leaf.size)
        for leaf in inputs.leaves
    ]
    wrong = "these are not the inputs that the request was signed for"
    return [
        equal("inputs hash", inputs.hash(), request.request.inputs, wrong),
        _shapes("input shapes", headers, manifest.inputs),
    ]


def check_binding(network: Network, manifest: Manifest, request: SignedRequest, receipt: SignedReceipt) -> list[Check]:
    """Both signatures, and every field of the receipt that the request or the manifest decides."""
    asked, said, domain = request.request, receipt.receipt, network.domain
    model = content_hash(encode(manifest))
    fair = said.price <= asked.max_price
    price = f"{said.price} is more than the {asked.max_price} that the payer allowed"
    profile = f"executed under profile {said.runtime.profile}, the model asks for {manifest.profile}"
    return [
        *check_signatures(network, request, receipt),
        check_asked(request),
        equal("chain", said.chain_id, domain.chain_id, f"the receipt is of chain {said.chain_id}"),
        equal("request", said.request, asked.digest(domain), "the receipt answers another request"),
        equal("nonce", said.nonce, asked.nonce, "the receipt repeats another nonce"),
        equal("payer", said.payer, asked.payer, "the receipt names another payer"),
        equal("provider", said.provider, asked.provider, "the receipt is of another provider than was asked"),
        equal("model", said.model, asked.model, f"the receipt is of model {to_cid(said.model)}"),
        equal("manifest", model, asked.model, f"this is the manifest of {to_cid(model)}"),
        equal("inputs", said.inputs, asked.inputs, "the receipt is over other inputs"),
        equal("tier", said.tier, asked.tier, f"the receipt is of tier {said.tier}, {asked.tier} was asked for"),
        equal("runtime", said.runtime.profile, manifest.profile, profile),
        Check("price", fair, "within the payer's limit" if fair else price),
        check_times(request, receipt),
    ]


def check_signatures(network: Network, request: SignedRequest, receipt: SignedReceipt) -> list[Check]:
    """Who asked and who answered, each by their own signature for this network."""
    asked, said = request.is_signed(network.domain), receipt.is_signed(network.domain)
    return [
        Check("request signature", asked, "the payer's" if asked else "not the payer's, or not for this network"),
        Check("receipt signature", said, "the provider's" if said else "not the provider's, or not for this network"),
    ]


def check_asked(request: SignedRequest) -> Check:
    """Does the request ask for what its tier has, and for nothing else?"""
    asked, wrong = request.request, ""
    rungs = rungs_of(asked.tier)
    if asked.committee and "quorum" not in rungs:
        wrong = f"it asks for a committee, which tier {asked.tier} has not"
    elif (asked.seed == UNSEEDED) == ("sampled" in rungs):
        wrong = f"its seed does not fit tier {asked.tier}"
    return Check("asked", not wrong, wrong or f"as tier {asked.tier} is asked for")


def check_times(request: SignedRequest, receipt: SignedReceipt) -> Check:
    """Asked, begun, finished, due, in this order; two clocks may differ by the skew that the network allows."""
    asked, said = request.request, receipt.receipt
    wrong = ""
    if not asked.issued_ms < asked.deadline_ms <= asked.issued_ms + MAX_REQUEST_LIFE_MS:
        wrong = "the request's deadline is before its issue, or too long after it"
    elif said.started_ms > said.finished_ms:
        wrong = "finished before it started"
    elif said.started_ms < asked.issued_ms - CLOCK_SKEW_MS:
        wrong = "started before it was asked for"
    elif said.finished_ms > asked.deadline_ms + CLOCK_SKEW_MS:
        wrong = "finished after the request's deadline"
    return Check("times", not wrong, wrong or "asked, started, finished and due in this order")


def check_outputs(manifest: Manifest, receipt: SignedReceipt, outputs: Sequence[Tensor]) -> tuple[Check, Check]:
    """Are these the model's outputs in shape, and (the second check) to the last byte those that the receipt binds?"""
    try:
        for tensor in outputs:
            tensor.check()
    except RecordError as error:
        return Check("output shapes", False, str(error)), Check("output bytes", False, str(error))
    shapes = _shapes("output shapes", [t.header for t in outputs], manifest.outputs)
    same = tensor_set(outputs).hash() == receipt.receipt.outputs
    # One hash covers all tensors, so with several of them it can't tell which one was changed.
    names = " or ".join(t.name for t in outputs) or "nothing"
    wrong = f"the bytes of {names} are not those that the provider signed"
    return shapes, Check("output bytes", same, "as the provider signed them" if same else wrong)


def _shapes(name: str, headers: Sequence[TensorHeader], specs: Sequence[TensorSpec]) -> Check:
    try:
        check_headers(headers, specs, name.split()[0] + "s")
    except RecordError as error:
        return Check(name, False, str(error))
    return Check(name, True, "as the model's manifest says")
