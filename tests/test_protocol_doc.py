"""docs/protocol.md says what the code does: every example in it is computed anew here, and every table is counted.

A fenced block ```hex NAME holds bytes or values, ```schema the records' fields. What stands in such a block and is not
computed here fails as well, so no example can outlive the code that made it.
"""

from __future__ import annotations

import re
import struct
from importlib import import_module
from itertools import accumulate
from pathlib import Path

import pytest
from coincurve import PrivateKey
from msgspec import inspect as types

from node.networkfile import parse_network
from tests.wire.records import MODULES, WIRE_RECORDS
from verify.committee import committee_for
from verify.report import verify_file
from verify.tiers import quorum
from wire import bounds
from wire.blob import AskManifest, outline_of
from wire.canonical import Amount, Record, encode
from wire.cid import RAW, content_hash, to_cid
from wire.eip712 import DOMAIN_FIELDS, StructType, keccak256
from wire.errors import ErrorCode, RemoteError
from wire.frames import Kind, error_frame, frame_header
from wire.inference import Backend, Receipt, Request, Runtime, Usage, sign_receipt, sign_request
from wire.keys import NodeKey, show_address
from wire.manifest import File, Manifest, sign_manifest
from wire.offer import Offer, sign_offer
from wire.presence import Presence, sign_presence
from wire.receiptfile import ReceiptFile
from wire.tensors import Tensor, TensorSpec, join_bytes, tensor_set
from wire.tier import TIER_CODE
from wire.vote import Ballot, Commit, Reveal, SignedCommit, SignedVote, Verdict, Vote, commitment

TEXT = (Path(__file__).parents[1] / "docs" / "protocol.md").read_text()
BLOCKS = re.findall(r"^```(\w+)(?: ([\w-]+))?\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
NOW = 1_800_000_000_000


def key(byte: int) -> NodeKey:
    return NodeKey(bytes([byte]) * 32)


PUBLISHER, PROVIDER, PAYER = key(1), key(2), key(3)
VERIFIERS = [key(n) for n in (0x11, 0x12, 0x13, 0x14, 0x15)]
NETWORK = parse_network(next(body for kind, _, body in BLOCKS if kind == "toml"))
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
        inputs=(TensorSpec(name="x", datatype="FP32", shape=("batch", 3)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=("batch", 2)),),
        task="",
        licence="MIT",
        royalty_bps=0,
        opset=21,
        profile="fp32",
        description="",
        previous=None,
        created_ms=NOW - 1000,
    )
    published = sign_manifest(manifest, PUBLISHER, DOMAIN)
    backend = Backend(name="onnxruntime", version="1.31.0", device="cpu", compute_capability="")
    signed_offer = sign_offer(
        Offer(
            peer=PROVIDER.public,
            addresses=(f"/ip4/192.0.2.1/tcp/4001/p2p/{PROVIDER.peer_id}",),
            model=published.model,
            tiers=("signed", "quorum"),
            price=Amount(1000),
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
            nonce=bytes([0x44]) * 32,
            model=published.model,
            tier="quorum",
            inputs=tensor_set([x]).hash(),
            payer=PAYER.address,
            provider=PROVIDER.address,
            max_price=Amount(1000),
            issued_ms=NOW,
            deadline_ms=NOW + 60_000,
        ),
        PAYER,
        DOMAIN,
    )
    asked, digest = request.request, request.request.digest(DOMAIN)
    runtime = Runtime(profile="fp32", backend=backend)
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
            price=Amount(1000),
            started_ms=NOW + 10,
            finished_ms=NOW + 20,
        ),
        PROVIDER,
        DOMAIN,
    )
    receipt_digest, outputs = receipt.receipt.digest(DOMAIN), receipt.receipt.outputs
    committee = committee_for(NETWORK, asked)
    members = [next(v for v in VERIFIERS if v.public == m.key) for m in committee.members]
    salt = bytes([0x55]) * 32
    vote = Vote(receipt=receipt_digest, committee=committee.root, epoch=committee.epoch, verdict=Verdict.ACCEPT)
    ballots = []
    for i, member in enumerate(members):
        if i == 2:  # it says nothing, so that the bitmap has a gap
            continue
        sealed = commitment(member.public, digest, outputs, salt)
        commit = Commit(request=digest, committee=committee.root, epoch=committee.epoch, commitment=sealed)
        ballots.append(
            Ballot(
                member=i,
                commit=SignedCommit(commit=commit, signature=schnorr(member, commit.digest(DOMAIN))),
                reveal=Reveal(outputs=outputs, salt=salt, distance=0),
                vote=SignedVote(vote=vote, signature=schnorr(member, vote.digest(DOMAIN))),
            )
        )
    votes = {b.member: b.vote for b in ballots if b.vote}
    certificate = quorum.certify(NETWORK, committee, receipt_digest, votes)
    assert certificate.quorum is not None
    file = ReceiptFile(
        format=1,
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
    ask = encode(AskManifest(model=published.model))
    error = RemoteError(ErrorCode.NOT_FOUND, "the model is not here")
    first = ballots[0].commit
    assert ballots[0].vote is not None
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
        "draw": drawn(digest, committee.root, [v.public for v in members]),
        "commit-and-votes": lines(
            ("commitment", first.commit.commitment), ("digest", first.commit.digest(DOMAIN)),
            ("signature", first.signature), ("digest of the vote", vote.digest(DOMAIN)),
            *((f"vote {i}", said.signature) for i, said in votes.items()),
        ),
        "certificate": lines(
            ("signers", certificate.quorum.signers), ("aggregate", certificate.quorum.aggregate),
            ("hash of the record", content_hash(encode(certificate))),
        ),
        "receipt-file": lines(("bytes", str(len(encode(file)))), ("hash", content_hash(encode(file)))),
    }  # fmt: skip


