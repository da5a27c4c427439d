"""A few dozen meshes and their standings under one virtual clock: what each says reaches the other 25 ms later."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from p2p import bounds
from p2p.gossip.mesh import Mesh
from p2p.gossip.rpc import Rpc
from p2p.gossip.rules import Admission
from p2p.standing.score import Standing

TOPIC, LINK = "t", 0.025


class Villager:
    """One honest peer: its mesh, what it holds against others, and what it heard when."""

    def __init__(
        self, village: Village, name: str, where: Callable[[str], str | None], wide: Callable[[str], str | None]
    ) -> None:
        self.village, self.name = village, name
        self.standing = Standing()
        self.mesh = Mesh(
            name, Random(f"{village.seed} {name}"), lambda peer: self.standing.score(peer, village.now), where, wide
        )
        self.mesh.join(TOPIC, 0.0)
        self.heard: dict[bytes, float] = {}
        self.copies = 0
        self.broken: Counter[str] = Counter()

    def take(self, sender: str, rpc: Rpc) -> None:
        now = self.village.now
        if self.standing.is_refused(sender, now):
            return
        self.mesh.heard(sender, rpc, now)
        for topic, message_id, data in rpc.messages:
            self.copies += 1
            if self.mesh.arrived(sender, topic, message_id, now, len(data)):
                self.mesh.admitted(sender, topic, message_id, data, Admission.ACCEPT, now)
                self.heard[message_id] = now
                self.standing.credit(sender, now)
        self.flush()

    def beat(self) -> None:
        self.mesh.heartbeat(self.village.now)
        self.flush()
        self.village.later(bounds.HEARTBEAT, self.beat)

    def flush(self) -> None:
        for peer, rpc in self.mesh.output():
            self.village.send(self.name, peer, rpc)
        for peer, rule, weight in self.mesh.faults():
            self.broken[rule.name] += 1
            self.standing.offend(peer, self.village.now, weight, rule.name)


class Village:
    """Honest peers by name; whoever else a message is for is an attacker, whose `hear` gets it."""

    def __init__(
        self,
        seed: int,
        where: Callable[[str], str | None] = lambda _: None,
        wide: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self.seed, self.now, self._where, self._wide = seed, 0.0, where, wide
        self.chance = Random(seed)
        self.peers: dict[str, Villager] = {}
        self.hear: Callable[[str, Rpc], object] = lambda *_: None
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._events = 0

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self._events += 1
        heapq.heappush(self._queue, (self.now + seconds, self._events, call))

    def send(self, sender: str, to: str, rpc: Rpc) -> None:
        def come() -> None:
            if to in self.peers:
                self.peers[to].take(sender, rpc)
            else:
                self.hear(to, rpc)

        self.later(LINK, come)

    def settle(self, names: Sequence[str]) -> None:
        for name in names:
            peer = self.peers[name] = Villager(self, name, self._where, self._wide)
            self.later(self.chance.random(), peer.beat)

    def connect(self, dialler: str, other: str) -> None:
        for name, peer, outgoing in ((dialler, other, True), (other, dialler, False)):
            if name in self.peers:
                self.peers[name].mesh.joined_by(peer, outgoing, self.now)
                self.peers[name].flush()
            else:  # an attacker takes part in everything
                self.send(name, peer, Rpc(subscriptions=[(True, TOPIC)]))

    def mingle(self, dials: int) -> None:
        """Everybody dials so many others."""
        for name in self.peers:
            for other in self.chance.sample([n for n in self.peers if n != name], dials):
                self.connect(name, other)

    def publish(self, name: str, message_id: bytes, size: int = 100) -> float:
        peer = self.peers[name]
        peer.heard[message_id] = self.now
        peer.mesh.publish(TOPIC, message_id, bytes(size), self.now)
        peer.flush()
        return self.now

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, call = heapq.heappop(self._queue)
            call()
        self.now = end

    def delays(self, message_id: bytes, since: float) -> list[float]:
        """When each honest peer had it, in seconds after; those who did not are infinitely late."""
        return sorted(peer.heard.get(message_id, float("inf")) - since for peer in self.peers.values())


def names(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]
