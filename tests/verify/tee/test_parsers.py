"""Any bytes give a result or BadQuote, in every parser of what a stranger shows as evidence."""

from __future__ import annotations

from collections.abc import Callable

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.scenes import bent, key_of, some_hash
from tests.verify.tee import vendors
from tests.verify.tee.claims import RUNTIME
from tests.verify.tee.samples import INTEL_AT, LATER, NITRO_AT, card, intel, needed, sample, snp
from tests.wire.records import of
from verify.tiers.tee import read_quote
from verify.tiers.tee.attested import Attested, BadQuote
from verify.tiers.tee.chains import read_pem
from verify.tiers.tee.dcap import collateral_platform, platform_of, read_collateral, read_intel
from verify.tiers.tee.dev import read_dev
from verify.tiers.tee.nitro import read_nitro
from verify.tiers.tee.nvidia import read_card
from verify.tiers.tee.snp import read_snp
from wire.attestation import AmdCollateral, GpuEvidence, IntelCollateral, TeeKind, sign_dev_quote
from wire.canonical import encode

EMPTY = IntelCollateral(
    **{name: b"\x00" * 64 if name.endswith("signature") else b"" for name in IntelCollateral.__struct_fields__}
)
TIMES = st.integers(0, 2**41)


def holds(read: Callable[[], object]) -> bool:
    """Whether it was read; anything but BadQuote fails the test."""
    try:
        read()
    except BadQuote:
        return False
    return True


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    """`data` with some bytes replaced, cut off or put in."""
    place = st.integers(0, len(data) - 1)
    edit = st.tuples(place, st.integers(0, 12), st.binary(max_size=12))

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        out = data
        for at, gone, put in edits:
            out = out[:at] + put + out[at + gone :]
        return out

    return st.lists(edit, min_size=1, max_size=4).map(apply)


@given(st.binary(max_size=2000), TIMES)
def test_any_bytes(data: bytes, at_s: int) -> None:
    assert not holds(lambda: read_intel("tdx", data, EMPTY, at_s))
    assert not holds(lambda: read_intel("sgx", data, None, at_s))
    assert not holds(lambda: read_nitro(data, at_s))
    assert not holds(lambda: read_snp(data, AmdCollateral(ask=data[:2000], vcek=b""), at_s))
    assert not holds(lambda: read_card(GpuEvidence(report=data or b"x", chain=data or b"x"), bytes(32), at_s))
    assert not holds(lambda: read_dev(data))
    assert not holds(lambda: read_collateral(data))
    assert not holds(lambda: platform_of(data))


@given(of(IntelCollateral), TIMES)
def test_any_collateral(collateral: IntelCollateral, at_s: int) -> None:
    assert not holds(lambda: read_intel("tdx", bytes(5000), collateral, at_s))
    holds(lambda: collateral_platform(collateral))


cbor = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.binary(max_size=100) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.integers(0, 40) | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(cbor, cbor, TIMES)
def test_any_cbor(outer: object, inner: object, at_s: int) -> None:
    assert not holds(lambda: read_nitro(cbor2.dumps(outer), at_s))
    document = cbor2.dumps([cbor2.dumps({1: -35}), {}, cbor2.dumps(inner), bytes(96)])
    assert not holds(lambda: read_nitro(document, at_s))


@given(
    st.fixed_dictionaries(
        {},
        optional={name: cbor for name in ("digest", "timestamp", "pcrs", "certificate", "cabundle", "user_data")},
    )
)
def test_any_entry_of_a_nitro_document(changes: dict[str, object]) -> None:
    document = vendors.nitro_document(**({"user_data": bytes(64)} | changes))  # type: ignore[arg-type]
    assert not holds(lambda: read_nitro(document, vendors.SECONDS))  # the root is not AWS's, at the latest


_VERSION = bytes.fromhex("a003020102")  # of an X.509 certificate: the third


