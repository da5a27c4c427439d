"""AMD SEV-SNP: an attestation report signed by the chip's VCEK, under AMD's roots (ARK → ASK → VCEK).

The VCEK is derived from the chip and its TCB, so its certificate says which TCB signed: report and certificate must
agree. AMD publishes no verdict on a TCB, so a policy has to name the least that it takes.
Sources: AMD 56860 ("SEV Secure Nested Paging Firmware ABI Specification"), 57230 (VCEK certificates and KDS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.attestation import AmdCollateral, Collateral

from .attested import Attested, BadQuote
from .chains import check_chain, check_p384, legible, read_der, root

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

REPORT = 0x4A0
_SIGNED = 0x2A0  # bytes before the signature
_ROOTS = {"ARK-Milan": "amd-milan", "ARK-Genoa": "amd-genoa", "ARK-Turin": "amd-turin"}
_AMD = "1.3.6.1.4.1.3704.1."
# Where a level (see `teepolicy.LEVELS`) stands in a TCB's eight bytes, and the extension of a VCEK that says the same.
_PLACES = {"amd-milan": (0, 1, 6, 7), "amd-genoa": (0, 1, 6, 7), "amd-turin": (1, 2, 3, 7)}
_EXTENSIONS = ("3.1", "3.2", "3.3", "3.8")
_MIGRATION, _DEBUG, _SMT = 1 << 18, 1 << 19, 1  # of the guest's policy; SMT of the platform's information


def read_snp(report: bytes, collateral: Collateral | None, at_s: int) -> Attested:
    """What the report says, as of `at_s`; BadQuote when it does not hold then."""
    if not isinstance(collateral, AmdCollateral):
        raise BadQuote("a report of SEV-SNP needs AMD's certificates")
    if len(report) != REPORT or not 2 <= _number(report, 0, 4) <= 5 or _number(report, 0x34, 4) != 1:
        raise BadQuote("this is no report of SEV-SNP, versions 2 to 5, signed with ECDSA P-384")
    if _number(report, 0x48, 4) >> 2 & 7:
        raise BadQuote("the report is not signed by the chip's own key (VCEK)")
    with legible("a certificate of AMD's"):
        return _read(report, collateral, at_s)


def _read(report: bytes, collateral: AmdCollateral, at_s: int) -> Attested:
    ask, vcek = read_der(collateral.ask), read_der(collateral.vcek)
    name = _anchor(ask)
    since, until = check_chain([vcek, ask], root(name), at_s)
    r, s = _number(report, _SIGNED, 72), _number(report, _SIGNED + 72, 72)
    if any(report[_SIGNED + 144 :]):
        raise BadQuote("there is something behind the report's signature")
    check_p384(vcek, r, s, report[:_SIGNED], "the report of SEV-SNP")
    levels = _levels(report, vcek, name)
    policy, measurement = _number(report, 8, 8), report[0x90:0xC0]
    traits = [("migration", policy & _MIGRATION), ("smt", _number(report, 0x40, 8) & _SMT)]
    return Attested(
        kind="snp",
        maker="an AMD SEV-SNP report",
        measurement=measurement,
        registers=(("MEASUREMENT", measurement), ("HOST_DATA", report[0xC0:0xE0])),
        report_data=report[0x50:0x90],
        debug=bool(policy & _DEBUG),
        good_from_s=since,
        good_until_s=until,
        levels=levels,
        traits=tuple(trait for trait, there in traits if there),
        unchecked=("AMD's revocation list, which does not travel with the evidence",),
    )


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _anchor(ask: Certificate) -> str:
    from cryptography.x509.oid import NameOID

    names = [str(a.value) for a in ask.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(names) != 1 or names[0] not in _ROOTS:
        raise BadQuote("its certificates are not under a root of AMD's that is known here")
    return _ROOTS[names[0]]


def _levels(report: bytes, vcek: Certificate, name: str) -> tuple[int, ...]:
    """The reported TCB, which the VCEK's certificate repeats with the chip's id; BadQuote when they differ."""
    said = _extensions(vcek)
    tcb = report[0x180:0x188]
    levels = tuple(tcb[place] for place in _PLACES[name])
    for level, extension in zip(levels, _EXTENSIONS, strict=True):
        if said.get(_AMD + extension) != _integer(level):
            raise BadQuote("the report's TCB is not that of the key that signed it")
    chip = said.get(_AMD + "4")
    if not chip or chip != report[0x1A0 : 0x1A0 + len(chip)]:
        raise BadQuote("the report is of another chip than its key")
    return levels


def _extensions(certificate: Certificate) -> dict[str, bytes]:
    """The vendor's own extensions, by their number."""
    from cryptography import x509

    try:
        own = [e for e in certificate.extensions if isinstance(e.value, x509.UnrecognizedExtension)]
    except (ValueError, x509.DuplicateExtension) as error:
        raise BadQuote("the key's certificate has unreadable extensions") from error
    return {e.oid.dotted_string: e.value.value for e in own}


def _integer(level: int) -> bytes:
    """A level as a DER INTEGER."""
    body = level.to_bytes(1 + (level > 0x7F), "big")
    return bytes((2, len(body))) + body