def drawn(digest: bytes, root: bytes, members: list[bytes]) -> str:
    """The draw of the document, step by step from its own words."""
    pool = sorted((v.key, v.weight) for v in NETWORK.verifiers)
    seed = keccak256(NETWORK.beacon + NETWORK.epoch.to_bytes(32, "big") + digest)
    found, steps = list[bytes](), list[tuple[str, bytes | str]]([("seed", seed)])
    for i in range(NETWORK.committee_size):
        sums = list(accumulate(weight for _, weight in pool))
        ticket = keccak256(seed + i.to_bytes(32, "big"))
        number = int.from_bytes(ticket, "big") % sums[-1]
        public, _ = pool.pop(next(n for n, total in enumerate(sums) if total > number))
        found.append(public)
        steps += [(f"ticket {i}", f"{ticket.hex()} modulo {sums[-1]} is {number}"), (f"drawn {i}", public)]
    assert sorted(found) == members
    return lines(*steps, ("root", root))


def digest_of(name: str, *values: bytes) -> bytes:
    return STRUCTS[name].digest(DOMAIN, *values)


def amount(number: int) -> bytes:
    class One(Record):
        amount: Amount

    return encode(One(amount=Amount(number))).removeprefix(b"\x81\xa6amount")


def lines(*named: tuple[str, bytes | str]) -> str:
    return "\n".join(f"{name}: {value if isinstance(value, str) else value.hex()}" for name, value in named)


STRUCTS: dict[str, StructType] = {
    struct.name: struct for module in MODULES for struct in vars(module).values() if isinstance(struct, StructType)
}
EXAMPLES = examples()
SHOWN = {name: body for kind, name, body in BLOCKS if kind == "hex"}


