"""AWS Nitro Enclaves: an attestation document (COSE_Sign1, ES384) under AWS's root.

The enclave asks with our 64 bytes as `user_data`. PCR0 measures the whole image (kernel, ramdisk, application); it is
zero in debug mode. The document carries its chain, and the hypervisor's time.
Sources: RFC 9052 (COSE), AWS "Verifying the root of trust".
"""

from __future__ import annotations

from typing import Any

from .attested import Attested, BadQuote
from .chains import check_chain, check_p384, legible, read_der, root

_PROTECTED = b"\xa1\x01\x38\x22"  # {1: -35}: the algorithm is ES384, and nothing else is said
_COSE_SIGN1 = 18
_TAGGED = b"\xd2"  # that tag, which AWS leaves out and the standard allows


def read_nitro(document: bytes, at_s: int) -> Attested:
    """What the document says, as of `at_s`; BadQuote when it does not hold then."""
    protected, payload, signature = _cose(document)
    said = _load(payload)
    if not isinstance(said, dict) or said.get("digest") != "SHA384":
        raise BadQuote("this is no Nitro attestation document")
    pcrs, stamp, data = said.get("pcrs"), said.get("timestamp"), said.get("user_data")
    registers = _registers(pcrs)
    if not isinstance(stamp, int) or not 0 < stamp < 2**53 or not isinstance(data, bytes | None):
        raise BadQuote("the Nitro document's time or user data are no such thing")
    certificate, bundle = said.get("certificate"), said.get("cabundle")
    if not isinstance(bundle, list) or not all(isinstance(c, bytes) for c in (certificate, *bundle)):
        raise BadQuote("the Nitro document has no chain of certificates")
    if len(bundle) > 7:
        raise BadQuote("the Nitro document's chain is too long")
    import cbor2

    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    r, s = int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big")
    with legible("a certificate of the Nitro document"):
        leaf = read_der(certificate)  # type: ignore[arg-type]  # bytes, as was seen above
        since, until = check_chain([leaf, *map(read_der, reversed(bundle))], root("aws-nitro"), at_s)
        check_p384(leaf, r, s, signed, "the Nitro document")
    image = dict(registers)["PCR0"]
    return Attested(
        kind="nitro",
        maker="an AWS Nitro attestation document",
        measurement=image,
        registers=registers,
        report_data=data or b"",
        debug=not any(image),
        good_from_s=since,
        good_until_s=until,
        quoted_ms=stamp,
        unchecked=("firmware: AWS gives no verdict on it, and keeps it up to date itself",),
    )


def _cose(document: bytes) -> tuple[bytes, bytes, bytes]:
    outer = _load(document)
    if getattr(outer, "tag", None) == _COSE_SIGN1:
        outer = outer.value
    if not isinstance(outer, list | tuple) or len(outer) != 4:
        raise BadQuote("this is no COSE_Sign1 document")
    protected, unprotected, payload, signature = outer
    if protected != _PROTECTED or unprotected != {} or not isinstance(payload, bytes):
        raise BadQuote("the document is not signed with ES384, or says more than it may")
    if not isinstance(signature, bytes) or len(signature) != 96:
        raise BadQuote("the document's signature is not one of P-384")
    import cbor2

    if cbor2.dumps([protected, {}, payload, signature]) != document.removeprefix(_TAGGED):
        raise BadQuote("there is something around the document that nobody signed")
    return protected, payload, signature


def _registers(pcrs: Any) -> tuple[tuple[str, bytes], ...]:
    """Those that are set, by number; BadQuote unless the image's is among them."""
    if not isinstance(pcrs, dict) or not 1 <= len(pcrs) <= 32:
        raise BadQuote("the Nitro document has no registers")
    for place, value in pcrs.items():
        if type(place) is not int or not 0 <= place < 32 or not isinstance(value, bytes) or len(value) != 48:
            raise BadQuote("the Nitro document's registers are none")
    if 0 not in pcrs:
        raise BadQuote("the Nitro document does not measure its image (PCR0)")
    return tuple((f"PCR{place}", pcrs[place]) for place in sorted(pcrs) if place == 0 or any(pcrs[place]))


def _load(data: bytes) -> Any:
    """One CBOR value. The decoder knows many tags that raise many things; all mean the same to us."""
    import cbor2

    try:
        return cbor2.loads(data)
    except Exception as error:
        raise BadQuote("this is no CBOR") from error
