"""The mesh: to whom what is said on each topic (gossipsub 1.1, and IDONTWANT of 1.2). A machine without I/O.

A peer passes a topic's messages on to the few neighbours of its mesh, and offers ids to some others, who ask for what
they missed. Everything comes in as a call with the time; everything to be said is taken with `output`, and what is to
be held against whom with `faults`. Nothing here knows bytes on the wire, signatures or sockets, so that a thousand of
them can be run under one clock; the same calls with the same `Random` give the same output.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from random import Random

from .. import bounds
from ..rates import Rates
from .history import Recent, Seen
from .lazy import Lazy
from .places import Judges, chosen, from_elsewhere, giving_way, has_room, is_rare, kept, median
from .rpc import Rpc
from .rules import Admission, Rule


class _Peer:
    """A neighbour: what it takes part in, and what it need not be sent."""

    def __init__(self, outgoing: bool) -> None:
        self.outgoing = outgoing
        self.topics: dict[str, None] = {}
        self.unwanted: dict[bytes, None] = {}
        self.control = 0  # subscriptions, GRAFTs and PRUNEs since the last heartbeat


class Mesh:
    """All topics of one peer."""

    def __init__(
        self,
        me: str,
        random: Random,
        score: Callable[[str], float],
        range_of: Callable[[str], str | None],
        wide_of: Callable[[str], str | None],
    ) -> None:
        """`score` of a peer: 0 for a stranger, below it for one that misbehaved. `range_of` a peer: the range of
        addresses it is in, None for one that is not limited; `wide_of`: the wide range around that."""
        self._me, self._random, self._score = me, random, score
        self._judges = Judges(random, score, range_of, wide_of, lambda peer: self._peers[peer].outgoing)
        self._peers: dict[str, _Peer] = {}
        self._takers: dict[str, dict[str, None]] = {}  # by topic: the peers that take part
        self._meshes: dict[str, dict[str, None]] = {}  # of topics that we joined
        self._backoff: dict[tuple[str, str], float] = {}  # by topic and peer: no graft before this, either way
        self._seen, self._recent = Seen(), Recent()
        self._lazy = Lazy(random, self._recent)
        self._pace = Rates(bounds.FORWARD_RATE, bounds.FORWARD_BURST)
        self._older_pace = Rates(bounds.OLDER_RATE, bounds.OLDER_BURST)
        self.older: Collection[str] = ()  # neighbours of release 0.1
        self._senders: dict[bytes, list[str]] = {}  # who sent a message that is being judged
        self._out: dict[str, Rpc] = {}
        self._faults: list[tuple[str, Rule, float]] = []
        self._beats = 0

    # who there is

    def joined_by(self, peer: str, outgoing: bool, now: float) -> None:  # noqa: ARG002 — every event has its time
        """A stream to `peer` is about to carry what we say, for the first time or anew: it has to hear all of it.

        `outgoing`: we dialled it.
        """
        if peer == self._me:
            return
        known = self._peers.setdefault(peer, _Peer(outgoing))
        known.outgoing = known.outgoing or outgoing
        for members in self._meshes.values():
            members.pop(peer, None)  # whose stream broke forgets whose mesh it was in
        self._out.pop(peer, None)
        self._lazy.forget(peer)  # what it was asked for on the stream before may never have reached it
        if self._meshes:
            self._to(peer).subscriptions = [(True, topic) for topic in self._meshes]

    def left_by(self, peer: str, now: float) -> None:
        """The peer is gone. Its back-off stands: coming back is no way around it."""
        self.muted(peer, now)
        self._peers.pop(peer, None)
        self._out.pop(peer, None)

    def muted(self, peer: str, now: float) -> None:  # noqa: ARG002 — as above
        """The peer ended its stream to us: it takes part in nothing until it says so again."""
        if (known := self._peers.get(peer)) is None:
            return
        self._lazy.forget(peer)
        for topic in tuple(known.topics):
            self._unsubscribed(peer, known, topic)

    def join(self, topic: str, now: float) -> None:
        """Take part in a topic."""
        if topic in self._meshes:
            return
        self._meshes[topic] = {}
        for peer in self._peers:
            rpc = self._to(peer)
            rpc.subscriptions = [*rpc.subscriptions, (True, topic)]
        self._fill(topic, now)

    def leave(self, topic: str, now: float) -> None:
        """Take part no more."""
        for peer in self._meshes.pop(topic, {}):
            self._say_prune(peer, topic, bounds.LEFT_BACKOFF, now)
        for peer in self._peers:
            rpc = self._to(peer)
            rpc.subscriptions = [*rpc.subscriptions, (False, topic)]

    def takers(self, topic: str) -> int:
        """How many neighbours take part in a topic."""
        return len(self._takers.get(topic, ()))

    def members(self, topic: str) -> list[str]:
        """Who is in this peer's mesh of a topic."""
        return list(self._meshes.get(topic, ()))

    # what comes

    def heard(self, peer: str, rpc: Rpc, now: float) -> None:
        """Subscriptions and control of a neighbour's; its messages are not looked at."""
        if (known := self._peers.get(peer)) is None:
            return
        for takes_part, topic in rpc.subscriptions:
            if self._within_rate(peer, known):
                self._subscribed(peer, known, topic, takes_part, now)
        for topic in rpc.graft:
            if self._within_rate(peer, known):
                self._grafted(peer, known, topic, now)
        for topic, seconds in rpc.prune:
            if self._within_rate(peer, known):
                self._pruned(peer, topic, seconds, now)
        for message_id in rpc.idontwant:
            if len(known.unwanted) >= bounds.UNWANTED:
                self._lazy.over(peer)
            else:
                known.unwanted[message_id] = None
        if (rpc.ihave or rpc.iwant) and self._score(peer) >= bounds.GOSSIP_SCORE:
            self._offered_and_asked(peer, rpc, now)

    def arrived(self, peer: str, topic: str, message_id: bytes, now: float, size: int = 0) -> bool:
        """A message came from `peer`: is it to be judged, because its id was not seen before?

        Then `admitted` has to follow. `size` in bytes: of a large one the neighbours are told that it is here.
        """
        promiser, wanted = self._lazy.came(peer, message_id, self._is_new, now)
        self._want(promiser, wanted)
        if message_id in self._seen:
            if (senders := self._senders.get(message_id)) is not None:
                senders.append(peer)
            return False
        self._seen.add(message_id, now)
        self._senders[message_id] = [peer]
        if size >= bounds.LARGE:
            for member in self._meshes.get(topic, ()):
                if member != peer:
                    rpc = self._to(member)
                    rpc.idontwant = [*rpc.idontwant, message_id]
        return True

    def awaits(self, peer: str, message_id: bytes) -> bool:
        """Whether we asked the peer for this message, and it has not come."""
        return self._lazy.owes(peer, message_id)

    def admitted(
        self,
        peer: str,  # noqa: ARG002 — the seam's: who sends it again is known from `arrived`
        topic: str,
        message_id: bytes,
        data: bytes,
        verdict: Admission,
        now: float,
    ) -> None:
        """What became of a message that was to be judged. An accepted one is kept and goes to the topic's mesh; an
        ignored one stays seen; a rejected one is forgotten, since who made it up may have taken another's id."""
        senders = self._senders.pop(message_id, ())
        if verdict is Admission.REJECT:
            self._seen.forget(message_id)
        if verdict is Admission.ACCEPT:
            self._recent.keep(topic, message_id, data)
            self._tell(self._meshes.get(topic, ()), senders, topic, message_id, data, now)

    def publish(self, topic: str, message_id: bytes, data: bytes, now: float) -> None:
        """Say something of our own, whether or not we take part: to the mesh, and at once to many others, so that no
        single neighbour can keep it back."""
        self._seen.add(message_id, now)
        self._recent.keep(topic, message_id, data)
        mesh = self._meshes.get(topic, {})
        others = [p for p in self._takers.get(topic, ()) if p not in mesh and self._score(p) >= bounds.GOSSIP_SCORE]
        if len(others) > bounds.FLOOD_PEERS:
            others = self._random.sample(others, bounds.FLOOD_PEERS)
        self._tell([*mesh, *others], (), topic, message_id, data, None)

    def heartbeat(self, now: float) -> None:
        """Once a second: mend the meshes, offer what is recent, and settle what each peer did since the last."""
        self._beats += 1
        for key in [key for key, until in self._backoff.items() if until <= now]:
            del self._backoff[key]
        for topic in self._meshes:
            self._mend(topic, now)
        self._offer()
        self._recent.shift()
        for known in self._peers.values():
            known.control = 0
            if self._beats % bounds.HISTORY == 0:
                known.unwanted.clear()
        broken, excess = self._lazy.heartbeat(now)
        for counts, rule in ((broken, Rule.BROKEN_PROMISE), (excess, Rule.CONTROL_RATE)):
            for peer, count in counts.items():
                self._faults.append((peer, rule, min(1.0, rule.weight * count)))

    # what goes

    def output(self) -> list[tuple[str, Rpc]]:
        """What to send to whom, since the last call."""
        found, self._out = list(self._out.items()), {}
        return found

    def faults(self) -> list[tuple[str, Rule, float]]:
        """What to hold against whom, and its weight, since the last call."""
        found, self._faults = self._faults, []
        return found

    # subscriptions and places

    def _subscribed(self, peer: str, known: _Peer, topic: str, takes_part: bool, now: float) -> None:
        if not takes_part:
            self._unsubscribed(peer, known, topic)
            return
        if topic in known.topics or len(known.topics) >= bounds.TOPICS_PER_PEER:
            return
        known.topics[topic] = None
        self._takers.setdefault(topic, {})[peer] = None
        members = self._meshes.get(topic)
        # At once and not at the next heartbeat, or what is said in a network's first second would be lost.
        if members is not None and len(members) < bounds.D_LOW and self._is_eligible(topic, peer, now):
            self._graft(chosen([peer], members, 1, self._judges), topic)

    def _unsubscribed(self, peer: str, known: _Peer, topic: str) -> None:
        if topic in known.topics:
            del known.topics[topic], self._takers[topic][peer]
            if not self._takers[topic]:
                del self._takers[topic]
            self._meshes.get(topic, {}).pop(peer, None)

    def _grafted(self, peer: str, known: _Peer, topic: str, now: float) -> None:
        members = self._meshes.get(topic)
        if members is None or peer in members:
            return  # no answer for a topic that is not ours: anybody could ask for any number of them
        earliest = self._backoff.get((topic, peer), 0.0) - bounds.BACKOFF_SLACK  # some count whole seconds
        if now < earliest:
            self._faults.append((peer, Rule.GRAFT_IN_BACKOFF, Rule.GRAFT_IN_BACKOFF.weight))
            self._say_prune(peer, topic, bounds.PRUNE_BACKOFF, now)
        elif topic not in known.topics or self._score(peer) < bounds.MESH_SCORE:
            self._say_prune(peer, topic, bounds.PRUNE_BACKOFF, now)
        elif self._makes_room(topic, peer, now):
            members[peer] = None
        else:
            self._say_prune(peer, topic, bounds.FULL_BACKOFF, now)

    def _makes_room(self, topic: str, peer: str, now: float) -> bool:
        """Whether a peer that grafts itself gets a place: of a crowd as long as nobody from elsewhere can be had, and
        one from elsewhere in place of the crowd's worst."""
        members = self._meshes[topic]
        if not has_room(members, peer, self._judges):
            return False
        if not is_rare(members, peer, self._judges):
            few = len(members) < bounds.D_LOW
            return few or (len(members) < bounds.D_HIGH and not self._from_elsewhere(topic, now))
        if len(members) < bounds.D_HIGH:
            return True
        if (worst := giving_way(members, self._judges)) is None:
            return False
        del members[worst]
        self._say_prune(worst, topic, bounds.FULL_BACKOFF, now)
        return True

    def _pruned(self, peer: str, topic: str, seconds: float, now: float) -> None:
        if (members := self._meshes.get(topic)) is None:
            return
        members.pop(peer, None)
        pause = min(seconds or bounds.PRUNE_BACKOFF, bounds.BACKOFF_MOST) + bounds.BACKOFF_SLACK
        self._back_off(topic, peer, now + pause)

    def _mend(self, topic: str, now: float) -> None:
        members = self._meshes[topic]
        for peer in [peer for peer in members if self._score(peer) < bounds.MESH_SCORE]:
            del members[peer]
            self._say_prune(peer, topic, bounds.PRUNE_BACKOFF, now)
        if len(members) > bounds.D_TRIM:
            stay = set(kept(list(members), self._judges))
            for peer in [peer for peer in members if peer not in stay]:
                del members[peer]
                self._say_prune(peer, topic, bounds.FULL_BACKOFF, now)
        self._fill(topic, now)
        lacking = bounds.D_OUT - sum(self._peers[peer].outgoing for peer in members)
        if len(members) >= bounds.D_LOW and lacking > 0:
            dialled = [peer for peer in self._eligible(topic, now) if self._peers[peer].outgoing]
            self._graft(chosen(dialled, members, lacking, self._judges), topic)
        if self._beats % bounds.OPPORTUNITY_BEATS == 0:
            self._graft(chosen(self._better(topic, now), members, bounds.OPPORTUNITY_PEERS, self._judges), topic)

    def _fill(self, topic: str, now: float) -> None:
        members = self._meshes[topic]
        if len(members) < bounds.D_LOW:
            self._graft(chosen(self._eligible(topic, now), members, bounds.D - len(members), self._judges), topic)

    def _better(self, topic: str, now: float) -> list[str]:
        """Who would do a mesh good: those from elsewhere where one wide range has more than its share; else, where it
        brings little, because there are silent peers in it, say, those who brought more."""
        members = self._meshes[topic]
        if giving_way(members, self._judges) is not None and (others := self._from_elsewhere(topic, now)):
            return others
        middle = median([self._score(peer) for peer in members])
        if len(members) < 2 or middle >= bounds.OPPORTUNITY_SCORE:
            return []
        return [peer for peer in self._eligible(topic, now) if self._score(peer) > middle]

    def _from_elsewhere(self, topic: str, now: float) -> list[str]:
        """Who could have a place, and is of a wide range that has less than its share."""
        return from_elsewhere(self._eligible(topic, now), self._meshes[topic], self._judges)

    def _eligible(self, topic: str, now: float) -> list[str]:
        return [peer for peer in self._takers.get(topic, ()) if self._is_eligible(topic, peer, now)]

    def _is_eligible(self, topic: str, peer: str, now: float) -> bool:
        return peer not in self._meshes[topic] and self._backoff.get((topic, peer), 0.0) <= now

    def _graft(self, peers: Sequence[str], topic: str) -> None:
        for peer in peers:
            self._meshes[topic][peer] = None
            rpc = self._to(peer)
            rpc.graft = [*rpc.graft, topic]

    def _say_prune(self, peer: str, topic: str, seconds: float, now: float) -> None:
        self._back_off(topic, peer, now + seconds)
        rpc = self._to(peer)
        if topic in rpc.graft:
            rpc.graft = [other for other in rpc.graft if other != topic]
        if all(other != topic for other, _ in rpc.prune):
            rpc.prune = [*rpc.prune, (topic, seconds)]

    def _back_off(self, topic: str, peer: str, until: float) -> None:
        self._backoff[topic, peer] = max(until, self._backoff.pop((topic, peer), 0.0))
        if len(self._backoff) > bounds.BACKOFFS:
            del self._backoff[next(iter(self._backoff))]

    def _within_rate(self, peer: str, known: _Peer) -> bool:
        known.control += 1
        if known.control > bounds.CONTROLS:
            self._lazy.over(peer)
        return known.control <= bounds.CONTROLS

    # messages and ids

    def _offered_and_asked(self, peer: str, rpc: Rpc, now: float) -> None:
        wanted: list[bytes] = []
        for topic, ids in rpc.ihave:
            if topic in self._meshes:
                wanted += self._lazy.offered(peer, ids, self._is_new, now)
        self._want(peer, wanted)
        if rpc.iwant and (found := self._lazy.asked(peer, rpc.iwant)):
            if peer in self.older:  # it counts what it asked for, too
                found = [each for each in found if self._older_pace.take(peer, now)]
            answer = self._to(peer)
            answer.messages = [*answer.messages, *found]

    def _want(self, peer: str, wanted: Sequence[bytes]) -> None:
        if wanted:
            rpc = self._to(peer)
            rpc.iwant = [*rpc.iwant, *wanted]

    def _is_new(self, message_id: bytes) -> bool:
        return message_id not in self._seen

    def _tell(
        self,
        peers: Iterable[str],
        without: Sequence[str],
        topic: str,
        message_id: bytes,
        data: bytes,
        now: float | None,
    ) -> None:
        """`now` is None for what we say ourselves; of others' no more is passed on than any neighbour takes, or who
        floods us would have us banned for it."""
        message = (topic, message_id, data)
        for peer in peers:
            if peer in without or message_id in self._peers[peer].unwanted:
                continue
            pace = self._older_pace if peer in self.older else self._pace
            if now is None or pace.take(peer, now):
                rpc = self._to(peer)
                rpc.messages = [*rpc.messages, message]

    def _offer(self) -> None:
        for topic, ids in self._recent.offered().items():
            members = self._meshes.get(topic, ())
            others = [
                peer
                for peer in self._takers.get(topic, ())
                if peer not in members and self._score(peer) >= bounds.GOSSIP_SCORE
            ]
            count = max(bounds.D_LAZY, len(others) // bounds.LAZY_PART)
            for peer in self._random.sample(others, min(count, len(others))):
                few = ids if len(ids) <= bounds.IHAVE_IDS else self._random.sample(ids, bounds.IHAVE_IDS)
                rpc = self._to(peer)
                rpc.ihave = [*rpc.ihave, (topic, few)]

    def _to(self, peer: str) -> Rpc:
        rpc = self._out.get(peer)
        if rpc is None:
            rpc = self._out[peer] = Rpc()
        return rpc
