"""Every vendor's public samples at times of their own: valid, tampered, debug, expired, with others' collateral."""

from __future__ import annotations

import pytest

from tests.verify.scenes import bent
from tests.verify.tee.samples import INTEL_AT, LATER, MONTH, NITRO_AT, NITRO_DEBUG_AT, card, intel, needed, sample, snp
from verify.teepolicy import TeePolicy
from verify.tiers.tee import dcap, nitro, nvidia
from verify.tiers.tee.attested import BadQuote
from verify.tiers.tee.chains import ROOTS, root
from verify.tiers.tee.dcap import TDX_REGISTERS, collateral_platform, platform_of, read_intel
from verify.tiers.tee.nitro import read_nitro
from verify.tiers.tee.nvidia import read_card
from verify.tiers.tee.snp import read_snp
from wire.attestation import TeeKind

pytestmark = needed
ANY = TeePolicy(measurements=("any",))


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]


def test_the_roots_are_their_vendors() -> None:
    assert all(root(name) for name in ROOTS)


def test_a_tdx_quote_says_what_intel_signed() -> None:
    quote, collateral = intel("tdx")
    found = read_intel("tdx", quote, collateral, INTEL_AT)
    assert (found.tcb, found.tcb_date, found.debug, found.advisories) == ("UpToDate", "2024-03-13", False, ())
    assert found.report_data.hex().startswith("9a9d48e7f6799642d3d1b34e1e5e1742")
    assert [name for name, _ in found.registers] == ["MRTD", "RTMR0", "RTMR1", "RTMR2", "RTMR3"]
    assert found.good_from_s < INTEL_AT < found.good_until_s
    assert platform_of(quote) == "tdx-b0c06f000000"
    assert collateral_platform(collateral) == "tdx-b0c06f000000"


def test_a_strict_policy_wants_each_trait_of_a_platform_allowed_by_name() -> None:
    found = read_intel("tdx", *intel("tdx"), INTEL_AT)
    assert [c.name for c in ANY.check(found) if not c.ok] == ["policy: TEE traits"]
    allowed = TeePolicy(measurements=("any",), traits=("dynamic-platform", "cached-keys", "smt"))
    assert all(c.ok for c in allowed.check(found))


def test_a_state_that_the_library_would_pass_is_refused_unless_named() -> None:
    found = read_intel("sgx", *intel("sgx"), INTEL_AT)
    assert found.tcb == "ConfigurationAndSWHardeningNeeded"
    (refused,) = [c for c in ANY.check(found) if not c.ok]
    assert "INTEL-SA-00615" in refused.detail
    named = TeePolicy(measurements=("any",), states=("ConfigurationAndSWHardeningNeeded",))
    assert all(c.ok for c in named.check(found))


@pytest.mark.parametrize("kind", ["sgx", "tdx"])
def test_collateral_has_its_time(kind: TeeKind) -> None:
    quote, collateral = intel(kind)
    with pytest.raises(BadQuote, match="future"):
        read_intel(kind, quote, collateral, INTEL_AT - MONTH)
    with pytest.raises(BadQuote, match="expired"):
        read_intel(kind, quote, collateral, INTEL_AT + MONTH)


@pytest.mark.parametrize("kind", ["sgx", "tdx"])
def test_a_quote_of_one_kind_is_none_of_another(kind: TeeKind) -> None:
    other: TeeKind = "tdx" if kind == "sgx" else "sgx"
    with pytest.raises(BadQuote, match=f"of {kind}, not of {other}"):
        read_intel(other, *intel(kind), INTEL_AT)


# Header, measured registers, attributes, report data, signature, attestation key, quoting enclave's report and
# signature. What follows are certificates in PEM: their line breaks and the root's copy are not what is trusted.
@pytest.mark.parametrize(
    ("kind", "places"),
    [
        ("sgx", [0, 20, 48, 96, 112, 176, 368, 400, 436, 500, 564, 600, 800, 948, 1000]),
        ("tdx", [0, 20, 48, 100, 168, 184, 376, 568, 600, 636, 700, 770, 800, 1000, 1100]),
    ],
)
def test_a_tampered_quote_is_refused(kind: TeeKind, places: list[int]) -> None:
    quote, collateral = intel(kind)
    for place in places:
        with pytest.raises(BadQuote):
            read_intel(kind, flipped(quote, place), collateral, INTEL_AT)


def test_collateral_of_another_platform_or_mixed_or_changed_is_refused() -> None:
    (quote, own), (_, other) = intel("tdx"), intel("sgx")
    wrong = [other, bent(own, tcb_info=other.tcb_info), bent(own, qe_identity=other.qe_identity)]
    wrong += [
        bent(own, tcb_info=other.tcb_info, tcb_info_signature=other.tcb_info_signature),
        bent(own, qe_identity=other.qe_identity, qe_identity_signature=other.qe_identity_signature),
        bent(own, pck_crl=other.pck_crl, pck_crl_issuer_chain=other.pck_crl_issuer_chain),
        bent(own, tcb_info=own.tcb_info.replace(b"OutOfDate", b"UpToDate")),
        bent(own, pck_crl=b""),
        bent(own, tcb_info_issuer_chain=b""),
    ]
    for collateral in wrong:
        with pytest.raises(BadQuote):
            read_intel("tdx", quote, collateral, INTEL_AT)


