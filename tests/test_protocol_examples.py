"""docs/protocol.md says what the code does: every example in it is computed anew here.

A fenced block ```hex NAME holds bytes or values. What stands in such a block and is not computed here fails as well, so
no example can outlive the code that made it.
"""

from __future__ import annotations

import struct
from itertools import accumulate

import pytest
from coincurve import PrivateKey

from p2p.rendezvous.place import cid_of, key_of
from tests.protocol import BLOCKS, NETWORK, STRUCTS
from verify.committee import committee_for
from verify.fraud import holds
from verify.openings import Outputs, place_of
from verify.report import verify_file
from verify.sampling import panel
from verify.tiers import quorum
from verify.tolerance import compare
from wire.attestation import Bound, Challenge, gpu_nonce
from wire.audit import UNSEEDED, seed_of, ticket
from wire.blob import AskManifest, outline_of
from wire.canonical import Amount, Record, encode
from wire.certificate import Certificate
from wire.cid import RAW, content_hash, to_cid
from wire.eip712 import keccak256
from wire.errors import ErrorCode, RemoteError
from wire.frames import Kind, error_frame, frame_header
from wire.fraud import TwoVotes, fraud_digest
from wire.inference import Backend, Receipt, Request, Runtime, Usage, sign_receipt, sign_request
from wire.keys import NodeKey, show_address
from wire.manifest import File, Manifest, sign_manifest
from wire.modelset import root_of
from wire.name import Named, NameRecord, name_key, sign_name
from wire.networkfile import sign_file
from wire.offer import Offer, Terms, sign_offer
from wire.presence import Presence, sign_presence
from wire.receiptfile import ReceiptFile
from wire.tensors import Tensor, TensorSpec, join_bytes, tensor_set
from wire.vote import Ballot, Commit, Reveal, SignedCommit, SignedVote, Verdict, Vote, commitment

NOW = 1_800_000_000_000


def key(byte: int) -> NodeKey:
    return NodeKey(bytes([byte]) * 32)


PUBLISHER, PROVIDER, PAYER = key(1), key(2), key(3)
VERIFIERS = [key(n) for n in (0x11, 0x12, 0x13, 0x14, 0x15)]
DOMAIN = NETWORK.domain


def schnorr(signer: NodeKey, digest: bytes) -> bytes:
    """BIP340 with 32 zero bytes of auxiliary randomness, so that the example is always the same."""
    return PrivateKey(signer.secret).sign_schnorr(digest, bytes(32))


