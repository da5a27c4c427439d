"""One secp256k1 key is a peer: its libp2p peer id, its EVM address, and the signer of its receipts and votes.

Two signature schemes, for two needs. ECDSA with recovery (65 bytes) where a wallet may sign or a contract must
recover the signer: manifests, offers, requests, receipts. BIP340 (64 bytes) where signatures are aggregated: commits
and votes.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

from base58 import b58decode, b58encode
from coincurve import PrivateKey, PublicKeyXOnly
from coincurve import PublicKey as _PublicKey

from .eip712 import keccak256
from .errors import RecordError

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
# libp2p's protobuf of a secp256k1 key (type 2, 33 bytes) under an identity multihash of its 37 bytes.
_PEER_ID_HEAD = b"\x00\x25\x08\x02\x12\x21"
# One answer has each of its signatures checked by several rules, its own maker's among them, and names the same few
# peers again and again; nothing here depends on anything but its arguments, so it is worked out once.
_PEERS, _SIGNATURES = 4096, 1024
_signers: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()  # keys by digest and signature; threads share it


class NodeKey:
    """A peer's secret key. Its repr never shows the secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = PrivateKey(secret)
        self.public = self._key.public_key.format(compressed=True)
        self.peer_id = peer_id_of(self.public)
        self.address = address_of(self.public)

    @classmethod
    def generate(cls) -> NodeKey:
        """A new key from the operating system's randomness."""
        return cls(PrivateKey().secret)

    @property
    def secret(self) -> bytes:
        """The 32 secret bytes, for the key file and for libp2p's key pair. Never log or print them."""
        return self._key.secret

    def sign(self, digest: bytes) -> bytes:
        """ECDSA over a 32-byte EIP-712 digest: r, s (low), recovery id; 65 bytes, deterministic (RFC 6979)."""
        signature = self._key.sign_recoverable(digest, hasher=None)
        _remember(digest, signature, self.public)
        return signature

    def sign_schnorr(self, digest: bytes) -> bytes:
        """BIP340 over a 32-byte EIP-712 digest, 64 bytes."""
        return self._key.sign_schnorr(digest)

    def __repr__(self) -> str:
        return f"NodeKey({self.peer_id})"


def recover(digest: bytes, signature: bytes) -> bytes:
    """The compressed public key (33 bytes) that signed `digest`; RecordError when the signature is none.

    High-s signatures are refused (EIP-2), so that nobody can turn one valid signature into another.
    """
    if (known := _signers.get((digest, signature))) is not None:
        return known
    if len(signature) != 65 or signature[64] > 3 or int.from_bytes(signature[32:64], "big") > _ORDER // 2:
        raise RecordError("signature: not 65 bytes of r, low s and a recovery id")
    try:
        public = _PublicKey.from_signature_and_message(signature, digest, hasher=None).format(compressed=True)
    except ValueError as error:
        raise RecordError("signature: recovers to no key") from error
    _remember(digest, signature, public)
    return public


def _remember(digest: bytes, signature: bytes, public: bytes) -> None:
    _signers[digest, signature] = public
    if len(_signers) > _SIGNATURES:
        _signers.popitem(last=False)


def signed_by(address: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the key behind the EVM `address` signed `digest` (ECDSA)."""
    try:
        return address_of(recover(digest, signature)) == address
    except RecordError:
        return False


def schnorr_signed_by(public: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether the 33-byte key `public` signed `digest` (BIP340; the key's parity is dropped, as there)."""
    if len(public) != 33 or public[0] not in (2, 3):  # the library would read 32 bytes, however few there are
        return False
    try:
        return bool(PublicKeyXOnly(public[1:]).verify(signature, digest))
    except ValueError:
        return False


@lru_cache(_PEERS)
def address_of(public: bytes) -> bytes:
    """The EVM address (20 bytes) of a 33-byte public key; RecordError when it is no point of the curve."""
    try:
        point = _PublicKey(public).format(compressed=False)
    except ValueError as error:
        raise RecordError("public key: not a point on secp256k1") from error
    return keccak256(point[1:])[12:]


@lru_cache(_PEERS)
def peer_id_of(public: bytes) -> str:
    """The libp2p peer id of a 33-byte public key, base58 (begins with `16Uiu2HA`)."""
    return b58encode(_PEER_ID_HEAD + public).decode()


@lru_cache(_PEERS)
def public_of(peer_id: str) -> bytes:
    """The 33-byte public key inside a secp256k1 peer id; RecordError for any other id."""
    try:
        raw = b58decode(peer_id)
    except ValueError as error:
        raise RecordError(f"{peer_id!r} is not a peer id (base58)") from error
    if not raw.startswith(_PEER_ID_HEAD) or len(raw) != len(_PEER_ID_HEAD) + 33:
        raise RecordError(f"{peer_id!r} is not the id of a secp256k1 key")
    return raw[len(_PEER_ID_HEAD) :]


def show_address(address: bytes) -> str:
    """`0x…` with EIP-55's checksum in the letters' case."""
    text = address.hex()
    guide = keccak256(text.encode()).hex()
    return "0x" + "".join(c.upper() if int(g, 16) >= 8 else c for c, g in zip(text, guide, strict=False))


def parse_address(text: str) -> bytes:
    """The 20 bytes of `0x…`; a mixed-case text must carry the right EIP-55 checksum."""
    body = text.removeprefix("0x")
    try:
        raw = bytes.fromhex(body)
    except ValueError as error:
        raise RecordError(f"{text!r} is not an address (0x and 40 hexadecimal digits)") from error
    if len(body) != 40 or len(raw) != 20:  # `fromhex` passes over spaces
        raise RecordError(f"{text!r} is not an address (0x and 40 hexadecimal digits)")
    if body not in (body.lower(), body.upper()) and show_address(raw) != "0x" + body:
        raise RecordError(f"{text!r} has a wrong checksum: a letter was mistyped")
    return raw
