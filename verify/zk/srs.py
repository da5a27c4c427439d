"""The structured reference string: powers of a secret that nobody may know, from which proofs are made and checked.

Whoever knows the secret can prove anything. So it matters whose it is: of a public ceremony, where one honest
participant among many suffices, or of the machine that made it.

Checking needs only the first power of either group. An SRS of two rows has them, in the bytes that EZKL reads, and
those of a known ceremony have a known hash. Source: halo2 (poly/kzg/commitment.rs, ParamsKZG, SerdeFormat::RawBytes);
the hash is that of the ceremony's published file of two rows (EZKL, src/srs_sha.rs).
"""

from __future__ import annotations

from hashlib import sha256

from wire.circuit import MAX_LOGROWS, POINT, VERIFIER_SRS
from wire.errors import RecordError

from .fixedpoint import ORDER

DEV = "dev"
CEREMONIES = {
    "cafb2aa72c200ddc4e28aacabb8066e829207e2484b8d17059a566232f8a297b": "perpetual-powers-of-tau",
}
_PRIME = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47  # BN254's base field
_MONTGOMERY = pow(2, 256, _PRIME)  # coordinates are stored multiplied by it
_SECOND_GROUP = 2 * 2 * POINT

_Point = tuple[int, int] | None  # None is the point at infinity


def origin(verifier_srs: bytes) -> str:
    """The ceremony that it comes from; `dev` for any other, whoever says that it is a ceremony's."""
    return CEREMONIES.get(sha256(verifier_srs).hexdigest(), DEV)


def rows_of(srs: bytes) -> int:
    """The binary logarithm of an SRS file's rows; RecordError when it is none."""
    logrows = int.from_bytes(srs[:4], "little")
    if not 1 <= logrows <= MAX_LOGROWS or len(srs) != 4 + 2 * POINT * 2**logrows + _SECOND_GROUP:
        raise RecordError("this is no SRS that EZKL made, or one of a size that is not used here")
    return logrows


def cut_down(srs: bytes) -> bytes:
    """The SRS of two rows inside a larger one; RecordError when `srs` is none."""
    rows_of(srs)
    first, second = (_point(srs[4 + POINT * i : 4 + POINT * (i + 1)]) for i in (0, 1))
    # Lagrange's basis over two rows, 1 and -1: (1 + t) / 2 and (1 - t) / 2 in the exponent.
    half = pow(2, -1, ORDER)
    opposite = None if second is None else (second[0], -second[1] % _PRIME)
    basis = (_times(_add(first, second), half), _times(_add(first, opposite), half))
    found = b"".join(map(_bytes, (first, second, *basis)))
    cut = (1).to_bytes(4, "little") + found + srs[-_SECOND_GROUP:]
    assert len(cut) == VERIFIER_SRS
    return cut


def _point(data: bytes) -> _Point:
    back = pow(_MONTGOMERY, -1, _PRIME)
    x, y = (int.from_bytes(data[i : i + 32], "little") * back % _PRIME for i in (0, 32))
    if (x, y) == (0, 0):
        return None
    if (y * y - x * x * x - 3) % _PRIME:
        raise RecordError("this SRS has a point that is not on the curve")
    return x, y


def _bytes(point: _Point) -> bytes:
    return b"".join((c * _MONTGOMERY % _PRIME).to_bytes(32, "little") for c in point or (0, 0))


def _add(a: _Point, b: _Point) -> _Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % _PRIME == 0:
        return None
    above, below = (3 * a[0] * a[0], 2 * a[1]) if a == b else (b[1] - a[1], b[0] - a[0])
    slope = above * pow(below, -1, _PRIME) % _PRIME
    x = (slope * slope - a[0] - b[0]) % _PRIME
    return x, (slope * (a[0] - x) - a[1]) % _PRIME


def _times(point: _Point, factor: int) -> _Point:
    total: _Point = None
    while factor:
        if factor & 1:
            total = _add(total, point)
        point, factor = _add(point, point), factor >> 1
    return total