def test_no_example_is_missing_and_none_is_left_over() -> None:
    assert set(SHOWN) == set(EXAMPLES)
    assert len(SHOWN) == sum(kind == "hex" for kind, _, _ in BLOCKS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_what_the_code_gives(name: str) -> None:
    assert "".join(SHOWN.get(name, "").split()) == "".join(EXAMPLES[name].split()), f"it should say:\n{EXAMPLES[name]}"


# Shapes of fields that have a name of their own in the document.
NAMED: dict[tuple[int, int], str] = {
    (0, 2**8 - 1): "u8", (0, 2**32 - 1): "u32", (0, 2**63 - 1): "u63", (0, 2**53): "time", (0, 2**40): "dim",
}  # fmt: skip


# The patterns that keep text off a terminal's controls; every text of the document's `name` and `line` has one.
PRINTED = {bounds._ONE_LINE, bounds._LINES}


def shape(info: types.Type) -> str:
    """A field's type and bounds as the document writes them."""
    match info:
        case types.StructType(cls=cls):
            return cls.__name__
        case types.CustomType():
            return "amount"
        case types.UnionType(types=several):
            return " | ".join(map(shape, several))
        case types.VarTupleType(item_type=item):
            return f"[{shape(item)}]" + span(info.min_length, info.max_length)
        case types.LiteralType(values=values):
            return "tier" if set(values) == set(TIER_CODE) else "datatype" if "FP32" in values else "role"
        case types.EnumType(cls=cls):
            return cls.__name__.lower()
        case types.IntType(ge=low, le=high):
            return NAMED.get((int(low or 0), int(high or 0)), f"int({low}..{high})")
        case types.BytesType(min_length=low, max_length=high):
            return f"bytes{low}" if low is not None and low == high else "bytes" + span(low, high)
        case types.StrType(min_length=low, max_length=high, pattern=str(pattern)) if pattern in PRINTED:
            known = {(1, 64): "name", (1, 256): "longname", (0, 256): "line", (0, 4096): "paragraph"}
            return known[(low or 0, high or 0)]
        case types.StrType(pattern=str(pattern), max_length=high):
            return f"text /{pattern.strip('^').removesuffix(chr(92) + 'Z')}/" + (span(None, high) if high else "")
        case types.StrType(min_length=low, max_length=high):
            return "text" + span(low, high)
        case types.BoolType():
            return "bool"
        case types.NoneType():
            return "nil"
    raise NotImplementedError(f"the document has no word for {info}")


def span(low: int | None, high: int | None) -> str:
    return "" if high is None else f"({low or 0}..{high})"


def schema(kind: type[Record]) -> str:
    """A record's fields in their order, as a line of the document's schema blocks."""
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    tag = [f'type: "{info.tag}"'] if info.tag else []
    return f"{kind.__name__} {{ {', '.join(tag + [f'{f.name}: {shape(f.type)}' for f in info.fields])} }}"


def test_every_record_stands_in_the_schema_and_no_other() -> None:
    text = " ".join(" ".join(body.split()) for kind, _, body in BLOCKS if kind == "schema")
    shown = re.findall(r"\w+ \{.*?(?<!\d)\}(?= [A-Z]|$)", text)
    named = {line.split()[0]: line for line in shown}
    assert named == {kind.__name__: schema(kind) for kind in WIRE_RECORDS if kind.__name__ != "Domain"}


def test_every_struct_type_is_shown_as_it_is_hashed() -> None:
    domain = f"EIP712Domain({','.join(f'{kind} {name}' for kind, name in DOMAIN_FIELDS)})"
    assert set(re.findall(r"^[A-Z]\w+\([a-z].*\)$", TEXT, re.MULTILINE)) == {
        domain,
        *(s.text for s in STRUCTS.values()),
    }


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, its two top lines left out; backticks removed."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line.strip("|").replace("`", "").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in table[2:]]


def test_every_error_code_is_explained() -> None:
    assert [row[0] for row in rows("Error codes")] == [code.value for code in ErrorCode]
    assert all(len(row) == 3 and all(row) for row in rows("Error codes"))


def test_every_bound_is_the_codes() -> None:
    shown, found = dict[str, float](), dict[str, float]()
    for where, values, _ in rows("Bounds"):
        module, names = where.rsplit(".", 1)
        for name, value in zip(names.split(" · "), values.split(" · "), strict=True):
            shown[f"{module}.{name}"] = float(value.replace(",", ""))
            found[f"{module}.{name}"] = getattr(import_module(module), name)
    assert found == shown
    numbers = {f"wire.bounds.{n}" for n, v in vars(bounds).items() if n.isupper() and isinstance(v, int)}
    assert numbers - set(shown) == {"wire.bounds.KIB", "wire.bounds.MIB"}


def test_the_network_is_named_in_every_protocol() -> None:
    assert NETWORK.protocol("<name>") in TEXT.replace("<network>", NETWORK.name)


def test_the_page_on_attacks_names_only_tests_and_files_that_exist() -> None:
    root = Path(__file__).parents[1]
    text = (root / "docs" / "attacks.md").read_text()
    written = "".join(path.read_text() for path in (root / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", written))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named
    assert named - there == set()
    assert [path for path in re.findall(r"`(\w+/[\w/.]+)`", text) if not (root / path).exists()] == []