def test_the_debug_bits_are_intels() -> None:
    """No public sample is in debug mode, and the library refuses such quotes of TDX itself; this is the second lock."""
    td = {name: "00" * 48 for name in TDX_REGISTERS} | {"report_data": "00" * 64}
    enclave = {"mr_enclave": "00" * 32, "mr_signer": "00" * 32, "report_data": "00" * 64}
    for attributes, debug in (("0000001000000000", False), ("0100001000000000", True), ("0200000000000000", True)):
        assert dcap._tdx(td | {"td_attributes": attributes})["debug"] is debug
        assert dcap._tdx({"base": td | {"td_attributes": attributes}})["debug"] is debug
    for attributes, debug in (("0500000000000000", False), ("0700000000000000", True)):
        assert dcap._sgx(enclave | {"attributes": attributes})["debug"] is debug


def test_a_nitro_document_says_what_aws_signed() -> None:
    found = read_nitro(sample("nitro/aws_nitro_document.cbor"), NITRO_AT)
    assert not found.debug
    assert found.measurement.hex().startswith("22f9e1c949208da5")
    assert found.quoted_ms == 1_668_034_320_696
    assert found.good_until_s - found.good_from_s == 10_803  # its certificate lives three hours


def test_a_nitro_document_has_its_time() -> None:
    document = sample("nitro/aws_nitro_document.cbor")
    with pytest.raises(BadQuote, match="expired"):
        read_nitro(document, NITRO_AT + 3 * 3600)
    with pytest.raises(BadQuote, match="not yet"):
        read_nitro(document, NITRO_AT - 3600)


def test_a_nitro_document_that_aws_did_not_sign_is_refused() -> None:
    with pytest.raises(BadQuote, match="signature"):
        read_nitro(sample("nitro/aws_nitro_document_bad_sig.cbor"), NITRO_AT)
    document = sample("nitro/aws_nitro_document.cbor")
    for place in (1, 8, 60, 500, 1500, 2600, 4300, len(document) - 1):
        with pytest.raises(BadQuote):
            read_nitro(flipped(document, place), NITRO_AT)


def test_a_nitro_enclave_in_debug_mode_is_named_so() -> None:
    assert read_nitro(sample("nitro/evervault_debug_mode.cbor"), NITRO_DEBUG_AT).debug


def test_an_snp_report_says_what_amds_chip_signed() -> None:
    found = read_snp(*snp(), LATER)
    assert (found.debug, found.levels, found.traits) == (False, (3, 0, 8, 115), ("smt",))
    assert found.measurement.hex().startswith("7a1e5c266c0108db")


def test_an_snp_report_needs_least_levels_of_its_reader() -> None:
    found = read_snp(*snp(), LATER)

    def accepts(*levels: int) -> bool:
        return all(c.ok for c in TeePolicy(measurements=("any",), traits=("smt",), snp_levels=levels).check(found))

    assert accepts(3, 0, 8, 115)
    assert accepts(0, 0, 0, 0)
    assert not accepts(3, 0, 9, 115)
    assert not accepts()


def test_a_tampered_snp_report_is_refused() -> None:
    report, collateral = snp()
    for place in (0, 8, 0x34, 0x48, 0x50, 0x90, 0xC0, 0x180, 0x1A0, 0x1E0, 0x29F, 0x2A0, 0x2E8, 0x330, 0x49F):
        with pytest.raises(BadQuote):
            read_snp(flipped(report, place), collateral, LATER)
    with pytest.raises(BadQuote):
        read_snp(report, bent(collateral, vcek=flipped(collateral.vcek, 700)), LATER)
    with pytest.raises(BadQuote):
        read_snp(report, bent(collateral, ask=collateral.vcek), LATER)
    with pytest.raises(BadQuote, match="expired"):
        read_snp(report, collateral, LATER + 300 * MONTH)


def test_a_cards_evidence_holds_for_its_nonce_alone() -> None:
    evidence, nonce = card()
    found = read_card(evidence, nonce, LATER)
    assert (found.name, found.driver, len(found.measurements)) == ("GH100 A01 GSP FMC LF", "550.90.07", 64)
    with pytest.raises(BadQuote, match="another nonce"):
        read_card(evidence, bytes(32), LATER)


def test_a_tampered_cards_evidence_is_refused() -> None:
    evidence, nonce = card()
    for place in (0, 1, 4, 36, 40, 200, 3000, len(evidence.report) - 97, len(evidence.report) - 1):
        with pytest.raises(BadQuote):
            read_card(bent(evidence, report=flipped(evidence.report, place)), nonce, LATER)
    with pytest.raises(BadQuote):
        read_card(bent(evidence, chain=flipped(evidence.chain, 300)), nonce, LATER)
    leaf = evidence.chain[: evidence.chain.index(b"-----END CERTIFICATE-----") + 26]
    with pytest.raises(BadQuote):  # its issuers are left out
        read_card(bent(evidence, chain=leaf), nonce, LATER)


def test_no_vendors_root_serves_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nitro, "root", lambda _: root("nvidia-device"))
    monkeypatch.setattr(nvidia, "root", lambda _: root("aws-nitro"))
    with pytest.raises(BadQuote):
        read_nitro(sample("nitro/aws_nitro_document.cbor"), NITRO_AT)
    with pytest.raises(BadQuote):
        read_card(*card(), LATER)
