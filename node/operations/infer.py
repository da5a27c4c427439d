"""`infer`: make the tensors, ask, and hand back the checked answer with its receipt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import trio

from wire.canonical import Amount
from wire.keys import peer_id_of
from wire.tier import rungs_of

from ..asking import ask
from ..attempt import Question
from ..auditing.delivery import deliver
from ..control import Emit
from ..errors import CommandError, Exit
from ..finding import find_model
from ..policyfile import load_policy
from ..zk.expecting import expect

if TYPE_CHECKING:
    from wire.tensors import Tensor

    from ..peer import Peer


async def infer(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Find, connect, execute, verify; NOT_PROVED when no provider's answer holds."""
    from ..inputs import make_tensors  # numpy: a node that only hosts does without

    started = trio.current_time()
    signed, manifest = await find_model(peer, params["model"], emit)
    given = {name: (how, data) for name, (how, data) in params["inputs"].items()}
    policy = load_policy(peer.local.directory, params["policy"])
    if not (good := policy.check_tier(params["tier"])).ok:
        raise CommandError(Exit.USAGE, good.detail, "Ask in another tier, or change your rules: hallmark policy show")
    question = Question(
        manifest=signed,
        specs=manifest,
        tensors=make_tensors(given, manifest.inputs),
        tier=params["tier"],
        committee=params["committee"],
        policy=policy,
        max_price=Amount(params["max_price"]),
        seconds=params["timeout"],
    )
    if "zk" in rungs_of(question.tier):
        await expect(peer, signed.model, manifest, policy, emit)
    answer = await ask(peer, question, emit)
    receipt = answer.file.receipt.receipt
    backend = receipt.runtime.backend
    store, encoded = peer.local.store, answer.encoded
    digest = receipt.digest(peer.network.domain)
    await store.in_thread(store.receipts.put, digest, encoded)
    peer.tally.called(signed.model)
    finding = {"find": (answer.found_at - started) * 1000}
    told = {
        "model": signed.cid,
        "interface": manifest.interface,
        "outputs": [show_tensor(t) for t in answer.outputs],
        "tier": receipt.tier,
        "proof": answer.proof,
        "signers": [peer_id_of(s) for s in answer.signers],
        "committee": answer.committee,
        "provider": peer_id_of(answer.provider),
        "backend": f"{backend.name} {backend.version} on {backend.device}",
        "compute_us": receipt.usage.compute_us,
        "tokens_in": receipt.usage.tokens_in,
        "tokens_out": receipt.usage.tokens_out,
        "price": int(receipt.price),
        "left": _left(peer, answer.provider),
        "timing": {stage: round(ms, 2) for stage, ms in (finding | answer.timing).items()},
        "receipt": encoded,
        "receipt_digest": digest.hex(),
    }
    return await deliver(peer, question.tensors, answer, told, emit)


def _left(peer: Peer, provider: bytes) -> int | None:
    """What is left in the channel with this provider; None where there is none."""
    payers = peer.spending.payers.values() if peer.spending else ()
    return next((payer.left for payer in payers if payer.book.provider == provider), None)


_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def show_tensor(tensor: Tensor) -> dict[str, Any]:
    """A tensor as the Open Inference Protocol's JSON has it: name, datatype, shape, data (flat, row-major)."""
    from wire.arrays import as_float, to_array

    array = as_float(tensor) if tensor.header.datatype == "BF16" else to_array(tensor)
    data: list[Any] = array.reshape(-1).tolist()
    if array.dtype.kind == "f":  # JSON has no NaN and no infinity: they are texts, as in protobuf's JSON
        data = [value if math.isfinite(value) else _NOT_FINITE.get(value, "NaN") for value in data]
    if tensor.header.datatype == "BYTES":
        data = [element.decode(errors="replace") for element in data]
    return {"name": tensor.name, "datatype": tensor.header.datatype, "shape": list(tensor.header.shape), "data": data}
