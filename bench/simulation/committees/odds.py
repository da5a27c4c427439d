"""What arithmetic says beside the simulation: exact tails of a draw without replacement, and intervals for counts."""

from __future__ import annotations

from fractions import Fraction
from math import comb, sqrt

from verify.committee import Committee

from .adversaries import TRIES
from .world import World

_Z = 1.959964  # of a normal distribution, 95% lie this near


def more_than(bound: int, *, of: int, marked: int, drawn: int) -> float:
    """P(X > bound), X counting the marked among `drawn` of a population `of`, without replacement: hypergeometric."""
    return _share_of(range(max(0, bound + 1), min(marked, drawn) + 1), of, marked, drawn)


def at_most(bound: int, *, of: int, marked: int, drawn: int) -> float:
    """P(X ≤ bound), of the same draw; to the last digit, however small."""
    return _share_of(range(min(bound, marked, drawn) + 1), of, marked, drawn)


def _share_of(counts: range, of: int, marked: int, drawn: int) -> float:
    ways = sum(comb(marked, x) * comb(of - marked, drawn - x) for x in counts)
    return float(Fraction(ways, comb(of, drawn)))


def binomial_more_than(bound: int, *, share: float, drawn: int) -> float:
    """The same out of an endless population, of which `share` is marked."""
    places = range(max(0, bound + 1), drawn + 1)
    return min(1.0, sum(comb(drawn, x) * share**x * (1 - share) ** (drawn - x) for x in places))


def at_least_once(chance: float, tries: int) -> float:
    """That it happens in one of so many tries."""
    return 1 - (1 - chance) ** tries if chance > 1e-12 else min(1.0, chance * tries)


def interval(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95% interval for the probability behind `hits` of `trials`; it holds for no hit, too."""
    if trials == 0:
        return 0.0, 1.0
    share, z = hits / trials, _Z
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == trials else middle + half)


def places_of(committee: Committee) -> tuple[int, int, int]:
    """Of a committee with equal weights: members, places, and the largest number of votes that is not enough."""
    members = len(committee.members)
    enough = next(n for n in range(members + 1) if committee.carries(n * committee.members[0].weight))
    return members, len(committee.places), enough - 1


class Odds:
    """Exact odds in this world, with equal stakes."""

    def __init__(self, world: World) -> None:
        self._world, self._of = world, len(world.sites)
        self._shapes: dict[int, tuple[int, int, int]] = {}

    def shape(self, size: int) -> tuple[int, int, int]:
        """Members, places, and the most votes that are not enough, as the product draws them."""
        if size not in self._shapes:
            self._shapes[size] = places_of(self._world.committee(self._world.request(size, 0)))
        return self._shapes[size]

    def held(self, share: float) -> int:
        """The adversary's verifiers."""
        return len(self._world.adversary(share))

    def lie(self, size: int, share: float) -> float:
        """More places in its hands than a verdict needs, bench included."""
        _, places, most = self.shape(size)
        return more_than(most, of=self._of, marked=self.held(share), drawn=places)

    def lie_without_bench(self, size: int, share: float) -> float:
        members, _, most = self.shape(size)
        return more_than(most, of=self._of, marked=self.held(share), drawn=members)

    def lie_binomial(self, size: int, share: float) -> float:
        _, places, most = self.shape(size)
        return binomial_more_than(most, share=share, drawn=places)

    def ground(self, size: int, share: float) -> float:
        return at_least_once(self.lie(size, share), TRIES)

    def refused(self, size: int, share: float) -> float:
        """Too few places with honest verifiers that are alive."""
        _, places, most = self.shape(size)
        adversary = self._world.adversary(share)
        alive = sum(not site.dead and site.index not in adversary for site in self._world.sites)
        return at_most(most, of=self._of, marked=alive, drawn=places)

    def split(self, size: int, share: float) -> float:
        """Enough of its own to lift both halves of the rest, all of them alive and halved evenly."""
        _, places, most = self.shape(size)
        return more_than(2 * (most + 1) - places - 1, of=self._of, marked=self.held(share), drawn=places)
