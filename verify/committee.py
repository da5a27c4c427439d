"""Who judges a request: a draw by weight, without replacement, that anyone can repeat and nobody can steer.

It is seeded by the epoch's beacon and by the request's digest, and it uses keccak and integers only, so that a contract
can repeat it. The exact bytes (‖ joins, integers are 32 bytes big-endian, keys are 33 bytes, SEC 1 compressed):

    pool      the registry of the request's epoch without the excluded addresses, sorted by key (so its order in the
              network file is nothing)
    seed      keccak256(beacon ‖ epoch ‖ request digest)
    draw i    keccak256(seed ‖ i) as an integer, modulo the weight left in the pool: drawn is the first in the pool for
              which the running sum of weights exceeds it; it leaves the pool. i counts from 0.
    members   the first k drawn, sorted by key; all of the pool, where it is no larger than k
    bench     up to ⌈k/4⌉ drawn after them, in the order of the draw, as far as rule 2 lets them
    root      keccak256(epoch ‖ k ‖ key₀ ‖ weight₀ ‖ key₁ ‖ weight₁ …), members and then bench: the places

The bias of the modulo is below 2**-200. Neither who answers nor who asked may judge: both are excluded.

The bench stands in for members that are silent. Nobody can prove silence, so nobody has to: a verdict is certified when
the places that gave it count, together, more than the quorum q of the *members'* weight W, whoever was called.

1. A member counts its weight. A reserve counts its weight, but no more than the members' mean, ⌊W/k⌋: one heavy reserve
   can't stand in for several light members.
2. All reserves together count at most (2q - 1)·W, a third of W where q is two thirds. All places then count at most
   2q·W, so two opposite verdicts can be certified only if somebody gave both, and has signed that it did.

What a convener gains by choosing whom it calls: a false verdict needs liars who count more than q·W among all places,
and no longer among the members alone. The bench adds what it counts at most, so liars must still hold more than
(1 - q)·W of the members, a third, and then all of the largest bench as well. Who holds that much of the members could
always keep every verdict from being reached; with the bench on its side it can also reach one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

from wire.eip712 import keccak256
from wire.errors import RecordError
from wire.inference import Request
from wire.keys import address_of
from wire.network import Network, Verifier

from .bounds import KEPT_COMMITTEES

_address_of = lru_cache(maxsize=8192)(address_of)  # a registry has at most 4096 keys, and every request asks for all

_latest: OrderedDict[tuple[int, bytes], tuple[Network, Committee]] = OrderedDict()  # the digest binds all else


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


@dataclass(frozen=True)
class Committee:
    """The members for one request by key, then its bench in the order of the draw, each with its weight.

    `quorum` is the fraction of the members' weight that a verdict must exceed, as (numerator, denominator).
    """

    epoch: int
    members: tuple[Verifier, ...]
    bench: tuple[Verifier, ...]
    quorum: tuple[int, int]

    @cached_property
    def places(self) -> tuple[Verifier, ...]:
        """Everybody who may have a voice; a ballot's `member` and a bitmap's bits count from here."""
        return self.members + self.bench

    @cached_property
    def total(self) -> int:
        """The weight of all members, which the quorum is a fraction of."""
        return sum(m.weight for m in self.members)

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """What each place counts."""
        return tuple(m.weight for m in self.members) + tuple(_counts(r, self.members) for r in self.bench)

    @cached_property
    def root(self) -> bytes:
        """What commits, votes and certificates name the committee by, 32 bytes."""
        listed = b"".join(m.key + _word(m.weight) for m in self.places)
        return keccak256(_word(self.epoch) + _word(len(self.members)) + listed)

    @cached_property
    def _index(self) -> dict[bytes, int]:
        return {m.key: i for i, m in enumerate(self.places)}

    def index_of(self, public: bytes) -> int | None:
        """The place of the 33-byte key `public`, or None for one who has none."""
        return self._index.get(public)

    def weight(self, places: Collection[int]) -> int:
        """What these places count together."""
        return sum(self.counts[i] for i in places)

    def carries(self, weight: int) -> bool:
        """Whether a verdict of places that count `weight` is the committee's."""
        numerator, denominator = self.quorum
        return weight * denominator > self.total * numerator


