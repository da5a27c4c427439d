"""The attackers: small peers that speak the protocol and nothing of the product, one conduct each.

spams     says forged messages, more than anybody may say, and what others said long ago
is silent takes places in meshes, hears all and passes nothing on
promises  offers messages that do not exist, and asks for all that it was offered, again and again
grafts    asks for a place in the mesh ten times a second, pruned or not
poisons   names only its fellows when asked who is near, and refuses whoever asks for an answer
lies      says of whom it was asked to dial back the opposite of what it found
mixed     a fifth of each

Each of them opens as many connections as it is let, twenty-five at one address range. Those in `Covert` behave as the
product does until their hour has come, and `Censor` drops what one author says, and does all else well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING

from typing_extensions import override

from p2p import bounds
from p2p.gossip.rpc import Rpc

from .honest import OFFERS, Honest, size_of
from .links import Connection
from .measures import Measures
from .peers import Peer, Way

if TYPE_CHECKING:
    from .world import World

SPAM_A_SECOND = 20  # messages on each connection
OFFERED = 40  # ids in one false offer
GRAFTS_A_SECOND = 10
CONNECTIONS = 60  # that one attacker tries to hold


class Attacker(Peer):
    """What all conducts have in common: it connects to its victims, and takes part in the topic."""

    honest = False

    def __init__(self, world: World, index: int, address: str) -> None:
        super().__init__(world, index, address, Way.PUBLIC)
        self.random = Random(f"attacker {world.seed} {index}")
        self.victims: Sequence[Peer] = ()  # all honest peers, unless it is after some of them
        self.fellows: Sequence[Peer] = ()
        self._heard: list[tuple[str, bytes, bytes]] = []

    @override
    def start(self) -> None:
        super().start()
        self._dial()
        self.world.after(self.random.random(), self._beat)

    def _dial(self) -> None:
        """Keep as many connections as it wants; who refuses is tried again, later."""
        if not self.up:
            return
        lacking = min(CONNECTIONS, len(self.victims)) - len(self.connections)
        others = [peer for peer in self.victims if peer.name not in self.connections]
        for peer in self.random.sample(others, max(0, min(lacking, len(others), 10))):
            self.world.dial(self, peer, lambda _: None)
        self.world.after(0.5 if lacking > 0 else 5.0, self._dial)

    @override
    def connected(self, connection: Connection, outgoing: bool) -> None:
        super().connected(connection, outgoing)
        self.send(connection.other(self), Rpc(subscriptions=[(True, OFFERS)], graft=[OFFERS]))

    def send(self, other: Peer, rpc: Rpc) -> None:
        """Say it, if the connection stands."""
        connection = self.connections.get(other.name)
        if connection is not None and other.honest:
            size = size_of(rpc)
            self.world.links.carry(connection, self, size, other.hears, self.name, rpc, size)

    def _beat(self) -> None:
        if self.up:
            for connection in list(self.connections.values()):
                self.act(connection.other(self))
            self.world.after(1.0, self._beat)

    @override
    def hears(self, sender: str, rpc: Rpc, size: int) -> None:
        if len(self._heard) < 200:
            self._heard += rpc.messages

    def act(self, victim: Peer) -> None:
        """Once a second, on each connection."""


class Spammer(Attacker):
    """Forged messages, more good ones than an author may say, and old ones."""

    @override
    def act(self, victim: Peer) -> None:
        messages = []
        for i in range(SPAM_A_SECOND):
            if i % 4 == 0 and self._heard:
                messages.append(self.random.choice(self._heard))
                continue
            spam = self.world.message(self, OFFERS, self.random.getrandbits(40), sound=i % 2 == 1)
            messages.append((OFFERS, spam.id, spam.data))
        self.send(victim, Rpc(messages=messages))


class Silent(Attacker):
    """It has said that it takes part, and grafted itself; that was all."""

    @override
    def act(self, victim: Peer) -> None:
        if self.random.random() < 0.02:  # within its rights, so that nothing can be held against it
            self.send(victim, Rpc(graft=[OFFERS]))


class Promiser(Attacker):
    """It offers what does not exist, and asks for more than it needs."""

    @override
    def act(self, victim: Peer) -> None:
        ids = [self.random.randbytes(40) for _ in range(OFFERED)]
        wanted = [id for _, id, _ in self._heard[-20:]]
        self.send(victim, Rpc(ihave=[(OFFERS, ids)], iwant=wanted))

    @override
    def hears(self, sender: str, rpc: Rpc, size: int) -> None:
        super().hears(sender, rpc, size)
        del self._heard[:-50]


class Grafter(Attacker):
    """It wants a place, whatever it is told."""

    @override
    def act(self, victim: Peer) -> None:
        for i in range(GRAFTS_A_SECOND):
            self.world.after(i / GRAFTS_A_SECOND, self.send, victim, Rpc(graft=[OFFERS]))


class Poisoner(Silent):
    """It names its fellows and nobody else."""

    @override
    def closest(self, place: int, asker: Peer) -> Iterable[Peer]:
        near = sorted(self.fellows, key=lambda peer: peer.place ^ place)
        return [peer for peer in near if peer is not asker][: bounds.CLOSEST]


class Liar(Silent):
    """Asked to dial somebody, it says the opposite of what it found."""

    @override
    def dials_back(self, works: bool) -> bool:
        return not works


class Covert(Honest):
    """The product itself, until `turn`: then it says nothing more, or spams."""

    honest = False

    def __init__(self, world: World, index: int, address: str) -> None:
        super().__init__(world, index, address, Way.PUBLIC, Measures())
        self.turned: type[Attacker] | None = None

    def turn(self, conduct: type[Attacker]) -> None:
        """Its hour has come."""
        self.turned = conduct
        self.world.after(self.random.random(), self._misbehave)

    def _misbehave(self) -> None:
        if not self.up:
            return
        messages = []
        for i in range(SPAM_A_SECOND if self.turned is Spammer else 0):
            spam = self.world.message(self, OFFERS, self.random.getrandbits(40), sound=i % 2 == 1)
            messages.append((OFFERS, spam.id, spam.data))
        for name, connection in list(self.connections.items()):
            other = self.world.named[name]
            rpc = Rpc(messages=messages)
            size = size_of(rpc)
            self.world.links.carry(connection, self, size, other.hears, self.name, rpc, size)
        self.world.after(1.0, self._misbehave)

    @override
    def flush(self) -> None:
        if self.turned is None:
            super().flush()
        else:
            self.mesh.output()  # kept to itself


class Censor(Honest):
    """The product itself, but for what `censored` say: that is not passed on."""

    honest = False

    def __init__(self, world: World, index: int, address: str) -> None:
        super().__init__(world, index, address, Way.PUBLIC, Measures())
        self.censored: frozenset[str] = frozenset()

    @override
    def hears(self, sender: str, rpc: Rpc, size: int) -> None:
        kept = [m for m in rpc.messages if self.world.messages[m[1]].author not in self.censored]
        if len(kept) < len(rpc.messages):
            rpc = Rpc(rpc.subscriptions, kept, rpc.graft, rpc.prune, rpc.ihave, rpc.iwant, rpc.idontwant)
        super().hears(sender, rpc, size)


CONDUCTS: dict[str, Sequence[type[Attacker]]] = {
    "spam": (Spammer,),
    "silent": (Silent,),
    "promises": (Promiser,),
    "grafts": (Grafter,),
    "poison": (Poisoner,),
    "lies": (Liar,),
    "mixed": (Spammer, Silent, Promiser, Grafter, Poisoner),
}