def examples() -> dict[str, str]:
    """Every example of the document by its name: hexadecimal digits, or lines of `what value`."""
    usage = Usage(units=1, tokens_in=0, tokens_out=0, compute_us=900)
    chunk = b"hello, hallmark\n"
    outline = outline_of([chunk])
    x = Tensor.of("x", "FP32", (1, 3), struct.pack("<3f", 1, 2, 3))
    y = Tensor.of("y", "FP32", (1, 2), struct.pack("<2f", 0.25, 0.75))
    manifest = Manifest(
        name="example",
        version="1.0.0",
        publisher=PUBLISHER.address,
        files=(File(path="model.onnx", blob=outline.hash(), size=outline.size, media_type="application/onnx"),),
        interface="tensors",
        inputs=(TensorSpec(name="x", datatype="FP32", shape=("batch", 3)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=("batch", 2)),),
        task="",
        tags=(),
        licence="MIT",
        royalty_bps=0,
        opset=21,
        profile="fp32",
        description="",
        previous=None,
        created_ms=NOW - 1000,
    )
    published = sign_manifest(manifest, PUBLISHER, DOMAIN)
    named = sign_name(
        NameRecord(
            publisher=PUBLISHER.address,
            name="example",
            versions=(
                Named(version="1.0.0", model=published.model, withdrawn=None),
                Named(version="1.0.0-rc.1", model=bytes([0x66]) * 32, withdrawn="wrong weights"),
            ),
            sequence=NOW,
            issued_ms=NOW,
            expires_ms=NOW + 2_592_000_000,
        ),
        PUBLISHER,
        DOMAIN,
    )
    backend = Backend(name="onnxruntime", version="1.31.0", device="cpu", compute_capability="")
    signed_offer = sign_offer(
        Offer(
            peer=PROVIDER.public,
            addresses=(f"/ip4/192.0.2.1/tcp/4001/p2p/{PROVIDER.peer_id}",),
            model=published.model,
            tiers=(
                Terms(tier="signed", price=Amount(1000), added_us=0, added_bytes=0),
                Terms(tier="quorum", price=Amount(1500), added_us=20_000, added_bytes=1200),
            ),
            backend=backend,
            profile="fp32",
            compute_us=900,
            queue_depth=0,
            sequence=NOW,
            issued_ms=NOW,
            expires_ms=NOW + 180_000,
        ),
        PROVIDER,
        DOMAIN,
    )
    founding = sign_file(next(body for kind, _, body in BLOCKS if kind == "toml"), PUBLISHER, DOMAIN)
    signed_presence = sign_presence(
        Presence(
            peer=VERIFIERS[0].public,
            addresses=(),
            roles=("verifier",),
            release="hallmark/0.1.0",
            sequence=NOW,
            issued_ms=NOW,
            expires_ms=NOW + 300_000,
        ),
        VERIFIERS[0],
        DOMAIN,
    )
    request = sign_request(
        Request(
            nonce=bytes([0x46]) * 32,
            model=published.model,
            tier="quorum",
            committee=0,
            seed=UNSEEDED,
            inputs=tensor_set([x]).hash(),
            payer=PAYER.address,
            provider=PROVIDER.address,
            max_price=Amount(1500),
            issued_ms=NOW,
            deadline_ms=NOW + 60_000,
        ),
        PAYER,
        DOMAIN,
    )
    asked, digest = request.request, request.request.digest(DOMAIN)
    runtime = Runtime(profile="fp32", backend=backend, together=1)
    receipt = sign_receipt(
        Receipt(
            chain_id=DOMAIN.chain_id,
            request=digest,
            nonce=asked.nonce,
            payer=asked.payer,
            provider=asked.provider,
            model=asked.model,
            inputs=asked.inputs,
            outputs=tensor_set([y]).hash(),
            runtime=runtime,
            tier="quorum",
            usage=usage,
            price=Amount(1500),
            started_ms=NOW + 10,
            finished_ms=NOW + 20,
        ),
        PROVIDER,
        DOMAIN,
    )
    receipt_digest, outputs = receipt.receipt.digest(DOMAIN), receipt.receipt.outputs
    committee = committee_for(NETWORK, asked)
    members = [next(v for v in VERIFIERS if v.public == m.key) for m in committee.places]
    salt, nearly = bytes([0x55]) * 32, Tensor.of("y", "FP32", (1, 2), struct.pack("<2f", 0.25, 0.7500001))
    vote = Vote(receipt=receipt_digest, committee=committee.root, epoch=committee.epoch, verdict=Verdict.ACCEPT)
    ballots = []
    for i, member in enumerate(members):
        if i == 2:  # it says nothing, so that the bitmap has a gap, and a reserve is called
            continue
        own = [nearly] if i == 4 else [y]
        own_hash, root = tensor_set(own).hash(), Outputs(own).root
        opening = Outputs(own).opened(place_of(receipt_digest, member.public, 1)) if i == 4 else None
        sealed = commitment(member.public, digest, own_hash, root, salt)
        commit = Commit(request=digest, committee=committee.root, epoch=committee.epoch, commitment=sealed)
        ballots.append(
            Ballot(
                member=i,
                commit=SignedCommit(commit=commit, signature=schnorr(member, commit.digest(DOMAIN))),
                reveal=Reveal(
                    outputs=own_hash, root=root, salt=salt, distance=compare(own, [y], 1e-5).distance, opening=opening
                ),
                vote=SignedVote(vote=vote, signature=schnorr(member, vote.digest(DOMAIN))),
            )
        )
    votes = {b.member: b.vote for b in ballots if b.vote}
    evidence = quorum.certify(NETWORK, committee, receipt_digest, votes)
    certificate = Certificate(tier="quorum", receipt=receipt_digest, quorum=evidence)
    file = ReceiptFile(
        format=2,
        network=NETWORK.name,
        chain_id=NETWORK.chain_id,
        contract=NETWORK.contract,
        manifest=published,
        request=request,
        receipt=receipt,
        certificate=certificate,
        ballots=tuple(ballots),
        inputs=tensor_set([x]),
        headers=(y.header,),
        outputs=(bytes(y.data),),
    )
    assert verify_file(encode(file), NETWORK, [x]).valid
    secret = bytes([0x77]) * 32
    refusal = Vote(receipt=receipt_digest, committee=committee.root, epoch=committee.epoch, verdict=Verdict.REJECT)
    second = SignedVote(vote=refusal, signature=schnorr(members[0], refusal.digest(DOMAIN)))
    fraud = TwoVotes(verifier=members[0].public, first=votes[0], second=second)
    assert holds(fraud, NETWORK)
    ask = encode(AskManifest(model=published.model))
    error = RemoteError(ErrorCode.NOT_FOUND, "the model is not here")
    first = ballots[0].commit
    assert ballots[0].vote is not None
    assert ballots[-1].reveal is not None
    challenge = Challenge(asker=PAYER.address, provider=PROVIDER.address, nonce=b"\x88" * 32, issued_ms=NOW)
    asked_for = challenge.digest(DOMAIN)
    models = [published.model, b"\x01" * 32, b"\x02" * 32]
    attested = Bound(key=PROVIDER.public, runtime=b"\x99" * 32, models=root_of(models))
    return {
        "keys": lines(
            *(
                (f"{name} {what}", value)
                for name, k in (("publisher", PUBLISHER), ("provider", PROVIDER), ("payer", PAYER))
                for what, value in (
                    ("public", k.public), ("address", show_address(k.address)),
                    ("peer id", k.peer_id),
                )
            ),
        ),
        "encoding": lines(("usage", encode(usage)), *((f"amount {n}", amount(n)) for n in (0, 1000, 2**128 - 1))),
        "frames": lines(
            ("record", frame_header(Kind.RECORD, len(ask)) + ask),
            ("data", frame_header(Kind.DATA, len(chunk)) + chunk), ("error", error_frame(error)),
        ),
        "tensors": lines(
            ("header of x", encode(x.header)), ("data of x", bytes(x.data)), ("set of x", encode(tensor_set([x]))),
            ("hash of the set", tensor_set([x]).hash()), ("data of BYTES", join_bytes([b"a", b"", b"bc"])),
        ),
        "blob": lines(
            ("content", chunk), ("chunk", content_hash(chunk)), ("chunk CID", to_cid(content_hash(chunk), RAW)),
            ("outline", encode(outline)), ("blob", outline.hash()), ("blob CID", to_cid(outline.hash())),
        ),
        "domain": DOMAIN.separator().hex(),
        "manifest": lines(
            ("body", published.body), ("model", published.model), ("model CID", published.cid),
            ("digest", digest_of("Manifest", PUBLISHER.address, published.model)), ("signature", published.signature),
        ),
        "name": lines(
            ("record", named.body), ("digest", digest_of("Name", PUBLISHER.address, named.hash)),
            ("signature", named.signature), ("key in the DHT", name_key(PUBLISHER.address, "example")),
        ),
        "network-file": lines(
            ("hash", founding.hash), ("digest", digest_of("NetworkFile", PUBLISHER.address, founding.hash)),
            ("signature", founding.signature),
        ),
        "rendezvous": lines(("key", key_of(NETWORK)), ("CID", cid_of(key_of(NETWORK)))),
        "offer-and-presence": lines(
            ("offer", signed_offer.body), ("hash", content_hash(signed_offer.body)),
            ("digest", digest_of("Offer", PROVIDER.address, content_hash(signed_offer.body))),
            ("signature", signed_offer.signature),
            ("presence", signed_presence.body), ("hash", content_hash(signed_presence.body)),
            ("digest", digest_of("Presence", VERIFIERS[0].address, content_hash(signed_presence.body))),
            ("signature", signed_presence.signature),
        ),
        "request": lines(("record", encode(asked)), ("digest", digest), ("signature", request.signature)),
        "receipt": lines(
            ("record", encode(receipt.receipt)), ("runtime", content_hash(encode(runtime))),
            ("outputs", outputs), ("digest", receipt_digest), ("signature", receipt.signature),
        ),
        "sampled": lines(
            ("seed", seed_of(secret)), ("ticket", chance := ticket(secret, receipt_digest)),
            ("modulo 10,000", str(int.from_bytes(chance, "big") % 10_000)),
            *((f"auditor {i}", public) for i, public in enumerate(panel(NETWORK, asked, chance))),
        ),
        "fraud": lines(
            ("digest of its second vote", refusal.digest(DOMAIN)), ("digest of the fraud", fraud_digest(fraud, DOMAIN)),
        ),
        "attestation": lines(
            ("models", attested.models), ("challenge", asked_for),
            ("report_data", report := attested.report_data(asked_for)), ("nonce for a card", gpu_nonce(report)),
        ),
        "draw": drawn(digest, committee.root, [v.public for v in members]),
        "opening": lines(
            ("root of y", Outputs([y]).root), ("root of member 4's", Outputs([nearly]).root),
            ("its reveal", encode(ballots[-1].reveal)),
        ),
        "commit-and-votes": lines(
            ("commitment", first.commit.commitment), ("digest", first.commit.digest(DOMAIN)),
            ("signature", first.signature), ("digest of the vote", vote.digest(DOMAIN)),
            *((f"vote {i}", said.signature) for i, said in votes.items()),
        ),
        "certificate": lines(
            ("signers", evidence.signers), ("aggregate", evidence.aggregate),
            ("hash of the record", content_hash(encode(certificate))),
        ),
        "receipt-file": lines(("bytes", str(len(encode(file)))), ("hash", content_hash(encode(file)))),
    }  # fmt: skip


