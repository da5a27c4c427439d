"""Who may connect, and who leaves for it. A machine without I/O.

Two rules hold it together. What a stranger's connection costs is bounded before it has said who it is: by its range,
by how many have not said it yet, and by how fast they come. And a full house is no wall: a newcomer takes the place of
one that misbehaved, that is of no use, or whose neighbours are many; but the slots that we dial with are never given
to those who come in, and who brought something good is not sent away for a stranger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from .. import bounds
from ..rates import Rates
from .guests import Guest, Guests
from .score import Standing


@dataclass(eq=False, frozen=True, slots=True)
class Caller:
    """A connection that came in and has not said yet who it is."""

    range: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a connection: refused for breaking `rule`, or admitted once those who make room are gone."""

    rule: str | None = None
    caller: Caller | None = None
    cut: tuple[Caller, ...] = ()
    leave: tuple[Guest, ...] = ()


class Doorkeeper:
    """The connections of one peer, those under way among them."""

    def __init__(self, standing: Standing, guests: Guests) -> None:
        self.standing, self.guests = standing, guests
        self.refused: Counter[str] = Counter()  # by rule, since the start
        self._callers: dict[Caller, None] = {}  # the oldest first
        self._calling: Counter[str | None] = Counter()
        self._arrivals = Rates(bounds.ARRIVAL_RATE, bounds.ARRIVAL_BURST)
        self._wide_arrivals = Rates(bounds.WIDE_ARRIVAL_RATE, bounds.WIDE_ARRIVAL_BURST)
        self._all_arrivals = Rates(bounds.ARRIVALS_RATE, bounds.ARRIVALS_BURST)
        self._kept: list[Callable[[], Iterable[str]]] = []

    def keep(self, peers: Callable[[], Iterable[str]]) -> None:
        """Never send away the peers that this gives when it is asked: bootstraps, relays in use, the mesh's."""
        self._kept.append(peers)

    def knock(self, address: str, now: float) -> Verdict:
        """A connection comes in from this IP address. If it may go on, `Verdict.caller` is to be given to `settled`."""
        where, wide = self.guests.ranges.narrow(address), self.guests.ranges.wide(address)
        if where is not None and self.standing.is_range_refused(where, now):
            return self._refuse("range banned")
        if where is not None and not self._may_arrive(where, wide, now):
            return self._refuse("arrival rate")
        stranger = Guest(None, "", where, wide, False, now)
        if where is not None and self._full(where) and self._room(stranger, now) is None:
            return self._refuse("range full")
        cut = self._give_way(where)
        caller = Caller(where)
        self._callers[caller] = None
        self._calling[where] += 1
        return Verdict(caller=caller, cut=cut)

    def settled(self, caller: Caller) -> None:
        """The caller has said who it is, or is gone."""
        if self._callers.pop(caller, caller) is None:
            self._calling[caller.range] -= 1
            if not self._calling[caller.range]:
                del self._calling[caller.range]

    def enter(self, key: Hashable, peer: str, address: str, outbound: bool, now: float) -> Verdict:
        """A connection stands and has proved whose it is. Those who leave are not counted from now on.

        `address` is its IP address, empty for one over a relay. If it is admitted, `left` is to be called at its end.
        """
        if self.guests.has(key):
            return Verdict()
        if self.standing.is_refused(peer, now):
            return self._refuse("peer banned")
        ranges = self.guests.ranges
        guest = Guest(key, peer, ranges.narrow(address), ranges.wide(address), outbound, now)
        leave = self._room(guest, now)
        if leave is None:
            return self._refuse("no room")
        for each in leave:
            self.guests.remove(each.key)
            self.refused["evicted"] += 1
        self.guests.add(guest)
        return Verdict(leave=leave)

    def left(self, key: Hashable) -> None:
        """The connection is over; one that was never admitted is none."""
        self.guests.remove(key)

    def _refuse(self, rule: str) -> Verdict:
        self.refused[rule] += 1
        return Verdict(rule=rule)

    def _may_arrive(self, where: str, wide: str | None, now: float) -> bool:
        """The smallest first: what one range has no right to is not taken from all."""
        return (
            self._arrivals.take(where, now)
            and (wide is None or self._wide_arrivals.take(wide, now))
            and self._all_arrivals.take("", now)
        )

    def _give_way(self, where: str | None) -> tuple[Caller, ...]:
        """The oldest of a range that is full, or of the fullest one: an honest handshake takes a few round trips."""
        if where is not None and self._calling[where] >= bounds.HALF_OPEN_PER_RANGE:
            fullest: str | None = where
        elif len(self._callers) >= bounds.HALF_OPEN:
            fullest = max(self._calling, key=lambda each: self._calling[each])
        else:
            return ()
        oldest = next(caller for caller in self._callers if caller.range == fullest)
        self.settled(oldest)
        self.refused["half-open"] += 1
        return (oldest,)

    def _room(self, newcomer: Guest, now: float) -> tuple[Guest, ...] | None:
        """Who has to leave for the newcomer; None when it is the newcomer itself."""
        guests = self.guests
        of_peer = guests.of(newcomer.peer)
        if len(of_peer) >= bounds.CONNECTIONS_PER_PEER:
            # Its newest is the one that works.
            return (min(of_peer, key=lambda one: (one.outbound is not newcomer.outbound, one.since)),)
        inward = not newcomer.outbound
        if inward and newcomer.range is not None and self._full(newcomer.range):
            candidates = [one for one in guests if one.range == newcomer.range and not one.outbound]
        elif inward and guests.inbound >= bounds.CONNECTIONS_IN:
            candidates = [one for one in guests if not one.outbound]
        elif len(guests) >= bounds.CONNECTIONS:
            candidates = list(guests)
        else:
            return ()
        kept = {peer for source in self._kept for peer in source()}
        candidates = [one for one in candidates if self._may_leave(one, kept, now)]
        if not newcomer.outbound:
            candidates.insert(0, newcomer)  # the first of equals
        if not candidates:
            return None
        worst = max(candidates, key=lambda one: self._badness(one, newcomer, now))
        return None if worst is newcomer else (worst,)

    def _full(self, where: str) -> bool:
        return self.guests.by_range[where] >= bounds.CONNECTIONS_PER_RANGE

    def _may_leave(self, guest: Guest, kept: set[str], now: float) -> bool:
        young = guest.outbound and now - guest.since < bounds.GRACE  # we dialled it for something just now
        return not young and (guest.peer not in kept or self.standing.score(guest.peer, now) < 0)

    def _badness(
        self, guest: Guest, newcomer: Guest, now: float
    ) -> tuple[float, int, bool, int, bool, int, bool, bool, float]:
        """What is compared to find the worst: each part decides only where those before it are equal."""
        score, busy = self.standing.score(guest.peer, now), self.guests.is_busy(guest.peer)
        crowd = 1
        if guest.wide is not None:  # as it will be once the newcomer is in
            crowd = self.guests.by_wide[guest.wide] + (guest.wide == newcomer.wide)
        return (
            -min(score, 0.0),
            crowd if crowd > bounds.CROWD_MOST else 0,
            score < bounds.OF_USE,
            crowd if crowd > bounds.CROWD else 0,
            not busy and now - guest.used >= bounds.USELESS,
            crowd,
            not busy,
            not guest.outbound,
            guest.since,
        )
