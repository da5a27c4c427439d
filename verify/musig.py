"""MuSig2: n signers together make one BIP340 signature of 64 bytes, under a key that is the sum of theirs.

Two rounds: each signer gives a public nonce, and once all nonces are known its part of the signature. All of them must
take part; who is missing or lies spoils it, and is named. A nonce that signs twice gives its key away, so a
`SecretNonce` signs once, erases itself, never leaves this process and shows nothing.

Source: BIP327. The arithmetic is libsecp256k1's musig module inside coincurve; its raw interface is private to
coincurve, hence the assertion at import.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from coincurve import _libsecp256k1
from coincurve.context import GLOBAL_CONTEXT

from wire.errors import RecordError
from wire.keys import NodeKey, schnorr_signed_by

from .bounds import MAX_AGGREGATED

_lib: Any = _libsecp256k1.lib
_ffi: Any = _libsecp256k1.ffi
_context: Any = GLOBAL_CONTEXT.ctx
for _symbol in ("pubkey_agg", "nonce_gen", "nonce_agg", "nonce_process", "partial_sign", "partial_sig_verify"):
    if not hasattr(_lib, f"secp256k1_musig_{_symbol}"):
        raise ImportError(f"coincurve no longer has secp256k1_musig_{_symbol}: install the version in setup.cfg")

NONCE, PART = 66, 32  # bytes of a public nonce, and of a partial signature


@dataclass(frozen=True)
class Group:
    """Signers in their order, 33-byte keys, and what their keys add up to. RecordError for keys that are none, or two
    alike: a set of signers has each of them once."""

    keys: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not 0 < len(self.keys) <= MAX_AGGREGATED or len({key[1:] for key in self.keys}) != len(self.keys):
            raise RecordError(f"1 to {MAX_AGGREGATED} different keys sign together")
        _ = self.cache

    @cached_property
    def _aggregated(self) -> tuple[Any, bytes]:
        keys = [_public(key) for key in self.keys]
        cache, total, out = (
            _ffi.new("secp256k1_musig_keyagg_cache *"),
            _ffi.new("secp256k1_xonly_pubkey *"),
            _ffi.new("unsigned char[32]"),
        )
        if not _lib.secp256k1_musig_pubkey_agg(_context, total, cache, keys, len(keys)):
            raise RecordError("these keys add up to no key")
        _lib.secp256k1_xonly_pubkey_serialize(_context, out, total)
        return cache, bytes(_ffi.buffer(out))

    @property
    def cache(self) -> Any:
        """What the library needs of them."""
        return self._aggregated[0]

    @property
    def public(self) -> bytes:
        """The x-only key, 32 bytes, under which their signature verifies."""
        return self._aggregated[1]

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether all of them signed the 32-byte `message` together."""
        return schnorr_signed_by(b"\x02" + self.public, message, signature)


@lru_cache(maxsize=256)
def group(keys: tuple[bytes, ...]) -> Group:
    """The group of these keys; adding 64 keys up takes milliseconds, and committees come again."""
    return Group(keys)


class SecretNonce:
    """A signer's own nonce for one message, with its public half. It signs once."""

    def __init__(self, key: NodeKey, message: bytes, signers: Group) -> None:
        self._secret = _ffi.new("secp256k1_musig_secnonce *")
        public, random = _ffi.new("secp256k1_musig_pubnonce *"), _ffi.new("unsigned char[32]", secrets.token_bytes(32))
        made = _lib.secp256k1_musig_nonce_gen(
            _context, self._secret, public, random, key.secret, _public(key.public), message, signers.cache, _ffi.NULL
        )  # the library wipes `random`, so that it makes no second nonce
        if not made:
            raise RecordError("the system gave no randomness")
        out = _ffi.new(f"unsigned char[{NONCE}]")
        _lib.secp256k1_musig_pubnonce_serialize(_context, out, public)
        self.public = bytes(_ffi.buffer(out))
        self._message, self._signers = message, signers

    def sign(self, key: NodeKey, nonces: bytes) -> bytes:
        """This signer's part under the aggregated `nonces`, 32 bytes. RecordError when it has signed before, when
        `nonces` are none, or when `key` is not the one that it was made for. Used up by the attempt."""
        secret, self._secret = self._secret, None
        if secret is None:
            raise RecordError("this nonce has signed: each signature needs a new one")
        try:
            if key.public not in self._signers.keys:
                raise RecordError("this signer is not in the group")
            session = _session(self._signers, nonces, self._message)
            pair, part = _ffi.new("secp256k1_keypair *"), _ffi.new("secp256k1_musig_partial_sig *")
            _lib.secp256k1_keypair_create(_context, pair, key.secret)
            # A key that is not the nonce's would call the library's illegal-argument callback, which ends the process.
            if bytes(_ffi.buffer(_ffi.addressof(pair[0]), 96))[32:] != bytes(_ffi.buffer(secret, 132))[68:]:
                raise RecordError("this nonce was made for another key")
            if not _lib.secp256k1_musig_partial_sign(_context, part, secret, pair, self._signers.cache, session):
                raise RecordError("the nonce could not sign")
            out = _ffi.new(f"unsigned char[{PART}]")
            _lib.secp256k1_musig_partial_sig_serialize(_context, out, part)
            return bytes(_ffi.buffer(out))
        finally:
            _ffi.memmove(secret, bytes(132), 132)

    def __repr__(self) -> str:
        return "SecretNonce(used)" if self._secret is None else "SecretNonce(unused)"


