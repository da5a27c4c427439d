"""X.509 chains as vendors use them: few certificates, one known root, judged at a given time (RFC 5280, in part).

`cryptography` is imported when the first chain is read, since most commands never read any.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from .attested import BadQuote

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_CHAIN = 8  # certificates; the longest in use has five
# Public constants of their vendors; a fingerprint is the SHA-256 of the certificate's DER. They are AWS's
# AWS_NitroEnclaves_Root-G1, the ARK of each vcek/v1/PRODUCT/cert_chain of AMD's key distribution service, and
# verifier_device_root of NVIDIA's nvtrust. Intel's root is in dcap-qvl.
ROOTS = {
    "aws-nitro": "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
    "amd-milan": "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
    "amd-genoa": "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
    "amd-turin": "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
    "nvidia-device": "102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48",
}


@contextmanager
def legible(what: str) -> Iterator[None]:
    """BadQuote where a certificate turns out to be none: the library parses each part of it when that is asked for.

    It raises errors of many kinds with no common base (`InvalidVersion` is no ValueError), and all mean the same to us.
    """
    try:
        yield
    except BadQuote:
        raise
    except Exception as error:
        raise BadQuote(f"{what} cannot be read") from error


@cache
def root(name: str) -> Certificate:
    """A vendor's root, as it is shipped; ValueError when the file is not the one whose fingerprint stands here."""
    (certificate,) = read_pem((Path(__file__).parent / "roots" / f"{name}.pem").read_bytes())
    if fingerprint(certificate) != ROOTS[name]:
        raise ValueError(f"the root certificate {name} is not the vendor's: reinstall this release")
    return certificate


def fingerprint(certificate: Certificate) -> str:
    """SHA-256 of a certificate's DER, in hexadecimal."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def read_der(data: bytes) -> Certificate:
    """One certificate; BadQuote when it is none."""
    from cryptography import x509

    with warnings.catch_warnings():
        # AMD's own have the serial number 0, which is their affair; a stranger's shall write on no terminal.
        warnings.simplefilter("ignore")
        try:
            return x509.load_der_x509_certificate(data)
        except ValueError as error:
            raise BadQuote("a certificate in the evidence is none") from error


def read_pem(data: bytes) -> list[Certificate]:
    """The certificates of a PEM text, in their order; BadQuote when there are none, or too many."""
    from cryptography import x509

    if data.count(b"-----BEGIN") > MAX_CHAIN:
        raise BadQuote(f"the chain has more than {MAX_CHAIN} certificates")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return x509.load_pem_x509_certificates(data)
        except ValueError as error:
            raise BadQuote("the certificates in the evidence are none") from error


def check_chain(chain: Sequence[Certificate], anchor: Certificate, at_s: int) -> tuple[int, int]:
    """From when to when all of `chain` (the leaf first) holds under `anchor`; BadQuote unless `at_s` is within.

    The root itself may stand at the end. Revocation is not looked up: no vendor's list travels with the evidence
    except Intel's, which is checked elsewhere.
    """
    from cryptography.exceptions import InvalidSignature

    held = [*chain, anchor] if not chain or chain[-1] != anchor else list(chain)
    if not 2 <= len(held) <= MAX_CHAIN:
        raise BadQuote("the chain has no leaf, or is too long")
    for depth, (child, issuer) in enumerate(pairwise(held)):
        _check_issuer(issuer, depth)
        try:
            child.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError) as error:
            raise BadQuote(f"certificate {depth + 1} of the chain is not signed by the next one") from error
    try:
        since = max(int(c.not_valid_before_utc.timestamp()) for c in held)
        until = min(int(c.not_valid_after_utc.timestamp()) for c in held)
    except (ValueError, OverflowError) as error:
        raise BadQuote("a certificate has no readable dates") from error
    if not since <= at_s <= until:
        raise BadQuote("its certificates were not valid then: " + ("not yet" if at_s < since else "they had expired"))
    return since, until


def _check_issuer(issuer: Certificate, below: int) -> None:
    """BadQuote unless it may sign certificates, with `below` of them between it and the leaf."""
    from cryptography import x509

    try:
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError) as error:
        raise BadQuote("a certificate of the chain is no authority's") from error
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        usage = True
    if not basic.ca or not usage or (basic.path_length is not None and basic.path_length < below):
        raise BadQuote("a certificate of the chain may not sign the one before it")


def check_p384(certificate: Certificate, r: int, s: int, data: bytes, what: str) -> None:
    """BadQuote unless `data` is signed, ECDSA with SHA-384, by the certificate's P-384 key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP384R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA384

    try:
        key = certificate.public_key()
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP384R1):
            raise BadQuote(f"the key of {what} is not of the curve P-384")
        key.verify(encode_dss_signature(r, s), data, ECDSA(SHA384()))
    except (InvalidSignature, ValueError, TypeError) as error:
        if isinstance(error, BadQuote):
            raise
        raise BadQuote(f"the signature of {what} does not hold") from error
