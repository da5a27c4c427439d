"""The noise handshake without I/O: three messages, in and out, and then one key for each direction.

It is Noise_XX_25519_ChaChaPoly_SHA256 with an empty prologue, as the libp2p noise specification asks. Each side ends
with the other's static key, which the identity signature in the payload ties to a peer id (see `transport.py`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from libp2p.security.noise.exceptions import NoiseFailure

from .cipher import TAG, nonce

PROTOCOL = b"Noise_XX_25519_ChaChaPoly_SHA256"
KEY = 32

# The tokens of the three messages (the noise specification, 7.5); the initiator writes the first and the third.
_PATTERN = (("e",), ("e", "ee", "s", "es"), ("s", "se"))


class Handshake:
    """One side of XX. Call `write` and `read` in turn, the initiator writing first; then `keys`.

    A message out of turn, cut short or not made for us raises NoiseFailure; the handshake is then of no use.
    """

    def __init__(self, static: X25519PrivateKey, initiator: bool, ephemeral: X25519PrivateKey | None = None) -> None:
        self.initiator = initiator
        self.remote_static = b""
        self._static, self._ephemeral = static, ephemeral or X25519PrivateKey.generate()
        self._remote_ephemeral = b""
        self._key: ChaCha20Poly1305 | None = None
        self._nonce = self._step = 0
        self._chain = self._hash = PROTOCOL  # 32 bytes, so it is its own first hash
        self._mix_hash(b"")  # the prologue

    @property
    def done(self) -> bool:
        """Whether all three messages have passed."""
        return self._step == len(_PATTERN)

    def write(self, payload: bytes = b"") -> bytes:
        """Our next message, carrying `payload`."""
        message = bytearray()
        for token in self._next(writing=True):
            if token == "e":
                public = self._ephemeral.public_key().public_bytes_raw()
                self._mix_hash(public)
                message += public
            elif token == "s":
                message += self._seal(self._static.public_key().public_bytes_raw())
            else:
                self._mix_dh(token)
        return bytes(message + self._seal(payload))

    def read(self, message: bytes) -> bytes:
        """The payload of the peer's next message."""
        at = 0

        def take(size: int) -> bytes:
            nonlocal at
            if len(message) < at + size:
                raise NoiseFailure("the peer's handshake message is cut short")
            at += size
            return message[at - size : at]

        for token in self._next(writing=False):
            if token == "e":
                self._remote_ephemeral = take(KEY)
                self._mix_hash(self._remote_ephemeral)
            elif token == "s":
                self.remote_static = self._open(take(KEY + TAG))
            else:
                self._mix_dh(token)
        return self._open(message[at:])

    def keys(self) -> tuple[bytes, bytes]:
        """The key that we seal with, and the key that we open with."""
        if not self.done:
            raise NoiseFailure("the handshake is not over")
        first, second = _derive(self._chain, b"")
        return (first, second) if self.initiator else (second, first)

    def _next(self, writing: bool) -> tuple[str, ...]:
        if self.done or writing != (self.initiator == (self._step % 2 == 0)):
            raise NoiseFailure("a handshake message out of turn")
        self._step += 1
        return _PATTERN[self._step - 1]

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _mix_dh(self, token: str) -> None:
        # The first letter is the initiator's key, the second the responder's.
        ours, theirs = tuple(token) if self.initiator else tuple(reversed(token))
        private = self._ephemeral if ours == "e" else self._static
        remote = self._remote_ephemeral if theirs == "e" else self.remote_static
        try:
            shared = private.exchange(X25519PublicKey.from_public_bytes(remote))
        except ValueError as error:  # a point of low order gives a secret that everybody knows
            raise NoiseFailure("the peer's handshake key is no good") from error
        self._chain, key = _derive(self._chain, shared)
        self._key, self._nonce = ChaCha20Poly1305(key), 0

    def _seal(self, plain: bytes) -> bytes:
        sealed = plain if self._key is None else self._apply(self._key.encrypt, plain)
        self._mix_hash(sealed)
        return sealed

    def _open(self, sealed: bytes) -> bytes:
        try:
            plain = sealed if self._key is None else self._apply(self._key.decrypt, sealed)
        except InvalidTag as error:
            raise NoiseFailure("the peer's handshake message was not made for this handshake") from error
        self._mix_hash(sealed)
        return plain

    def _apply(self, cipher: Callable[[bytes, bytes, bytes], bytes], data: bytes) -> bytes:
        self._nonce += 1
        return cipher(nonce(self._nonce - 1), data, self._hash)


def _derive(chain: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Noise's HKDF with two outputs."""
    secret = hmac.digest(chain, material, "sha256")
    first = hmac.digest(secret, b"\x01", "sha256")
    return first, hmac.digest(secret, first + b"\x02", "sha256")
