"""Who gets a place in a mesh, and who loses one: places are earned by score, some are kept for newcomers, and no
address range has more than its share: a narrow one never, a wide one only where nobody else wants a place, or peers of
one cloud would have none. Functions of what is given, randomness included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from .. import bounds


@dataclass(frozen=True, slots=True)
class Judges:
    """What decides on places: chance, a peer's score, the address ranges it is in, and whether we dialled it."""

    random: Random
    score: Callable[[str], float]
    range_of: Callable[[str], str | None]
    wide_of: Callable[[str], str | None]
    outgoing: Callable[[str], bool]


def chosen(candidates: Iterable[str], members: Collection[str], count: int, judges: Judges) -> list[str]:
    """Up to `count` of the candidates, for a mesh of these members.

    Two of three by score, the rest by chance, or nobody new would ever have a place.
    """
    if count <= 0:
        return []
    score = {peer: judges.score(peer) for peer in candidates}
    pool = [peer for peer in score if score[peer] >= bounds.MESH_SCORE]
    judges.random.shuffle(pool)  # the order among equals
    ranked = sorted(pool, key=lambda peer: -score[peer])
    return _spread([*ranked[: count - count // 3], *pool], members, count, judges)


def has_room(members: Iterable[str], peer: str, judges: Judges) -> bool:
    """Whether the range of `peer` has a place left in a mesh of these members."""
    within = judges.range_of(peer)
    return within is None or _counted(members, judges.range_of)[within] < bounds.MESH_PER_RANGE


def is_rare(members: Iterable[str], peer: str, judges: Judges) -> bool:
    """Whether the wide range of `peer` has less than its share of a mesh of these members."""
    within = judges.wide_of(peer)
    return within is None or _counted(members, judges.wide_of)[within] < bounds.MESH_PER_WIDE


def from_elsewhere(candidates: Iterable[str], members: Iterable[str], judges: Judges) -> list[str]:
    """Those of the candidates for whom a mesh of these members has room, and of a wide range with less than its share
    of it."""
    narrow, wide = _counted(members, judges.range_of), _counted(members, judges.wide_of)
    return [
        peer
        for peer in candidates
        if narrow[judges.range_of(peer) or ""] < bounds.MESH_PER_RANGE
        and wide[judges.wide_of(peer) or ""] < bounds.MESH_PER_WIDE
        and judges.score(peer) >= bounds.MESH_SCORE
    ]


def giving_way(members: Iterable[str], judges: Judges) -> str | None:
    """The worst by score of those whose wide range has more than its share; None when none has."""
    within = _counted(members, judges.wide_of)
    crowd = [peer for peer in members if within[judges.wide_of(peer) or ""] > bounds.MESH_PER_WIDE]
    return min(crowd, key=judges.score, default=None)


def kept(members: Sequence[str], judges: Judges) -> list[str]:
    """Who of a mesh that is too large stays: `D` peers, of whom the best by score are sure, and of those we dialled,
    whom nobody can send us, the best `D_OUT`."""
    pool = list(members)
    judges.random.shuffle(pool)
    ranked = sorted(pool, key=lambda peer: -judges.score(peer))
    dialled = [peer for peer in ranked if judges.outgoing(peer)]
    return _spread([*dialled[: bounds.D_OUT], *ranked[: bounds.D_SCORE], *pool], (), bounds.D, judges)


def median(scores: Sequence[float]) -> float:
    """The middle one, the lower of two; 0 of none."""
    return sorted(scores)[(len(scores) - 1) // 2] if scores else 0.0


def _spread(order: Iterable[str], members: Iterable[str], count: int, judges: Judges) -> list[str]:
    """The first `count` that their ranges have room for; who is beyond the share of a wide one comes last."""
    narrow, wide = _counted(members, judges.range_of), _counted(members, judges.wide_of)
    found: dict[str, None] = {}
    crowd: list[str] = []

    def take(peer: str) -> None:
        within, around = judges.range_of(peer), judges.wide_of(peer)
        if len(found) < count and peer not in found and (within is None or narrow[within] < bounds.MESH_PER_RANGE):
            found[peer] = None
            narrow[within or ""] += 1
            wide[around or ""] += 1

    for peer in order:
        around = judges.wide_of(peer)
        if around is not None and wide[around] >= bounds.MESH_PER_WIDE:
            crowd.append(peer)
        else:
            take(peer)
    for peer in crowd:
        take(peer)
    return list(found)


def _counted(members: Iterable[str], place_of: Callable[[str], str | None]) -> Counter[str]:
    return Counter(within for peer in members if (within := place_of(peer)) is not None)
