"""Manifests, names, offers and presences: signed by one, for one network, within their bounds and their time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wire.bounds import CLOCK_SKEW_MS, MAX_NAME_LIFE_MS, MAX_OFFER_LIFE_MS
from wire.canonical import Amount, encode
from wire.eip712 import Domain
from wire.errors import RecordError
from wire.generation import TEXT, generator_signature
from wire.inference import Backend
from wire.keys import NodeKey
from wire.manifest import File, Manifest, SignedManifest, read_manifest, sign_manifest
from wire.name import Named, NameRecord, SignedName, read_name, sign_name
from wire.offer import Offer, SignedOffer, Terms, offer_is_current, read_offer, sign_offer
from wire.presence import Presence, SignedPresence, read_presence, sign_presence
from wire.tensors import TensorSpec

HOME = Domain(chain_id=1, contract=b"\1" * 20)
ALICE, BOB = NodeKey(b"\1" * 32), NodeKey(b"\2" * 32)
NOW = 1_000_000_000_000


def a_file(path: str = "model.onnx") -> File:
    return File(path=path, blob=bytes(32), size=1, media_type="application/onnx")


def a_spec(name: str) -> TensorSpec:
    return TensorSpec(name=name, datatype="FP32", shape=("batch", 4))


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "name": "digits", "version": "1.0.0", "publisher": ALICE.address, "files": (a_file(),),
        "interface": "tensors", "inputs": (a_spec("x"),), "outputs": (a_spec("y"),), "task": "", "tags": (),
        "licence": "MIT", "royalty_bps": 0, "opset": 17, "profile": "ort-cpu", "description": "",
        "previous": None, "created_ms": 1,
    }  # fmt: skip
    return Manifest(**fields | changes)


def offer(**changes: Any) -> Offer:
    fields: dict[str, Any] = {
        "peer": ALICE.public, "addresses": (), "model": bytes(32),
        "tiers": (Terms(tier="signed", price=Amount(1), added_us=0, added_bytes=0),),
        "backend": Backend(name="onnxruntime", version="1", device="cpu", compute_capability=""),
        "profile": "ort-cpu", "compute_us": 1, "queue_depth": 0, "sequence": 1, "issued_ms": NOW,
        "expires_ms": NOW + MAX_OFFER_LIFE_MS,
    }  # fmt: skip
    return Offer(**fields | changes)


def presence(**changes: Any) -> Presence:
    fields: dict[str, Any] = {
        "peer": ALICE.public, "addresses": (), "roles": ("hub",), "release": "", "sequence": 1, "issued_ms": NOW,
        "expires_ms": NOW + MAX_OFFER_LIFE_MS,
    }  # fmt: skip
    return Presence(**fields | changes)


def name(**changes: Any) -> NameRecord:
    fields: dict[str, Any] = {
        "publisher": ALICE.address, "name": "digits", "sequence": 1, "issued_ms": NOW,
        "versions": (Named(version="1.0.0", model=bytes(32), withdrawn=None),), "expires_ms": NOW + MAX_NAME_LIFE_MS,
    }  # fmt: skip
    return NameRecord(**fields | changes)


KINDS: list[tuple[Callable[..., Any], Any, Any, Any]] = [
    (manifest, sign_manifest, read_manifest, SignedManifest),
    (offer, sign_offer, read_offer, SignedOffer),
    (presence, sign_presence, read_presence, SignedPresence),
    (name, sign_name, read_name, SignedName),
]
NAMES = ["manifest", "offer", "presence", "name"]
each = pytest.mark.parametrize(("make", "sign", "read", "signed_kind"), KINDS, ids=NAMES)


@each
def test_its_author_is_believed_and_nobody_else(make: Any, sign: Any, read: Any, signed_kind: Any) -> None:
    record = make()
    signed = sign(record, ALICE, HOME)
    assert read(signed, HOME) == record
    with pytest.raises(ValueError, match="another"):
        sign(record, BOB, HOME)
    forged = [
        signed_kind(body=signed.body, signature=BOB.sign(bytes(32))),
        signed_kind(body=signed.body, signature=bytes(65)),
        signed_kind(body=signed.body, signature=b""),
        signed_kind(body=signed.body, signature=signed.signature[:64] + bytes((signed.signature[64] ^ 1,))),
        signed_kind(body=encode(make(**_another(record))), signature=signed.signature),
    ]
    for forgery in forged:
        with pytest.raises(RecordError, match="signature"):
            read(forgery, HOME)
    for broken in (b"", b"\x80", signed.body[:-1], signed.body + b"\0"):
        with pytest.raises(RecordError):
            read(signed_kind(body=broken, signature=signed.signature), HOME)


def _another(record: Any) -> dict[str, Any]:
    if isinstance(record, Manifest):
        return {"royalty_bps": 10_000}
    return {"sequence": 2}


@pytest.mark.parametrize(("make", "sign", "read"), [kind[:3] for kind in KINDS])
def test_it_is_for_one_network(make: Any, sign: Any, read: Any) -> None:
    signed = sign(make(), ALICE, HOME)
    for other in (Domain(chain_id=2, contract=HOME.contract), Domain(chain_id=1, contract=bytes(20))):
        with pytest.raises(RecordError, match="network"):
            read(signed, other)


@pytest.mark.parametrize(
    ("make", "sign", "read", "life"),
    [
        (offer, sign_offer, read_offer, MAX_OFFER_LIFE_MS),
        (presence, sign_presence, read_presence, MAX_OFFER_LIFE_MS),
        (name, sign_name, read_name, MAX_NAME_LIFE_MS),
    ],
)
def test_none_lives_too_long_nor_in_the_future(make: Any, sign: Any, read: Any, life: int) -> None:
    def is_current(record: Any, now: int) -> bool:
        return offer_is_current(record, now) if make is offer else record.is_current(now)

    record = make()
    read(sign(record, ALICE, HOME), HOME)
    long_lived = make(expires_ms=NOW + life + 1)
    with pytest.raises(RecordError, match="lives longer"):
        read(sign(long_lived, ALICE, HOME), HOME)
    assert is_current(record, NOW)
    assert is_current(record, NOW + life - 1)
    assert not is_current(record, NOW + life)
    assert is_current(record, NOW - CLOCK_SKEW_MS)
    assert not is_current(record, NOW - CLOCK_SKEW_MS - 1)
    for backwards in (make(expires_ms=NOW), make(expires_ms=NOW - 1), make(expires_ms=0)):
        with pytest.raises(RecordError, match="ends before it begins"):
            read(sign(backwards, ALICE, HOME), HOME)


def test_a_peer_that_is_no_point_is_a_record_error() -> None:
    for body in (encode(offer(peer=b"\2" + b"\xff" * 32)), encode(presence(peer=bytes(33)))):
        with pytest.raises(RecordError):
            read_offer(SignedOffer(body=body, signature=bytes(65)), HOME)
        with pytest.raises(RecordError):
            read_presence(SignedPresence(body=body, signature=bytes(65)), HOME)


def test_a_manifest_is_the_model_that_was_asked_for() -> None:
    signed = sign_manifest(manifest(), ALICE, HOME)
    assert read_manifest(signed, HOME, signed.model) == manifest()
    assert signed.cid.startswith("bagaqihra")
    with pytest.raises(RecordError, match="name the model"):
        read_manifest(signed, HOME, bytes(32))


BAD_VERSIONS = [
    "", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0\n", "v1.0.0", "1.0.1234567890", "1.0.0-", "1.0.0-01", "1.0.0-a..b",
    "1.0.0+build", "1.0.0-a b", "1.0.0-" + "a" * 60,
]  # fmt: skip
BAD_PATHS = [
    "", "..", ".", "../a", "a/..", "a/../b", "/a", "/", "a/", "a//b", "./a", ".hidden", "a/.hidden", "a\\b", "C:\\a",
    "a\n", "a/b\n", "\na", "a\0", "a b", "é", "~/a", "a/~", "-rf", "a/-rf", "x" * 257, "a:b", "$HOME", "a\u2028",
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_leads_nowhere_else(path: str) -> None:
    signed = sign_manifest(manifest(files=(a_file(path),)), ALICE, HOME)
    with pytest.raises(RecordError, match="path"):
        read_manifest(signed, HOME)


@pytest.mark.parametrize("path", ["model.onnx", "a/b/c.bin", "_x", "0", "a..b", "weights/part-00001.data", "x" * 256])
def test_ordinary_paths_are_good(path: str) -> None:
    read_manifest(sign_manifest(manifest(files=(a_file(path),)), ALICE, HOME), HOME)


@pytest.mark.parametrize(
    "changes",
    [
        *({"name": name} for name in ("", "Digits", "a b", "-a", ".a", "a@b", "a/b", "a\n", "x" * 65, "é")),
        *({"version": v} for v in BAD_VERSIONS),
        {"files": ()},
        {"files": tuple(a_file(f"f{i}") for i in range(65))},
        {"files": (a_file("a"), a_file("a"))},
        {"inputs": ()},
        {"outputs": ()},
        {"inputs": (a_spec("x"), a_spec("x"))},
        {"outputs": (a_spec("y"), a_spec("y"))},
        {"royalty_bps": 10_001},
        {"royalty_bps": -1},
        {"description": "x" * 4097},
        {"previous": b"short"},
        *({"tags": tags} for tags in (("b", "a"), ("a", "a"), ("A",), ("a b",), ("",), ("x" * 33,), ("-a",))),
        {"tags": tuple(f"t{i:02}" for i in range(17))},
        {"created_ms": -1},
    ],
)  # fmt: skip
def test_a_manifest_out_of_bounds_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        read_manifest(sign_manifest(manifest(**changes), ALICE, HOME), HOME)


@pytest.mark.parametrize("has_text", [True, False])
def test_a_generator_is_asked_as_every_generator_is(has_text: bool) -> None:
    inputs, outputs = generator_signature(has_text=has_text)
    read_manifest(sign_manifest(manifest(interface="generate", inputs=inputs, outputs=outputs), ALICE, HOME), HOME)
    other = generator_signature(has_text=not has_text)[1]
    for changes in ({"inputs": inputs[:-1]}, {"inputs": inputs[::-1]}, {"outputs": other}, {"outputs": (a_spec("y"),)}):
        bad = manifest(**{"interface": "generate", "inputs": inputs, "outputs": outputs} | changes)
        with pytest.raises(RecordError, match="not those of a generator"):
            read_manifest(sign_manifest(bad, ALICE, HOME), HOME)


def test_a_text_model_takes_texts_and_nothing_else() -> None:
    read_manifest(sign_manifest(manifest(interface="text", inputs=(TEXT,)), ALICE, HOME), HOME)
    for inputs in ((a_spec("text"),), (TEXT, a_spec("x"))):
        with pytest.raises(RecordError, match="one input is text"):
            read_manifest(sign_manifest(manifest(interface="text", inputs=inputs), ALICE, HOME), HOME)
