"""What the DHT's server answers: nothing to who asks too much, no address that means nothing where it is told."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from libp2p.kad_dht.pb.kademlia_pb2 import Message, Record
from libp2p.peer.id import ID

from p2p import bounds
from p2p.addresses import Multiaddr
from p2p.dht.providers import Providers
from p2p.dht.records import Records, name_of
from p2p.dht.serving import Server
from p2p.dht.table import Table
from p2p.reach.places import Places
from p2p.standing.ranges import wide_range_of
from tests.p2p.dht.test_records import KEY, judge, record
from wire.keys import NodeKey

MACHINE, LAN, WORLD = "/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.9/tcp/1", "/ip4/1.2.3.4/tcp/1"
CIRCUIT = f"/ip4/5.6.7.8/tcp/1/p2p/{NodeKey.generate().peer_id}/p2p-circuit"
CONTENT = b"\x1e\x20" + bytes(32)


def some_peer() -> ID:
    return ID.from_string(NodeKey.generate().peer_id)


class Connection:
    """One from that address; over a relay for none."""

    def __init__(self, address: str, peer: ID) -> None:
        self.peer_id, self._address = peer, address

    def get_transport_addresses(self) -> list[Multiaddr]:
        return [Multiaddr(self._address)]


class FewHosts:
    """What the server asks of its host."""

    def __init__(self) -> None:
        self.me, self.swarm = some_peer(), self

    def get_id(self) -> ID:
        return self.me

    def get_connections(self, _: ID) -> list[object]:
        return []

    def get_addrs(self) -> list[Multiaddr]:
        return [Multiaddr(WORLD)]


class Dht:
    def __init__(self) -> None:
        host: Any = FewHosts()
        self.host, self.table, self.providers = host, Table(host.me), Providers()
        self.records = Records(host.me, judge)
        self.known: dict[str, list[Multiaddr]] = {}
        self.server = Server(
            host,
            self.table,
            self.providers,
            self.records,
            Places(wide_range_of),
            wide_range_of,
            lambda key: key == b"ours",
            lambda peer: self.known.get(peer, []),
        )

    def knows(self, *addresses: str) -> ID:
        """A new peer in the table, that told us these."""
        peer = some_peer()
        self.table.add(peer, None, 0.0)
        self.known[str(peer)] = list(map(Multiaddr, addresses))
        return peer

    def asked(self, message: Message, source: str = WORLD, peer: ID | None = None) -> Message | None:
        connection: Any = Connection(source, peer or some_peer())
        return self.server.answer(connection, message, 0.0)


def told(peers: Any) -> dict[bytes, list[str]]:
    return {peer.id: [str(Multiaddr(raw)) for raw in peer.addrs] for peer in peers}


def providing(peer: ID, *addresses: str, key: bytes = CONTENT) -> Message:
    itself = Message.Peer(id=peer.to_bytes(), addrs=[Multiaddr(each).to_bytes() for each in addresses])
    return Message(type=Message.ADD_PROVIDER, key=key, providerPeers=[itself])


def test_addresses_of_a_lan_stay_in_the_lan() -> None:
    dht = Dht()
    near, far, provider = dht.knows(MACHINE, LAN), dht.knows(MACHINE, LAN, WORLD, CIRCUIT), some_peer()
    assert dht.asked(providing(provider, LAN, WORLD, CIRCUIT), peer=provider) is not None
    for source, of_near, of_far, provides in (
        (WORLD, None, [WORLD, CIRCUIT], [WORLD, CIRCUIT]),
        (f"{CIRCUIT}/p2p/{far}", None, [WORLD, CIRCUIT], [WORLD, CIRCUIT]),  # over a relay may be anybody
        (LAN, [LAN], [LAN, WORLD, CIRCUIT], [LAN, WORLD, CIRCUIT]),
        (MACHINE, [MACHINE, LAN], [MACHINE, LAN, WORLD, CIRCUIT], [LAN, WORLD, CIRCUIT]),
    ):
        for kind, key in ((Message.FIND_NODE, near.to_bytes()), (Message.GET_PROVIDERS, CONTENT)):
            answer = dht.asked(Message(type=kind, key=key), source)
            assert answer is not None
            named = told(answer.closerPeers)
            assert named.get(near.to_bytes()) == of_near
            assert named[far.to_bytes()] == of_far
        assert told(answer.providerPeers) == {provider.to_bytes(): provides}


def test_a_peer_is_believed_about_itself_alone_and_only_with_an_address() -> None:
    dht, liar, victim = Dht(), some_peer(), some_peer()
    for message in (
        providing(victim, WORLD),
        providing(liar),
        providing(liar, WORLD, key=b""),
        providing(liar, WORLD, key=bytes(bounds.DHT_KEY + 1)),
        Message(type=Message.ADD_PROVIDER, key=CONTENT, providerPeers=[Message.Peer(id=liar.to_bytes(), addrs=[b"?"])]),
        Message(type=Message.ADD_PROVIDER, key=CONTENT),
    ):
        assert dht.asked(message, peer=liar) is None
    assert len(dht.providers) == 0


def test_what_this_peer_provides_it_tells() -> None:
    dht = Dht()
    answer = dht.asked(Message(type=Message.GET_PROVIDERS, key=b"ours"))
    assert answer is not None
    assert told(answer.providerPeers) == {dht.host.me.to_bytes(): [WORLD]}


def test_who_asks_is_not_named_to_itself() -> None:
    dht = Dht()
    asker, other = dht.knows(WORLD), dht.knows(WORLD)
    answer = dht.asked(Message(type=Message.GET_PROVIDERS, key=CONTENT), peer=asker)
    assert answer is not None
    assert list(told(answer.closerPeers)) == [other.to_bytes()]


def test_questions_and_what_they_leave_here_are_rationed() -> None:
    dht, flooder = Dht(), some_peer()
    taken = [dht.asked(providing(flooder, WORLD, key=b"key %d" % n), peer=flooder) for n in range(1000)]
    assert sum(each is not None for each in taken) == len(dht.providers) == bounds.STORE_BURST
    put = Message(type=Message.PUT_VALUE, key=name_of(KEY), record=Record(key=name_of(KEY), value=record(1)))
    assert dht.asked(put, peer=flooder) is None
    assert dht.asked(Message(type=Message.PING), peer=flooder) is None
    assert dht.asked(put) == put  # another's is taken
    assert dht.asked(Message(type=Message.PING)) is not None


CROWDED = Dht()
for _ in range(30):
    CROWDED.knows(WORLD, LAN, *(f"/ip4/1.2.3.4/tcp/{port}" for port in range(1, 20)))
KEYS = st.one_of(st.binary(max_size=140), st.just(name_of(KEY)), st.just(CONTENT))


@given(
    st.builds(
        Message,
        type=st.sampled_from([*Message.MessageType.values(), 77]),
        key=KEYS,
        record=st.builds(Record, key=KEYS, value=st.one_of(st.binary(max_size=99), st.just(record(1)))),
        providerPeers=st.lists(
            st.builds(Message.Peer, id=st.binary(max_size=40), addrs=st.lists(st.binary(max_size=300), max_size=20)),
            max_size=30,
        ),
    )
)
def test_any_message_gives_an_answer_within_bounds_or_none(message: Message) -> None:
    answer = CROWDED.asked(message)
    if answer is not None:
        assert answer.ByteSize() < bounds.DHT_MESSAGE
        assert len(answer.closerPeers) <= bounds.CLOSEST + 1
