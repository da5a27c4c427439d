"""What an epoch of 10,000 receipts takes at a settler.    python -m bench.epochs [--receipts N] [--checked N]

Receipts are certified by four verifiers each, of twenty providers, sixteen verifiers and four hubs. Checking one is
measured over fewer, each a file of its own that is decoded first, on one core; all else over all of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.figures import show
from settle.epoch import EpochMachine, Proposal, Settlers, Timetable
from settle.ledger import EpochFacts
from settle.lines import Claimed, Shares
from settle.tree import Tree, leaf_of, root_from
from storage import Store, open_store
from storage.settling import Held
from verify.committee import committee_for
from verify.settling import payable, slim
from verify.tiers import quorum
from wire.audit import UNSEEDED
from wire.canonical import Amount, decode, encode
from wire.certificate import Certificate
from wire.eip712 import keccak256
from wire.inference import Backend, Receipt, Request, Runtime, Usage, sign_receipt, sign_request
from wire.keys import NodeKey
from wire.manifest import File, Manifest, SignedManifest, sign_manifest
from wire.network import Network, Verifier
from wire.receiptfile import ReceiptFile
from wire.settlement import Agreed, Payable, SignedRoot
from wire.tensors import TensorLeaf, TensorSet, TensorSpec
from wire.vote import Verdict, Vote, sign_vote

VERIFIERS, PROVIDERS, HUBS = 16, 20, 4
PRICE = 10**16
NOW = 1_800_000_000_000
SHARES = Shares(publisher_max=2_000, verifiers=1_000, hubs=300, treasury=500, unreceipted=5_000)
T = TypeVar("T")


def key(name: str, i: int = 0) -> NodeKey:
    """The same in every run."""
    return NodeKey(keccak256(f"{name} {i}".encode()))


@dataclass
class Town:
    """A network with a model on it."""

    network: Network
    model: SignedManifest
    inputs: TensorSet


def town() -> Town:
    """Sixteen verifiers, four to a committee."""
    network = Network(
        name="bench", chain_id=31337, contract=b"\x11" * 20, epoch=0, beacon=bytes(32), committee_size=4,
        quorum_numerator=2, quorum_denominator=3,
        verifiers=tuple(Verifier(key=key("verifier", i).public, weight=1) for i in range(VERIFIERS)),
    )  # fmt: skip
    spec = TensorSpec(name="x", datatype="FP32", shape=("n", 4))
    manifest = Manifest(
        name="bench", version="1.0.0", publisher=key("publisher").address,
        files=(File(path="model.onnx", blob=bytes(32), size=1, media_type="application/onnx"),), interface="tensors",
        inputs=(spec,), outputs=(spec,), task="", tags=(), licence="MIT", royalty_bps=500, opset=21, profile="fp32",
        description="", previous=None, created_ms=1,
    )  # fmt: skip
    leaf = TensorLeaf(name="x", shape=(1, 4), datatype="FP32", size=16, content=bytes(32))
    signed = sign_manifest(manifest, key("publisher"), network.domain)
    return Town(network, signed, TensorSet(leaves=(leaf,)))


def answer(place: Town, i: int) -> bytes:
    """A receipt file as it is handed to settlers, certified by all four members."""
    network, payer, provider = place.network, key("payer"), key("provider", i % PROVIDERS)
    domain = network.domain
    asked = Request(
        nonce=keccak256(i.to_bytes(8, "big")), model=place.model.model, tier="quorum", committee=0, seed=UNSEEDED,
        inputs=place.inputs.hash(), payer=payer.address, provider=provider.address, max_price=Amount(PRICE),
        issued_ms=NOW, deadline_ms=NOW + 60_000,
    )  # fmt: skip
    request = sign_request(asked, payer, domain)
    backend = Backend(name="onnxruntime", version="1", device="cpu", compute_capability="")
    said = Receipt(
        chain_id=domain.chain_id, request=asked.digest(domain), nonce=asked.nonce, payer=asked.payer,
        provider=asked.provider, model=asked.model, inputs=asked.inputs, outputs=bytes(32),
        runtime=Runtime(profile="fp32", backend=backend, together=1), tier="quorum",
        usage=Usage(units=1, tokens_in=0, tokens_out=0, compute_us=1), price=Amount(PRICE), started_ms=NOW + 1,
        finished_ms=NOW + 2 + i,
    )  # fmt: skip
    digest, committee = said.digest(domain), committee_for(network, asked)
    keys = {v.public: v for v in (key("verifier", n) for n in range(VERIFIERS))}
    vote = Vote(receipt=digest, committee=committee.root, epoch=committee.epoch, verdict=Verdict.ACCEPT)
    votes = {n: sign_vote(vote, keys[place_.key], domain) for n, place_ in enumerate(committee.members)}
    evidence = quorum.certify(network, committee, digest, votes)
    file = ReceiptFile(
        format=2, network=network.name, chain_id=network.chain_id, contract=network.contract, manifest=place.model,
        request=request, receipt=sign_receipt(said, provider, domain),
        certificate=Certificate(tier="quorum", receipt=digest, quorum=evidence), ballots=(), inputs=place.inputs,
        headers=(), outputs=(),
    )  # fmt: skip
    return encode(slim(file))


def payables(count: int) -> list[Payable]:
    """What is kept of so many, without their signatures."""
    verifiers = [key("verifier", i).address for i in range(VERIFIERS)]
    return [
        Payable(
            receipt=keccak256(b"receipt" + i.to_bytes(8, "big")),
            provider=key("provider", i % PROVIDERS).address,
            payer=key("payer").address,
            publisher=key("publisher", i % 7).address,
            royalty_bps=500,
            price=Amount(PRICE),
            finished_ms=NOW + i,
            payees=tuple(sorted(verifiers[(i + n * 5) % VERIFIERS] for n in range(4))),
        )
        for i in range(count)
    ]


def facts(count: int) -> EpochFacts:
    """An epoch whose revenue pays all of them, and a little more."""
    settlers = Settlers({key("verifier", i).address: 10**20 for i in range(VERIFIERS)})
    return EpochFacts(
        epoch=1, named=2, beacon=keccak256(b"beacon"), pot=0, shares=SHARES,
        revenue={key("provider", i).address: -(-count // PROVIDERS) * PRICE + 10**15 for i in range(PROVIDERS)},
        settlers=settlers, sharers=settlers.order, hubs={key("hub", i).address: 10**20 for i in range(HUBS)},
        times=Timetable(cut=0, begins=0, length=60),
    )  # fmt: skip


def taken(work: Callable[[], T]) -> tuple[T, float]:
    """What it gives, and the seconds it took."""
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def checks(count: int) -> dict[str, Any]:
    """Receipt files decoded and checked whole."""
    place = town()
    files = [answer(place, i) for i in range(count)]
    found, seconds = taken(lambda: [payable(decode(data, ReceiptFile), place.network) for data in files])
    if {len(one.payees) for one in found} != {4}:
        raise SystemExit("not every receipt has its four payees")
    return {
        "step": f"check {count} receipts, one core", "seconds": round(seconds, 2),
        "per_second": round(count / seconds), "bytes": sum(map(len, files)) // count,
    }  # fmt: skip


def epoch(count: int, store: Store) -> list[dict[str, Any]]:
    """From what was kept to a signed root, and to the lines that one account claims."""
    found, given = payables(count), facts(count)
    rows: list[dict[str, Any]] = []

    def note(step: str, seconds: float) -> None:
        rows.append({"step": step, "seconds": round(seconds, 2), "per_second": round(count / seconds)})

    def keep() -> None:
        for at in range(0, count, 256):
            store.settling.put([(Held(payable=one, since_s=1), bytes(1400)) for one in found[at : at + 256]])

    note("write them to disk, 256 at a time", taken(keep)[1])
    held, seconds = taken(store.settling.held)
    note("read who is paid for them, as at a start", seconds)

    def build() -> tuple[Proposal, Tree, Any]:
        claims = {
            one.payable.version: Claimed(
                receipt=one.payable.receipt, provider=one.payable.provider, price=int(one.payable.price),
                finished_ms=one.payable.finished_ms, publisher=one.payable.publisher,
                royalty_bps=one.payable.royalty_bps, verifiers=one.payable.payees,
            )
            for one in held
        }  # fmt: skip
        settled = given.settle(claims)
        tree = Tree.of(settled.lines)
        return Proposal(given.root_of(settled, tree.root), tuple(sorted(claims))), tree, settled

    (proposal, tree, settled), seconds = taken(build)
    if len(settled.paid) != count:
        raise SystemExit("not every receipt found its revenue")
    note(f"build the root of {len(settled.lines)} lines", seconds)

    def agree() -> None:
        """One settler's part: it found the same root, agrees, and signs; each word is on disk before."""
        own = key("verifier")
        machine = EpochMachine(1, own, town().network.domain, Settlers({own.address: 1}), given.times)
        said = machine.judge(0, proposal, proposal, set(proposal.versions), 0)
        assert said.word is not None
        store.settling.say(said.word, said.versions)
        machine.propose(0, proposal)
        assert isinstance(said.reply, Agreed)
        machine.hear_agreed(said.reply)
        certificate = machine.certificate()
        assert certificate is not None
        signed = machine.certify(certificate)
        assert signed.word is not None
        assert isinstance(signed.reply, SignedRoot)
        store.settling.say(signed.word, signed.versions)

    note("agree and sign, both on disk first", taken(agree)[1])
    note("keep its lines on disk", taken(lambda: store.settling.keep_lines(proposal.root, list(settled.lines)))[1])
    account = key("provider").address

    def prove() -> None:
        own = [line for line in settled.lines if line.account == account]
        for line in (own[0], own[-1]):
            if root_from(leaf_of(line), tree.proof(line.index)) != proposal.root.root:
                raise SystemExit("a path does not lead to the root")

    note("find and prove one account's lines", taken(prove)[1])
    return rows


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--receipts", type=int, default=10_000)
    parser.add_argument("--checked", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, open_store(Path(place) / "store") as store:
        rows = [checks(given.checked), *epoch(given.receipts, store)]
    show(f"An epoch of {given.receipts} receipts at a settler", rows, given.json)


if __name__ == "__main__":
    main()
