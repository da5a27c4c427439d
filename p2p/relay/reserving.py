"""With which relays a private peer holds reservations, and what to do to keep enough of them. A machine without I/O.

It wants RELAYS_WANTED, in different ranges of addresses and near, and renews each at half its life. One that is lost
is replaced at once by another; the lost one is asked again later each time, up to RELAY_RETRY_MAX, for ever. Times are
seconds of any clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from random import Random

from .. import bounds

_RTTS = (0.1, 0.15, 0.2)  # seconds, by origin, for a relay whose round trip is not known
_NEARER = 0.5  # of the farthest relay's round trip, below which another takes its place


class Origin(IntEnum):
    """How a relay became known. Those of the network file are never forgotten."""

    NETWORK = 0  # the network file names it
    MET = 1  # a connected peer says that it relays
    FOUND = 2  # in the DHT


class _State(Enum):
    IDLE = "idle"
    ASKING = "asking"  # for the first time
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the relay for a reservation; then `reserved` or `refused`."""

    relay: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """Look for more relays; then `known` for each."""


Action = Ask | Search


@dataclass(slots=True)
class _Relay:
    peer: str
    addresses: tuple[str, ...]
    origin: Origin
    lot: float  # which of two alike is asked first: not the same for all peers
    state: _State = _State.IDLE
    asking: bool = False  # also while a held one is renewed
    failures: int = 0
    not_before: float = float("-inf")
    expires: float = 0.0
    renew_at: float = 0.0
    rtt: float | None = None
    small: bool = False  # its circuits carry too little for a model
    circuits: tuple[str, ...] = field(default=())


