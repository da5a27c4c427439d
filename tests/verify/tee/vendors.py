"""Vendors of our own: the formats are AMD's, AWS's and NVIDIA's, the roots are not.

With them a quote can be made over any 64 bytes, which no public sample offers. `trusted` puts their root in the place
of the vendor's, for one test.
"""

from __future__ import annotations

import datetime
from functools import cache
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.verify.scenes import NOW
from verify.tiers.tee import nitro, nvidia, snp
from wire.attestation import AmdCollateral, GpuEvidence

SECONDS = NOW // 1000
_AMD = "1.3.6.1.4.1.3704.1."
LEVELS = (3, 0, 8, 115)  # bootloader, tee, snp, microcode
CHIP = b"\x77" * 64
IMAGE = b"\x42" * 48


@cache
def key_of(label: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(label.encode(), "big"), ec.SECP384R1())


def issue(
    label: str, issuer: str, *, ca: bool, since: int = -3600, until: int = 3600, extensions: tuple[Any, ...] = ()
) -> x509.Certificate:
    """A certificate for `label`, by `issuer`; its times are seconds around the scene's."""

    def moment(seconds: int) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(SECONDS + seconds, datetime.UTC)

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(name(label))
        .issuer_name(name(issuer))
        .public_key(key_of(label).public_key())
        .serial_number(1)
        .not_valid_before(moment(since))
        .not_valid_after(moment(until))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key_of(issuer), SHA384())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def raw_signature(label: str, data: bytes, order: str, size: int) -> bytes:
    """r and s, each of `size` bytes in `order`."""
    r, s = decode_dss_signature(key_of(label).sign(data, ec.ECDSA(SHA384())))
    return b"".join(number.to_bytes(size, "big" if order == "big" else "little") for number in (r, s))


def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """These vendors' roots in the place of the real ones."""
    roots = {name: issue(label, label, ca=True) for name, label in
             {"amd-milan": "ARK-Milan", "aws-nitro": "own-nitro", "nvidia-device": "own-nvidia"}.items()}  # fmt: skip
    for module in (snp, nitro, nvidia):
        monkeypatch.setattr(module, "root", roots.__getitem__)


def snp_report(
    report_data: bytes, *, debug: bool = False, levels: tuple[int, ...] = LEVELS, chip: bytes = CHIP
) -> bytes:
    """A report of SEV-SNP, version 2."""
    body = bytearray(snp.REPORT)
    body[0:4] = (2).to_bytes(4, "little")
    body[8:16] = (1 << 17 | (1 << 19 if debug else 0)).to_bytes(8, "little")
    body[0x34:0x38] = (1).to_bytes(4, "little")
    body[0x50:0x90] = report_data
    body[0x90:0xC0] = IMAGE
    body[0x180], body[0x181], body[0x186], body[0x187] = levels
    body[0x1A0:0x1E0] = chip
    signature = raw_signature("vcek", bytes(body[:0x2A0]), "little", 72)
    body[0x2A0 : 0x2A0 + 144] = signature
    return bytes(body)


def snp_collateral(**times: int) -> AmdCollateral:
    def own(number: str, value: bytes) -> x509.UnrecognizedExtension:
        return x509.UnrecognizedExtension(x509.ObjectIdentifier(_AMD + number), value)

    numbers = zip(("3.1", "3.2", "3.3", "3.8"), LEVELS, strict=True)
    extensions = (*(own(number, bytes((2, 1, level))) for number, level in numbers), own("4", CHIP))
    return AmdCollateral(
        ask=der(issue("SEV-Milan", "ARK-Milan", ca=True)),
        vcek=der(issue("vcek", "SEV-Milan", ca=False, extensions=extensions, **times)),
    )


def nitro_document(
    user_data: bytes, *, pcr0: bytes = IMAGE, at_ms: int = NOW, leaf: x509.Certificate | None = None, **changes: Any
) -> bytes:
    """An attestation document; `changes` replace entries of its payload."""
    payload = cbor2.dumps({
        "module_id": "i-0", "digest": "SHA384", "timestamp": at_ms, "pcrs": {0: pcr0, 1: bytes(48)},
        "certificate": der(leaf or issue("enclave", "own-nitro", ca=False)),
        "cabundle": [der(issue("own-nitro", "own-nitro", ca=True))],
        "public_key": None, "user_data": user_data, "nonce": None, **changes,
    })  # fmt: skip
    protected = cbor2.dumps({1: -35})
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    return cbor2.dumps([protected, {}, payload, raw_signature("enclave", signed, "big", 48)])


def card_evidence(nonce: bytes) -> GpuEvidence:
    """A card's report with one measurement, and its chain."""
    block = b"\x01\x01" + (7).to_bytes(2, "little") + b"\x01\x04\x00" + b"gold"
    opaque = (3).to_bytes(2, "little") + (6).to_bytes(2, "little") + b"999.99"
    request = b"\x11\xe0\x01\xff" + nonce + b"\x00"
    response = (
        b"\x11\x60\x00\x00\x01" + len(block).to_bytes(3, "little") + block + bytes(32)
        + len(opaque).to_bytes(2, "little") + opaque
    )  # fmt: skip
    report = request + response
    chain = [issue("card", "own-nvidia", ca=False), issue("own-nvidia", "own-nvidia", ca=True)]
    return GpuEvidence(
        report=report + raw_signature("card", report, "big", 48),
        chain=b"".join(c.public_bytes(Encoding.PEM) for c in chain),
    )