def test_a_certificate_of_a_version_that_there_is_none_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library has an error of its own for it, which is no ValueError; nothing is signed before this is read."""
    vendors.trusted(monkeypatch)
    quote, good = vendors.nitro_document(bytes(64)), vendors.snp_collateral()
    assert holds(lambda: read_nitro(quote, vendors.SECONDS))
    assert quote.count(_VERSION) == 2
    for place in (quote.index(_VERSION), quote.rindex(_VERSION)):
        changed = bytearray(quote)
        changed[place + 4] = 6
        assert not holds(lambda changed=changed: read_nitro(bytes(changed), vendors.SECONDS))  # type: ignore[misc]
    report, wrong = vendors.snp_report(bytes(64)), _VERSION[:-1] + b"\x06"
    assert holds(lambda: read_snp(report, good, vendors.SECONDS))
    for bad in (bent(good, ask=good.ask.replace(_VERSION, wrong)), bent(good, vcek=good.vcek.replace(_VERSION, wrong))):
        assert not holds(lambda bad=bad: read_snp(report, bad, vendors.SECONDS))  # type: ignore[misc]


def test_nothing_stands_around_a_nitro_document_that_nobody_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    vendors.trusted(monkeypatch)
    quote = vendors.nitro_document(bytes(64))
    assert holds(lambda: read_nitro(b"\xd2" + quote, vendors.SECONDS))  # the tag that the standard allows
    longer = b"\x98\x04" + quote[1:]  # the same array of four, its length said in two bytes
    for changed in (quote + b"\x00", b"\xd2\xd2" + quote, longer, b"\xd9\x00\x12" + quote):
        assert not holds(lambda changed=changed: read_nitro(changed, vendors.SECONDS))  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["nitro", "dev"])
def test_collateral_that_a_kind_has_not_is_refused(kind: TeeKind, monkeypatch: pytest.MonkeyPatch) -> None:
    vendors.trusted(monkeypatch)
    own = encode(sign_dev_quote(RUNTIME, bytes(64), key_of("attester")))
    quote = own if kind == "dev" else vendors.nitro_document(bytes(64))
    assert holds(lambda: read_quote(kind, quote, None, vendors.SECONDS))
    for collateral in (EMPTY, vendors.snp_collateral()):
        assert not holds(lambda collateral=collateral: read_quote(kind, quote, collateral, vendors.SECONDS))  # type: ignore[misc]


def test_a_development_attester_is_named_by_all_of_its_key() -> None:
    """The signature alone holds for the key of the other parity too, which is another address."""
    quote = sign_dev_quote(RUNTIME, bytes(64), key_of("attester"))
    assert holds(lambda: read_dev(encode(quote)))
    other = bytes([quote.attester[0] ^ 1]) + quote.attester[1:]
    assert not holds(lambda: read_dev(encode(bent(quote, attester=other))))


@pytest.mark.parametrize("depth", [100, 10_000])
def test_nested_without_end(depth: int) -> None:
    assert not holds(lambda: read_nitro(b"\x81" * depth + b"\x00", 0))
    assert not holds(lambda: read_nitro(b"\xc1" * depth + b"\x00", 0))


@pytest.mark.parametrize("tag", [*range(40), 100, 258, 260, 1004, 55799])
def test_every_tag_of_cbor(tag: int) -> None:
    for value in (0, -1, "x", b"\xff" * 9, [10**9, 1], [-(10**9), 3], ["(" * 50, "a"], {1: 2}, None):
        assert not holds(lambda value=value: read_nitro(cbor2.dumps(cbor2.CBORTag(tag, value)), 0))  # type: ignore[misc]


def test_too_many_certificates() -> None:
    with pytest.raises(BadQuote, match="more than 8"):
        read_pem(b"-----BEGIN CERTIFICATE-----\n" * 9)


@given(st.data())
def test_a_mutated_dev_quote(data: st.DataObject) -> None:
    quote = encode(sign_dev_quote(RUNTIME, some_hash("a") * 2, key_of("attester")))
    changed = data.draw(mutated(quote))
    assert holds(lambda: read_dev(changed)) == (changed == quote)


SETTINGS = settings(max_examples=60, deadline=None)


@needed
@SETTINGS
@given(st.data())
def test_mutated_samples_of_intel(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(("sgx", "tdx")))
    quote, collateral = intel(kind)  # type: ignore[arg-type]
    want = read_intel(kind, quote, collateral, INTEL_AT)  # type: ignore[arg-type]
    changed = data.draw(mutated(quote))

    def read() -> None:
        # bytes that are not signed may differ (line breaks between certificates): what is said may not
        assert told(read_intel(kind, changed, collateral, INTEL_AT)) == told(want)  # type: ignore[arg-type]

    holds(read)
    name = data.draw(st.sampled_from(IntelCollateral.__struct_fields__))
    other = bent(collateral, **{name: data.draw(mutated(getattr(collateral, name)))})
    holds(lambda: read_intel(kind, quote, other, INTEL_AT))  # type: ignore[arg-type]


def told(found: Attested) -> tuple[object, ...]:
    return found.measurement, found.registers, found.report_data, found.debug, found.tcb, found.traits


@needed
@SETTINGS
@given(st.data())
def test_mutated_samples_of_the_others(data: st.DataObject) -> None:
    document = sample("nitro/aws_nitro_document.cbor")
    changed = data.draw(mutated(document))
    want = read_nitro(document, NITRO_AT)
    holds(lambda: _same(told(read_nitro(changed, NITRO_AT)), told(want)))
    report, collateral = snp()
    altered = data.draw(mutated(report))
    assert holds(lambda: read_snp(altered, collateral, LATER)) == (altered == report)
    holds(lambda: read_snp(report, bent(collateral, vcek=data.draw(mutated(collateral.vcek))), LATER))
    evidence, nonce = card()
    shown = data.draw(mutated(evidence.report))
    assert holds(lambda: read_card(bent(evidence, report=shown), nonce, LATER)) == (shown == evidence.report)
    holds(lambda: read_card(bent(evidence, chain=data.draw(mutated(evidence.chain))), nonce, LATER))


def _same(one: object, other: object) -> None:
    assert one == other


def test_a_certificate_whose_names_are_none_is_refused() -> None:
    """The library parses a name when it is asked for, and raises its own kind then."""
    good = vendors.snp_collateral()
    place = good.ask.index(b"ARK-Milan") - 2  # the tag of that text
    bent_ask = good.ask[:place] + b"\xd8" + good.ask[place + 1 :]
    report = vendors.snp_report(bytes(64))
    assert not holds(lambda: read_snp(report, bent(good, ask=bent_ask), vendors.SECONDS))