class Reservations:
    """All relays that are known. `range_of`: the range of addresses that an address is in."""

    def __init__(self, range_of: Callable[[str], str | None], random: Random) -> None:
        self._range_of, self._random = range_of, random
        self._relays: dict[str, _Relay] = {}
        self._private = False
        self._search_at = self._review_at = float("-inf")

    # Events.

    def private(self, is_private: bool) -> None:
        """Whether strangers cannot dial this peer. Of one that they can, all reservations lapse."""
        if self._private and not is_private:
            for relay in self._held():
                self._drop(relay)
        self._private = is_private

    def known(self, peer: str, addresses: Sequence[str], origin: Origin) -> None:
        """A relay, and where it is reached."""
        if (relay := self._relays.get(peer)) is not None:
            relay.addresses = tuple(dict.fromkeys((*addresses, *relay.addresses)))[: bounds.ADDRESSES]
            relay.origin = min(relay.origin, origin)
            return
        if len(self._relays) >= bounds.RELAYS_KNOWN:
            worst = max(self._forgettable(), key=lambda r: (r.failures, r.origin, r.lot), default=None)
            if worst is not None:
                del self._relays[worst.peer]
            elif origin is not Origin.NETWORK:
                return
        kept = tuple(addresses)[: bounds.ADDRESSES]
        self._relays[peer] = _Relay(peer, kept, origin, self._random.random())

    def reserved(self, peer: str, circuits: Iterable[str], life: float, rtt: float, small: bool, now: float) -> None:
        """The relay gave a reservation for `life` seconds. `circuits`: the addresses by which it is dialled."""
        if (relay := self._relays.get(peer)) is None:
            return
        relay.asking, relay.failures = False, 0
        relay.state, relay.circuits = _State.HELD, tuple(circuits)
        relay.rtt, relay.small = rtt or relay.rtt, small
        relay.expires = now + life
        relay.renew_at = now + life * (0.4 + 0.2 * self._random.random())
        if not self._private:
            self._drop(relay)
        held = self._held()
        if len(held) > bounds.RELAYS_WANTED:
            self._drop(max(held, key=lambda r: self._rank(r, held)))

    def refused(self, peer: str, now: float) -> None:
        """It gave none, or could not be reached."""
        if (relay := self._relays.get(peer)) is None:
            return
        relay.asking = False
        self._rest(relay, now)
        if relay.state is _State.ASKING:
            relay.state = _State.IDLE

    def lost(self, peer: str, now: float) -> None:
        """The connection to the relay is gone, and the reservation with it."""
        relay = self._relays.get(peer)
        if relay is not None and relay.state is _State.HELD:
            self._drop(relay)
            if not relay.asking:
                self._rest(relay, now)

    def doubtful(self, peer: str, now: float) -> None:
        """One of several connections to the relay is gone; whether the reservation is, only the relay knows."""
        relay = self._relays.get(peer)
        if relay is not None and relay.state is _State.HELD:
            relay.renew_at, relay.expires = now, min(relay.expires, now + bounds.RELAY_DOUBT)

    def measured(self, peer: str, rtt: float) -> None:
        """The relay's round trip, in seconds."""
        if (relay := self._relays.get(peer)) is not None and rtt:
            relay.rtt = rtt

    # What to do.

    def tick(self, now: float) -> list[Action]:
        """What to do now; to be asked after every event, and at `due`."""
        for relay in self._held():
            if relay.expires <= now:
                self._drop(relay)
        if not self._private:
            return []
        actions: list[Action] = []
        for relay in self._held():
            if not relay.asking and max(relay.renew_at, relay.not_before) <= now:
                actions.append(self._ask(relay))
        missing = bounds.RELAYS_WANTED - len(self._taken())
        while missing > 0 and (candidate := self._candidate(now)) is not None:
            candidate.state = _State.ASKING
            actions.append(self._ask(candidate))
            missing -= 1
        if len(self._taken()) < bounds.RELAYS_NEEDED and self._search_at <= now:
            self._search_at = now + bounds.RELAY_SEARCH
            actions.append(Search())
        if self._review_at <= now:
            self._review_at = now + bounds.RELAY_REVIEW
            if missing <= 0 and (nearer := self._nearer(now)) is not None:
                nearer.state = _State.ASKING
                actions.append(self._ask(nearer))
        return actions

    def due(self) -> float:
        """When `tick` has something to do, if nothing happens before; infinity for never."""
        if not self._private:
            return min((relay.expires for relay in self._held()), default=float("inf"))
        times = [self._review_at]
        for relay in self._held():
            times.append(relay.expires)
            if not relay.asking:
                times.append(max(relay.renew_at, relay.not_before))
        taken = len(self._taken())
        if taken < bounds.RELAYS_WANTED:
            times += [r.not_before for r in self._relays.values() if r.state is _State.IDLE and not r.asking]
        if taken < bounds.RELAYS_NEEDED:
            times.append(self._search_at)
        return min(times)

    def held(self) -> tuple[str, ...]:
        """The relays that hold a reservation of ours, the best first."""
        held = self._held()
        return tuple(relay.peer for relay in sorted(held, key=lambda r: self._rank(r, held)))

    def holds(self, peer: str) -> bool:
        """Whether this relay does."""
        relay = self._relays.get(peer)
        return relay is not None and relay.state is _State.HELD

    def circuits(self) -> tuple[str, ...]:
        """The addresses by which this peer is dialled over relays, the best relay's first."""
        return tuple(text for peer in self.held() for text in self._relays[peer].circuits)

    def _held(self) -> list[_Relay]:
        return [relay for relay in self._relays.values() if relay.state is _State.HELD]

    def _taken(self) -> list[_Relay]:
        return [relay for relay in self._relays.values() if relay.state is not _State.IDLE]

    def _forgettable(self) -> list[_Relay]:
        known = self._relays.values()
        return [r for r in known if r.state is _State.IDLE and not r.asking and r.origin is not Origin.NETWORK]

    def _ask(self, relay: _Relay) -> Ask:
        relay.asking = True
        return Ask(relay.peer, relay.addresses)

    def _candidate(self, now: float) -> _Relay | None:
        usable = self._usable(now)
        taken = self._taken()
        return min(usable, key=lambda r: self._rank(r, taken), default=None)

    def _nearer(self, now: float) -> _Relay | None:
        held = self._held()
        if len(held) < bounds.RELAYS_WANTED:
            return None
        worst = max(held, key=lambda r: self._rank(r, held))
        kept = [relay for relay in held if relay is not worst]
        usable = [relay for relay in self._usable(now) if relay.rtt is not None]
        best = min(usable, key=lambda r: self._rank(r, kept), default=None)
        if best is None or best.rtt is None or best.rtt > _NEARER * _rtt(worst):
            return None
        return best if self._rank(best, kept) < self._rank(worst, kept) else None

    def _usable(self, now: float) -> list[_Relay]:
        known = self._relays.values()
        return [r for r in known if r.state is _State.IDLE and not r.asking and r.not_before <= now]

    def _rank(self, relay: _Relay, others: Sequence[_Relay]) -> tuple[bool, bool, bool, float, float]:
        """What relays are sorted by, the best first; one beside others of its range is worse."""
        where = self._where(relay)
        near = where is not None and any(self._where(other) == where for other in others if other is not relay)
        return relay.failures > 0, relay.small, near, _rtt(relay), relay.lot

    def _where(self, relay: _Relay) -> str | None:
        return self._range_of(relay.addresses[0]) if relay.addresses else None

    def _drop(self, relay: _Relay) -> None:
        relay.state, relay.circuits = _State.IDLE, ()

    def _rest(self, relay: _Relay, now: float) -> None:
        """Later each time, and not all peers of a relay that comes back at the same moment."""
        pause = min(bounds.RELAY_RETRY * 2 ** min(relay.failures, 10), bounds.RELAY_RETRY_MAX)
        relay.failures += 1
        relay.not_before = now + pause * (0.75 + 0.25 * self._random.random())


def _rtt(relay: _Relay) -> float:
    return _RTTS[relay.origin] if relay.rtt is None else relay.rtt
