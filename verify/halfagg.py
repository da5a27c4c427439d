"""Half-aggregation: n BIP340 signatures of 64 bytes become one of 32·n + 32, and it still names its signers.

One signature (r, s) is a nonce point and a scalar. The nonces are kept, the scalars are added up under randomizers that
hash everything before them, so that no signer can cancel another's part. Anyone can aggregate; no signer is needed.

A valid aggregate proves that *each* signer signed only if what went in was valid: two invalid signatures can be made to
aggregate to a valid one. So verify each signature before it is aggregated, and keep the originals as evidence.

Source: Half-Aggregation of BIP 340 signatures (BlockstreamResearch/cross-input-aggregation, draft, with z₀ = 1).
Points are added and multiplied in C, by the libsecp256k1 inside coincurve; its raw interface is private to coincurve,
hence the assertion at import.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

from coincurve import _libsecp256k1
from coincurve.context import GLOBAL_CONTEXT

from .bounds import MAX_AGGREGATED

_lib: Any = _libsecp256k1.lib
_ffi: Any = _libsecp256k1.ffi
for _symbol in ("parse", "create", "tweak_mul", "combine", "cmp"):
    if not hasattr(_lib, f"secp256k1_ec_pubkey_{_symbol}"):
        raise ImportError(f"coincurve no longer has secp256k1_ec_pubkey_{_symbol}: install the version in setup.cfg")

_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_EVEN = b"\x02"  # BIP340's lift_x: the point of this x whose y is even


def _tagged(tag: bytes) -> Any:
    return sha256(sha256(tag).digest() * 2)


_RANDOMIZER = _tagged(b"HalfAgg/randomizer")
_CHALLENGE = _tagged(b"BIP0340/challenge")


def _randomizers(parts: Iterable[bytes]) -> Iterator[int]:
    """z₀ = 1, z₁ … for the parts r‖pk‖m: one running hash, so the whole is linear."""
    running = _RANDOMIZER.copy()
    for i, part in enumerate(parts):
        running.update(part)
        yield int.from_bytes(running.copy().digest(), "big") % _ORDER if i else 1


def aggregate(signatures: Sequence[tuple[bytes, bytes, bytes]]) -> bytes:
    """One signature for many: (x-only key, 32-byte message, 64-byte signature) of each, already verified one by one.

    The order counts: verify with the keys and messages in the same one. ValueError for wrong lengths or too many.
    """
    return increment(bytes(32), (), signatures)


def increment(
    aggregated: bytes, pairs: Sequence[tuple[bytes, bytes]], signatures: Sequence[tuple[bytes, bytes, bytes]]
) -> bytes:
    """Adds `signatures` to an aggregate over the (key, message) `pairs`; the draft's IncAggregate."""
    old = len(pairs)
    if old + len(signatures) > MAX_AGGREGATED or len(aggregated) != 32 * (old + 1):
        raise ValueError(f"half-aggregate: {old + len(signatures)} signatures, or an aggregate of the wrong length")
    if any(len(k) != 32 or len(m) != 32 for k, m in pairs):
        raise ValueError("half-aggregate: keys and messages are 32 bytes")
    if any(len(k) != 32 or len(m) != 32 or len(s) != 64 for k, m, s in signatures):
        raise ValueError("half-aggregate: keys and messages are 32 bytes, signatures 64")
    parts = [aggregated[32 * i : 32 * i + 32] + key + message for i, (key, message) in enumerate(pairs)]
    parts += [signature[:32] + key + message for key, message, signature in signatures]
    total = int.from_bytes(aggregated[-32:], "big")
    for i, z in enumerate(_randomizers(parts)):
        if i >= old:
            total += z * int.from_bytes(signatures[i - old][2][32:], "big")
    return b"".join(part[:32] for part in parts) + (total % _ORDER).to_bytes(32, "big")


def verify(aggregated: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether `aggregated` is valid for the (x-only key, 32-byte message) `pairs`, in their order. Never raises.

    s·G = Σ zᵢ·Rᵢ + zᵢ·eᵢ·Pᵢ: two multiplications a signer, and one sum of all 2·n terms.
    """
    count = len(pairs)
    if count > MAX_AGGREGATED or len(aggregated) != 32 * (count + 1):
        return False
    if any(len(key) != 32 or len(message) != 32 for key, message in pairs):
        return False
    scalar = int.from_bytes(aggregated[-32:], "big")
    if scalar >= _ORDER:
        return False
    if count == 0:
        return scalar == 0
    if scalar == 0:  # no honest signer comes here but once in 2**256, and the sum would be no point: refuse
        return False
    context = GLOBAL_CONTEXT.ctx
    terms = _ffi.new("secp256k1_pubkey[]", 2 * count)  # one allocation a call: threads share nothing
    parse, multiply = _lib.secp256k1_ec_pubkey_parse, _lib.secp256k1_ec_pubkey_tweak_mul
    nonces = [aggregated[32 * i : 32 * i + 32] for i in range(count)]
    parts = [nonce + key + message for nonce, (key, message) in zip(nonces, pairs, strict=True)]
    for i, z in enumerate(_randomizers(parts)):
        challenge = _CHALLENGE.copy()
        challenge.update(parts[i])
        weight = z * int.from_bytes(challenge.digest(), "big") % _ORDER
        key_term, nonce_term = terms + 2 * i, terms + 2 * i + 1
        good = (
            parse(context, key_term, _EVEN + pairs[i][0], 33)
            and parse(context, nonce_term, _EVEN + nonces[i], 33)
            and multiply(context, key_term, weight.to_bytes(32, "big"))
            and (i == 0 or multiply(context, nonce_term, z.to_bytes(32, "big")))
        )
        if not good:
            return False
    sides = _ffi.new("secp256k1_pubkey[2]")
    pointers = [terms + i for i in range(2 * count)]
    return bool(
        _lib.secp256k1_ec_pubkey_combine(context, sides, pointers, 2 * count)
        and _lib.secp256k1_ec_pubkey_create(context, sides + 1, aggregated[-32:])
        and _lib.secp256k1_ec_pubkey_cmp(context, sides, sides + 1) == 0
    )
