"""Where this peer stands: which of its addresses strangers reach, from what it listens on, what peers see, what a
router maps, and above all from dialling back. A machine without I/O; times are seconds of one clock.

What a peer says it sees us as is believed by nobody: when two networks say the same, it is worth a dial-back. Nothing
counts as reached but what was dialled (`dialback.py`), and no address is confirmed but by a poll (`poll.py`).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from random import Random

from .. import bounds
from .places import IP, NAMES, Places, Scope, ip_of, port_of, written
from .poll import Ask, Poll
from .state import Checker, Mapped, Reach, Reachability

_FAMILIES = (4, 6)


class ReachMachine:
    """What is known so far, and whom to ask next."""

    def __init__(
        self, random: Random, places: Places, now: float, *, announce: Sequence[str] = (), maps: bool = False
    ) -> None:
        self._places, self._began = places, now
        self._maps = self._awaits_mapping = maps  # whether a router may be asked; whether its answer is still due
        self._announce = tuple(announce)
        self._listening: tuple[str, ...] = ()
        self._contacts: dict[str, IP] = {}  # peers that are connected directly, and where they are
        self._guests: dict[str, float] = {}  # those of them that came from outside by themselves, and since when
        self._seen: OrderedDict[str, tuple[str, IP]] = OrderedDict()  # by peer: its network, and where it sees us
        self._agreed: dict[int, IP] = {}  # by family: where several networks see us
        self._polls = {family: Poll(random, places.network) for family in _FAMILIES}
        self._checkers: OrderedDict[str, Checker] = OrderedDict()
        self._mapped, self._pinhole = Mapped(), Mapped()
        self._doubted = self.router_forgot = (
            False  # whether what is mapped is in doubt; so that the router is to be asked
        )
        self.gateway = ""
        self.expected: Scope | None = None  # the widest scope that those are in who are about to be met

    # What is told to it.

    def listens(self, addresses: Sequence[str], now: float) -> None:
        """The addresses of this machine that it listens on, wildcards expanded."""
        if self._listening != (fresh := tuple(addresses)):
            self._listening, self._awaits_mapping = fresh, self._maps
            self._review(now)
            for poll in self._polls.values():  # one that stays the same may lead elsewhere now
                poll.restart(now + bounds.CHECK_SETTLE)

    def meets(self, contacts: Mapping[str, IP], now: float, came: Collection[str] = ()) -> None:
        """The peers that are connected directly now, and where they are. `came`: those of them that dialled us."""
        for peer in contacts.keys() - self._contacts.keys():
            if self._places.scope(contacts[peer]) is Scope.GLOBAL:
                self._polls[contacts[peer].version].met(self._places.network(contacts[peer]), now)
        self._contacts = dict(contacts)
        self._welcome({p for p in came if self._places.scope(contacts[p]) is Scope.GLOBAL}, now)
        for peer in [p for p in self._seen if p not in contacts]:
            del self._seen[peer]

    def observed(self, peer: str, at: IP, now: float) -> None:
        """A peer that is connected says where it sees us."""
        where = self._contacts.get(peer)
        if where is None or self._places.scope(where) is not Scope.GLOBAL or self._places.scope(at) is not Scope.GLOBAL:
            return
        self._seen[peer] = (self._places.network(where), at)
        self._seen.move_to_end(peer)
        if len(self._seen) > bounds.OBSERVERS:
            self._seen.popitem(last=False)
        if self._agreed.get(at.version) == at:
            return
        votes = Counter({ip: len({n for n, seen in self._seen.values() if seen == ip}) for _, ip in self._seen.values()
                         if ip.version == at.version}).most_common(2)  # fmt: skip
        if votes[0][1] >= bounds.CHECKERS_AGREEING and (len(votes) == 1 or votes[1][1] < votes[0][1]):
            self._agreed[at.version] = votes[0][0]
            self._review(now)

    def maps(self, mapped: Mapped, now: float) -> None:
        """What the router maps for us, or why it does not; neither while it is not asked."""
        if mapped.external or mapped.trouble:
            self._awaits_mapping = False
        if self.router_forgot and mapped.external:
            self._polls[4].restart(now + bounds.CHECK_SETTLE)
        self.router_forgot = False
        if mapped != self._mapped:
            self._mapped = mapped
            self._review(now)
            if mapped.external:  # where others were turned away before they may get through now
                self._polls[4].restart(now + bounds.CHECK_SETTLE)

    def pierces(self, pinhole: Mapped, now: float) -> None:
        """What the router lets through its firewall for us over IPv6, or why it lets nothing."""
        if pinhole.external and pinhole.external != self._pinhole.external:
            self._polls[6].restart(now + bounds.CHECK_SETTLE)
        self._pinhole = pinhole

    def answered(self, ask: Ask, tried: Mapping[str, tuple[bool, str]], at_ms: int) -> None:
        """What became of a question: by address, whether it was reached, and why not."""
        self._poll(ask).answered(ask, {address: reached for address, (reached, _) in tried.items()})
        if (where := self._contacts.get(ask.peer)) is None:
            return
        worked = [address for address, (reached, _) in tried.items() if reached]
        detail = worked[0] if worked else next(iter(tried.values()), (False, ""))[1]
        checker = Checker(ask.peer, self._places.network(where), bool(worked), detail, at_ms)
        self._checkers.pop(ask.peer, None)
        self._checkers[ask.peer] = checker
        if len(self._checkers) > bounds.CHECKERS_SHOWN:
            self._checkers.popitem(last=False)

    def unanswered(self, ask: Ask, rest: float, now: float) -> None:
        """A question got no answer; its peer is left alone for `rest` seconds."""
        self._poll(ask).unanswered(ask, rest, now)

    def check(self, now: float) -> None:
        """Ask anew, now."""
        for poll in self._polls.values():
            poll.again(now)

    # What it says.

    @property
    def listening(self) -> tuple[str, ...]:
        """What it listens on."""
        return self._listening

    def asks(self, now: float) -> list[Ask]:
        """Whom to ask now."""
        found = []
        far = {p: ip for p, ip in self._contacts.items() if self._places.scope(ip) is Scope.GLOBAL}
        for family, poll in self._polls.items():
            # Who is seen where we are seen shares our router: it may reach us where nobody else does.
            seen = self._agreed.get(family)
            found += poll.asks({p: ip for p, ip in far.items() if ip.version == family and ip != seen}, now)
        doubted = any(self._polls[4].doubts(address) for address in self._through_router())
        self.router_forgot |= doubted and not self._doubted  # once for each doubt
        self._doubted = doubted
        return found

    @property
    def needs_mapping(self) -> bool:
        """Whether a router stands between us and others, and nothing else is known to let them through."""
        if not self._maps or not self.at_home or self.widest is not Scope.GLOBAL:
            return False
        return bool(self._mapped.external) or not self._polls[4].confirmed

    def wants_mapping(self, now: float) -> bool:
        """Whether a router should be asked now: there was time for others to get through without it."""
        poll = self._polls[4]
        waited = poll.decided or now >= self._began + bounds.CHECK_GRACE
        return self.needs_mapping and waited and not (poll.under_way or poll.glimpsed)

    @property
    def at_home(self) -> str:
        """The address that a router would map to, an IPv4 one that means nothing outside the LAN; "" without any."""
        mine = ((a, ip) for a in self._listening if (ip := ip_of(a)) and ip.version == 4)
        return next((a for a, ip in mine if self._places.scope(ip) is Scope.LAN), "")

    @property
    def needs_pinhole(self) -> bool:
        """Whether strangers are kept from an IPv6 address of ours, or would be without the router's leave."""
        return self._maps and bool(self.outdoors) and (bool(self._pinhole.external) or not self._polls[6].confirmed)

    def wants_pinhole(self) -> bool:
        """Whether a router should be asked for one now: others have tried in vain."""
        poll = self._polls[6]
        return self.needs_pinhole and poll.decided and not (poll.under_way or poll.glimpsed)

    @property
    def outdoors(self) -> str:
        """The address that a router's firewall may hide, an IPv6 one of the world's; "" without any."""
        mine = ((a, ip) for a in self._listening if (ip := ip_of(a)) and ip.version == 6)
        return next((a for a, ip in mine if self._places.scope(ip) is Scope.GLOBAL), "")

    @property
    def widest(self) -> Scope:
        """The widest scope that we listen in or have met."""
        ips = [*self._contacts.values(), *(ip for a in self._listening if (ip := ip_of(a)))]
        return max((self._places.scope(ip) for ip in ips), default=Scope.MACHINE)

    @property
    def met(self) -> Scope | None:
        """The widest scope that a connected peer is in; None while there is none."""
        return max((self._places.scope(ip) for ip in self._contacts.values()), default=None)

    @property
    def confirmed(self) -> tuple[str, ...]:
        """Where strangers reach us."""
        return tuple(address for poll in self._polls.values() for address in poll.confirmed)

    @property
    def glimpsed(self) -> tuple[str, ...]:
        """Where all who could be asked reached us, who were too few to be sure."""
        return tuple(address for poll in self._polls.values() for address in sorted(poll.glimpsed))

    def due(self, now: float) -> float:
        """Seconds until there may be somebody to ask."""
        waiting = [poll.due - now for poll in self._polls.values() if poll.candidates and not poll.under_way]
        return max(0.0, min(waiting, default=bounds.INTERFACES_EVERY))

    def found(self, now: float) -> Reachability:
        """All of it, for a person."""
        confirmed = self.confirmed
        finding = Reachability(
            state=self._state(now),
            confirmed=confirmed,
            checkers=tuple(reversed(self._checkers.values())),
            wanted=bounds.CHECKERS,
            scope=NAMES[self.widest],
            gateway=self.gateway,
            listening=self._listening,
            observed=", ".join(str(ip) for ip in self._agreed.values()),
            mapping=", ".join(dict.fromkeys(self._by(address) for address in confirmed if self._by(address))),
        )
        return replace(finding, reason=self._reason()) if finding.state is Reach.PRIVATE else finding

    def _state(self, now: float) -> Reach:
        if confirmed := self.confirmed:
            return Reach.MAPPED if all(map(self._by, confirmed)) else Reach.PUBLIC
        if not self._listening:
            return Reach.PRIVATE
        if self.widest is not Scope.GLOBAL:
            young = now < self._began + bounds.CHECK_GRACE
            return Reach.CHECKING if young and self.widest is Scope.LAN and not self._contacts else Reach.LOCAL
        if self._only_here():
            return Reach.PRIVATE
        asked = [poll for poll in self._polls.values() if poll.candidates]
        if (self._awaits_mapping and self.at_home) or not all(poll.decided for poll in asked):
            return Reach.CHECKING
        # Nothing to ask about, and enough who see us, each elsewhere: a router that gives every peer another address.
        nowhere = len({network for network, _ in self._seen.values()}) >= bounds.CHECKERS
        return Reach.PRIVATE if asked or nowhere else Reach.CHECKING

    def _reason(self) -> str:
        if not self._listening:
            return "it does not listen"
        if self._only_here():
            return "it listens on this machine only"
        failed = [c for c in self._checkers.values() if not c.reached]
        said = [f"{failed[-1].detail}, say {len(failed)} of the peers that were asked"] if failed else []
        return "; ".join([*said, *(trouble for trouble in (self._mapped.trouble, self._pinhole.trouble) if trouble)])

    def _welcome(self, came: Collection[str], now: float) -> None:
        """Whoever dialled us was a sign that it can be done. Those who dial back go at once, and are none."""
        gone = [since for peer, since in self._guests.items() if peer not in came]
        self._guests = {peer: self._guests.get(peer, now) for peer in came}
        if not came and any(now - since > bounds.CHECK_RETRY for since in gone):
            for poll in self._polls.values():
                poll.doubt(now)

    def _only_here(self) -> bool:
        return all((ip := ip_of(a)) is not None and self._places.scope(ip) is Scope.MACHINE for a in self._listening)

    def _through_router(self) -> list[str]:
        """Where the mapping may be met: at the address that the router says, or, if it errs, at the one others see."""
        if not (external := self._mapped.external):
            return []
        seen = self._agreed.get(4)
        return [external] if seen is None else [external, written(seen, port_of(external))]

    def _by(self, address: str) -> str:
        """What has a router let others through to that address; "" where nothing needs to."""
        if address == self._pinhole.external:
            return self._pinhole.by
        return self._mapped.by if address in self._through_router() else ""

    def _poll(self, ask: Ask) -> Poll:
        ip = ip_of(ask.addresses[0])
        assert ip is not None  # candidates are addresses
        return self._polls[ip.version]

    def _review(self, now: float) -> None:
        """What is worth asking about may have changed."""
        for family, poll in self._polls.items():
            poll.consider(self._candidates(family), now)

    def _candidates(self, family: int) -> list[str]:
        ours = [(a, ip) for a in self._listening if (ip := ip_of(a)) and ip.version == family]
        found = [a for a in self._announce if (ip := ip_of(a)) and ip.version == family]
        if family == 4:
            found += self._through_router()
        found += [a for a, ip in ours if self._places.scope(ip) is Scope.GLOBAL]
        if (seen := self._agreed.get(family)) is not None:
            found += [written(seen, port_of(a)) for a, ip in ours if self._places.scope(ip) is not Scope.MACHINE]
        return [a for a in dict.fromkeys(found) if (ip := ip_of(a)) and self._places.scope(ip) is Scope.GLOBAL]