def _counts(reserve: Verifier, members: Collection[Verifier]) -> int:
    return min(reserve.weight, sum(m.weight for m in members) // len(members))


def draw(network: Network, request_digest: bytes, exclude: Collection[bytes], size: int = 0) -> Committee:
    """The committee for `request_digest` in the epoch of `network`, `exclude` being the EVM addresses of who may not
    judge.

    It has `size` members (0: `network.committee_size`), or all that may judge when they are fewer. RecordError when
    none may, or when the registry lists one key twice.
    """
    # Two keys that differ only in parity are one BIP340 signer: a vote of one would pass for the other's.
    if len({v.key[1:] for v in network.verifiers}) != len(network.verifiers):
        raise RecordError(f"network {network.name}: a verifier is listed twice; correct the network file")
    pool = sorted((v for v in network.verifiers if _address_of(v.key) not in exclude), key=lambda v: v.key)
    if not pool:
        raise RecordError(
            f"network {network.name} lists no verifier that may judge this request (who asks and who answers may not): "
            "ask in tier signed, or use a network file that lists verifiers"
        )
    size, quorum = size or network.committee_size, (network.quorum_numerator, network.quorum_denominator)
    if len(pool) <= size:
        return Committee(network.epoch, tuple(pool), (), quorum)
    drawn = _drawn(network, request_digest, pool, size + -(-size // 4))
    members = sorted(drawn[:size], key=lambda v: v.key)
    return Committee(network.epoch, tuple(members), _bench(members, drawn[size:], quorum), quorum)


def _drawn(network: Network, request_digest: bytes, pool: list[Verifier], most: int) -> list[Verifier]:
    """The first `most` drawn, in their order."""
    seed = keccak256(network.beacon + _word(network.epoch) + request_digest)
    pool, drawn = list(pool), list[Verifier]()
    while pool and len(drawn) < most:
        sums = list(accumulate(v.weight for v in pool))
        ticket = int.from_bytes(keccak256(seed + _word(len(drawn))), "big") % sums[-1]
        drawn.append(pool.pop(bisect_right(sums, ticket)))
    return drawn


def _bench(members: list[Verifier], reserves: list[Verifier], quorum: tuple[int, int]) -> tuple[Verifier, ...]:
    """As many of the reserves as rule 2 allows, the first drawn first."""
    numerator, denominator = quorum
    most = (2 * numerator - denominator) * sum(m.weight for m in members) // denominator
    sums = accumulate(_counts(r, members) for r in reserves)
    return tuple(r for r, together in zip(reserves, sums, strict=True) if together <= most)


def committee_for(network: Network, request: Request) -> Committee:
    """The one committee that may judge `request`: drawn from the registry that was in force when it was issued, its
    provider and its payer excluded. RecordError when there is none.

    The checks of one answer ask for it again and again, and each draw goes over the whole registry: so the latest are
    kept, by request and by the very tuple that is the epoch's verifiers. Networks that differ in their other epochs
    alone share it: a request in flight keeps its committee when a new epoch is heard of.
    """
    then, digest = network.at(request.issued_ms), request.digest(network.domain)
    kept = _latest.get((id(then.verifiers), digest))
    if kept and _draws_alike(kept[0], then):
        return kept[1]
    committee = draw(then, digest, (request.provider, request.payer), request.committee)
    _latest[id(then.verifiers), digest] = then, committee
    if len(_latest) > KEPT_COMMITTEES:
        _latest.popitem(last=False)
    return committee


def _draws_alike(a: Network, b: Network) -> bool:
    """Whether the same request has the same committee in both."""
    if a.verifiers is not b.verifiers:
        return False
    rules = ("epoch", "beacon", "committee_size", "quorum_numerator", "quorum_denominator")
    return all(getattr(a, name) == getattr(b, name) for name in rules)
