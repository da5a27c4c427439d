"""Who gets a place in a mesh, and who loses one: places are earned by score, some are kept for newcomers, and no
address range has more than its share. Functions of what is given, randomness included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from .. import bounds


@dataclass(frozen=True, slots=True)
class Judges:
    """What decides on places: chance, a peer's score, the address range it is in, and whether we dialled it."""

    random: Random
    score: Callable[[str], float]
    range_of: Callable[[str], str | None]
    outgoing: Callable[[str], bool]


def chosen(candidates: Iterable[str], members: Collection[str], count: int, judges: Judges) -> list[str]:
    """Up to `count` of the candidates, for a mesh of these members.

    Two of three by score, the rest by chance, or nobody new would ever have a place.
    """
    found: list[str] = []
    if count <= 0:
        return found
    score = {peer: judges.score(peer) for peer in candidates}
    pool = [peer for peer in score if score[peer] >= bounds.MESH_SCORE]
    judges.random.shuffle(pool)  # the order among equals
    ranked, taken = sorted(pool, key=lambda peer: -score[peer]), Counter(_ranges(members, judges))
    by_score = count - count // 3
    for peer in [*ranked[:by_score], *(p for p in pool if p not in ranked[:by_score]), *ranked]:
        within = judges.range_of(peer)
        if peer in found or (within is not None and taken[within] >= bounds.MESH_PER_RANGE):
            continue
        found.append(peer)
        if within is not None:
            taken[within] += 1
        if len(found) == count:
            break
    return found


def has_room(members: Collection[str], peer: str, judges: Judges) -> bool:
    """Whether the range of `peer` has a place left in a mesh of these members."""
    within = judges.range_of(peer)
    return within is None or Counter(_ranges(members, judges))[within] < bounds.MESH_PER_RANGE


def kept(members: Sequence[str], judges: Judges) -> list[str]:
    """Who of a mesh that is too large stays: `D` peers, of whom the best by score are sure, and of those we dialled,
    whom nobody can send us, the best `D_OUT`."""
    pool = list(members)
    judges.random.shuffle(pool)
    ranked = sorted(pool, key=lambda peer: -judges.score(peer))
    stay = dict.fromkeys([peer for peer in ranked if judges.outgoing(peer)][: bounds.D_OUT])
    for peer in [*ranked[: bounds.D_SCORE], *pool]:
        if len(stay) >= bounds.D:
            break
        stay[peer] = None
    return list(stay)


def median(scores: Sequence[float]) -> float:
    """The middle one, the lower of two; 0 of none."""
    return sorted(scores)[(len(scores) - 1) // 2] if scores else 0.0


def _ranges(members: Iterable[str], judges: Judges) -> list[str]:
    return [within for peer in members if (within := judges.range_of(peer)) is not None]