def add_nonces(nonces: Sequence[bytes]) -> bytes:
    """All signers' public nonces as one, 66 bytes. RecordError (with the place) when one of them is none."""
    parsed = [_nonce(nonce, i) for i, nonce in enumerate(nonces)]
    if not parsed:
        raise RecordError("there is no nonce to add")
    total, out = _ffi.new("secp256k1_musig_aggnonce *"), _ffi.new(f"unsigned char[{NONCE}]")
    _lib.secp256k1_musig_nonce_agg(_context, total, parsed, len(parsed))
    _lib.secp256k1_musig_aggnonce_serialize(_context, out, total)
    return bytes(_ffi.buffer(out))


@dataclass(frozen=True)
class Signing:
    """One message, its signers, and all their nonces added up: what a part is checked against."""

    signers: Group
    message: bytes
    nonces: bytes

    @cached_property
    def _session(self) -> Any:
        return _session(self.signers, self.nonces, self.message)

    def fits(self, part: bytes, nonce: bytes, key: bytes) -> bool:
        """Whether `part` is what the signer `key`, who gave this public nonce, had to give."""
        try:
            parsed, own = _part(part), _nonce(nonce, 0)
        except RecordError:
            return False
        if key not in self.signers.keys:
            return False
        return bool(
            _lib.secp256k1_musig_partial_sig_verify(
                _context, parsed, own, _public(key), self.signers.cache, self._session
            )
        )

    def finish(self, parts: Sequence[bytes]) -> bytes:
        """The signature, 64 bytes. RecordError when a part is no number, or the whole does not verify."""
        parsed, out = [_part(part) for part in parts], _ffi.new("unsigned char[64]")
        if not parsed or not _lib.secp256k1_musig_partial_sig_agg(_context, out, self._session, parsed, len(parsed)):
            raise RecordError("the parts add up to no signature")
        signature = bytes(_ffi.buffer(out))
        if not self.signers.signed(self.message, signature):
            raise RecordError("a part is missing or false: the signature does not verify")
        return signature


def _session(signers: Group, nonces: bytes, message: bytes) -> Any:
    if len(message) != 32 or len(nonces) != NONCE:
        raise RecordError(f"a message has 32 bytes, and nonces {NONCE}")
    total, session = _ffi.new("secp256k1_musig_aggnonce *"), _ffi.new("secp256k1_musig_session *")
    if not _lib.secp256k1_musig_aggnonce_parse(_context, total, nonces):
        raise RecordError("the nonces add up to none")
    if not _lib.secp256k1_musig_nonce_process(_context, session, total, message, signers.cache):
        raise RecordError("the nonces can't be used")
    return session


def _public(key: bytes) -> Any:
    parsed = _ffi.new("secp256k1_pubkey *")
    if len(key) != 33 or not _lib.secp256k1_ec_pubkey_parse(_context, parsed, key, 33):
        raise RecordError("public key: not a point on secp256k1")
    return parsed


def _nonce(nonce: bytes, place: int) -> Any:
    parsed = _ffi.new("secp256k1_musig_pubnonce *")
    if len(nonce) != NONCE or not _lib.secp256k1_musig_pubnonce_parse(_context, parsed, nonce):
        raise RecordError(f"the nonce of signer {place} is none")
    return parsed


def _part(part: bytes) -> Any:
    parsed = _ffi.new("secp256k1_musig_partial_sig *")
    if len(part) != PART or not _lib.secp256k1_musig_partial_sig_parse(_context, parsed, part):
        raise RecordError("a part of the signature is no number below the group's order")
    return parsed