def drawn(digest: bytes, root: bytes, members: list[bytes]) -> str:
    """The draw of the document, step by step from its own words."""
    pool = sorted((v.key, v.weight) for v in NETWORK.verifiers)
    seed = keccak256(NETWORK.beacon + NETWORK.epoch.to_bytes(32, "big") + digest)
    found, steps = list[bytes](), list[tuple[str, bytes | str]]([("seed", seed)])
    for i in range(len(members)):
        sums = list(accumulate(weight for _, weight in pool))
        ticket = keccak256(seed + i.to_bytes(32, "big"))
        number = int.from_bytes(ticket, "big") % sums[-1]
        public, _ = pool.pop(next(n for n, total in enumerate(sums) if total > number))
        found.append(public)
        steps += [(f"ticket {i}", f"{ticket.hex()} modulo {sums[-1]} is {number}"), (f"drawn {i}", public)]
    assert [*sorted(found[: NETWORK.committee_size]), *found[NETWORK.committee_size :]] == members
    return lines(*steps, ("root", root))


def digest_of(name: str, *values: bytes) -> bytes:
    return STRUCTS[name].digest(DOMAIN, *values)


def amount(number: int) -> bytes:
    class One(Record):
        amount: Amount

    return encode(One(amount=Amount(number))).removeprefix(b"\x81\xa6amount")


def lines(*named: tuple[str, bytes | str]) -> str:
    return "\n".join(f"{name}: {value if isinstance(value, str) else value.hex()}" for name, value in named)


EXAMPLES = examples()
SHOWN = {name: body for kind, name, body in BLOCKS if kind == "hex"}


def test_no_example_is_missing_and_none_is_left_over() -> None:
    assert set(SHOWN) == set(EXAMPLES)
    assert len(SHOWN) == sum(kind == "hex" for kind, _, _ in BLOCKS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_what_the_code_gives(name: str) -> None:
    assert "".join(SHOWN.get(name, "").split()) == "".join(EXAMPLES[name].split()), f"it should say:\n{EXAMPLES[name]}"
