"""NVIDIA Hopper: what a card in confidential mode signed, beside the quote of the machine that it sits in.

The report is an SPDM 1.1 GET_MEASUREMENTS request (37 bytes, with our nonce) and its response, signed by the card's
attestation key over both. Chain, signature and nonce are checked; `UNCHECKED` says what is not.
Source: NVIDIA's nvtrust (its local verifier), DMTF DSP0274.
"""

from __future__ import annotations

from dataclasses import dataclass

from wire.attestation import GpuEvidence

from .attested import BadQuote
from .chains import check_chain, check_p384, legible, read_pem, root

_REQUEST, _SIGNATURE = 37, 96
_SPDM_1_1, _GET_MEASUREMENTS, _MEASUREMENTS = 0x11, 0xE0, 0x60
_DRIVER, _VBIOS = 3, 6  # kinds of opaque data
UNCHECKED = (
    "the card's measurements against NVIDIA's reference values, which are not shipped here",
    "NVIDIA's revocation of the card's certificates, which needs its server",
    "that the card is the one in the attested machine: the attested software vouches for that",
)


@dataclass(frozen=True, slots=True)
class Card:
    """A card whose evidence holds. `driver` and `vbios` are its words on itself, as signed."""

    name: str  # of its certificate
    driver: str
    vbios: str
    measurements: tuple[bytes, ...]


def read_card(evidence: GpuEvidence, nonce: bytes, at_s: int) -> Card:
    """What the card signed for this nonce, as of `at_s`; BadQuote when it does not hold then."""
    from cryptography.x509.oid import NameOID

    report = evidence.report
    measurements, opaque = _parse(report)
    r, s = (int.from_bytes(half, "big") for half in (report[-_SIGNATURE:-48], report[-48:]))
    with legible("a certificate of the card's"):
        chain = read_pem(evidence.chain)
        check_chain(chain, root("nvidia-device"), at_s)
        check_p384(chain[0], r, s, report[:-_SIGNATURE], "the card's report")
        names = [str(name.value) for name in chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if report[4:36] != nonce:
        raise BadQuote("the card's report is over another nonce: it belongs to another quote")
    return Card(
        name=_text("".join(names).encode()),
        driver=_text(opaque.get(_DRIVER, b"")),
        vbios=opaque.get(_VBIOS, b"")[::-1].hex(),
        measurements=measurements,
    )


def _parse(report: bytes) -> tuple[tuple[bytes, ...], dict[int, bytes]]:
    """The measurements, in their order, and the opaque data by kind; BadQuote when it is not laid out so."""
    if len(report) < _REQUEST + 8 + _SIGNATURE or report[0] != _SPDM_1_1 or report[1] != _GET_MEASUREMENTS:
        raise BadQuote("this is no card's report: it begins with no SPDM 1.1 request")
    if report[_REQUEST] != _SPDM_1_1 or report[_REQUEST + 1] != _MEASUREMENTS:
        raise BadQuote("the card's report has no SPDM 1.1 response")
    at = _Cursor(report, _REQUEST + 4, len(report) - _SIGNATURE)
    count, length = at.number(1), at.number(3)
    blocks = _Cursor(report, at.at, at.at + length)
    measurements = []
    for _ in range(count):
        blocks.take(2)  # its index, and the specification (DMTF)
        block = blocks.take(blocks.number(2))
        measurements.append(block[3:])
    at.at = blocks.at
    at.take(32)  # the card's own nonce
    length = at.number(2)
    data = _Cursor(report, at.at, at.at + length)
    if not blocks.done or data.end != at.end or not count:
        raise BadQuote("the card's report is not laid out as one")
    opaque: dict[int, bytes] = {}
    while not data.done:
        kind = data.number(2)
        opaque[kind] = data.take(data.number(2))
    return tuple(measurements), opaque


class _Cursor:
    """Reads on from a place, and never beyond its end."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        if end > len(data):
            raise BadQuote("the card's report ends too early")
        self._data, self.at, self.end = data, at, end

    @property
    def done(self) -> bool:
        return self.at == self.end

    def take(self, size: int) -> bytes:
        if self.at + size > self.end:
            raise BadQuote("the card's report ends too early")
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")


def _text(data: bytes) -> str:
    """Printable ASCII of a stranger's, for a terminal."""
    return "".join(chr(b) for b in data[:64] if 0x20 <= b < 0x7F)
