"""Meeting through a public DHT: when to go there, what is told and believed there, and peers there that lie."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from random import Random

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from libp2p.abc import INetStream
from libp2p.kad_dht.common import PROTOCOL_ID
from libp2p.kad_dht.pb.kademlia_pb2 import Message
from libp2p.peer.id import ID
from libp2p.utils.varint import encode_varint_prefixed
from multiaddr import Multiaddr

from p2p import Host, bounds, open_host
from p2p.joining.seeds import resolve
from p2p.reach.places import Places, Scope, tellable
from p2p.rendezvous.amino import open_amino
from p2p.rendezvous.hearsay import Hearsay
from p2p.rendezvous.place import cid_of, dialable, key_of, read_seed, usable_seed
from p2p.rendezvous.schedule import Errand, Schedule
from p2p.rendezvous.service import Rendezvous
from p2p.standing.ranges import Ranges, wide_range_of
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey

from ..dht.test_values import pouring, silent
from ..hosts import LOOPBACK, NETWORK, until

PUBLIC = msgspec.structs.replace(NETWORK, name="public")  # whose peers play those of the public network
PLACES = Places(wide_range_of)
KEY = key_of(NETWORK)
NAMING = ("closerPeers", "providerPeers")  # where an answer names peers
RSA, ED25519 = "QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ", "12D3KooWP7ftjGRMJ6kp6wVHFVdvVcPr84QDgaPiRfDmfCK23Ru8"


# When to go.


class Journey:
    """A schedule, followed minute by minute."""

    def __init__(self) -> None:
        self.schedule, self.now = Schedule(Random(1)), 0.0
        self.gone: list[tuple[float, Errand]] = []

    def pass_(self, seconds: float, known: int, addresses: Sequence[str], answered: int = 20, taken: int = 20) -> None:
        end = self.now + seconds
        while self.now < end:
            if (errand := self.schedule.due(self.now, known, addresses)) is not None:
                self.gone.append((self.now, errand))
                self.schedule.went(self.now, errand, answered, taken, addresses)
            self.now += bounds.RENDEZVOUS_PULSE

    def times(self, errand: Errand) -> list[float]:
        return [at for at, what in self.gone if what is errand]


def test_it_looks_often_while_few_are_known_and_seldom_later() -> None:
    journey = Journey()
    journey.pass_(3600, known=0, addresses=())
    assert journey.gone[0] == (0.0, Errand.LOOK)
    assert 3600 / 200 <= len(journey.gone) <= 3600 / 160 + 1
    before = len(journey.gone)
    journey.pass_(10 * 3600, known=bounds.RENDEZVOUS_FEW, addresses=())
    assert 4 <= len(journey.gone) - before <= 6
    journey.pass_(180, known=1, addresses=())  # they left
    assert journey.gone[-1][0] > journey.now - 200


def test_it_says_where_it_is_before_the_word_lapses_and_when_that_changes() -> None:
    journey = Journey()
    journey.pass_(3600, known=9, addresses=())
    assert not journey.times(Errand.PROVIDE)
    journey.pass_(40 * 3600, known=9, addresses=("a",))
    said = journey.times(Errand.PROVIDE)
    assert said[0] == pytest.approx(3600, abs=10)
    assert len(said) == 4
    assert all(10.5 * 3600 < after - before < 13.5 * 3600 for before, after in pairwise(said))
    journey.pass_(60, known=9, addresses=("a", "b"))
    assert len(journey.times(Errand.PROVIDE)) == len(said) + 1
    for number in range(60):  # relays come and go every minute
        journey.pass_(60, known=9, addresses=("a", str(number)))
    assert len(journey.times(Errand.PROVIDE)) <= len(said) + 1 + 3600 / bounds.RENDEZVOUS_MOVED


@given(st.booleans(), st.booleans(), st.integers(0, 9))
def test_where_nobody_answers_it_rests_longer_and_longer(addressed: bool, walked: bool, known: int) -> None:
    journey = Journey()
    addresses = ("a",) if addressed else ()
    walked = walked and addressed  # they answer, and take nothing
    journey.pass_(12 * 3600, known, addresses, answered=20 if walked else 0, taken=0)
    assert len(journey.gone) < 50
    assert journey.gone[1][0] <= 20 or known >= bounds.RENDEZVOUS_FEW
    gaps = [after[0] - before[0] for before, after in pairwise(journey.gone)]
    assert max(gaps) <= 1.1 * bounds.RENDEZVOUS_RETRY_MOST + bounds.RENDEZVOUS_PULSE
    before = len(journey.gone)
    journey.pass_(2 * bounds.RENDEZVOUS_RETRY_MOST, known, addresses)  # it is back
    assert (Errand.PROVIDE if addressed else Errand.LOOK) in [errand for _, errand in journey.gone[before:]]


# What is told and believed.


def test_networks_meet_in_places_of_their_own() -> None:
    assert cid_of(KEY) == "bafkreihgiqpwrbum4ihr2hbnrpvmjgsb3x2y2yvmictbluoeumb3odsa54"
    others = [msgspec.structs.replace(NETWORK, name="test2"), msgspec.structs.replace(NETWORK, chain_id=2)]
    assert len({KEY, *map(key_of, others)}) == 3


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (f"/ip4/104.131.131.82/tcp/4001/p2p/{RSA}", True),
        (f"/dns4/example.org/tcp/4001/p2p/{ED25519}", True),
        (f"/ip6/2604:1380::1/tcp/4001/p2p/{NodeKey(bytes([9]) * 32).peer_id}", True),
        (f"/ip4/104.131.131.82/udp/4001/quic-v1/p2p/{RSA}", False),
        (f"/dns4/example.org/tcp/443/wss/p2p/{RSA}", False),
        (f"/ip4/1.2.3.4/tcp/1/p2p/{RSA}/p2p-circuit/p2p/{ED25519}", False),
        ("/ip4/104.131.131.82/tcp/4001", False),
        (f"/dnsaddr/bootstrap.libp2p.io/p2p/{RSA}", False),
        ("/ip4/1.2.3.4/tcp/1/p2p/nobody", False),
        ("", False),
    ],
)
def test_seeds_have_keys_of_any_kind_and_tcp(text: str, good: bool) -> None:
    assert (read_seed(text) is not None) is good
    assert usable_seed(text, None) == (text if good else None)
    assert usable_seed(text, "16Uiu2HAmEWQnHq2jLKJypwVnVoQeFCULuyop6atvq2eWjYSUjzNi") is None


async def test_a_seeds_name_leads_to_peers_that_have_no_key_like_ours() -> None:
    records = {
        "_dnsaddr.seeds.example": [f"dnsaddr=/dnsaddr/one.seeds.example/p2p/{RSA}", "v=spf1 -all"],
        "_dnsaddr.one.seeds.example": [
            f"dnsaddr=/ip4/104.131.131.82/tcp/4001/p2p/{RSA}",
            f"dnsaddr=/ip4/104.131.131.82/udp/4001/quic-v1/p2p/{RSA}",
            f"dnsaddr=/ip4/104.131.131.83/tcp/4001/p2p/{ED25519}",
        ],
    }

    async def txt(name: str) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        return records[name]

    found = await resolve("/dnsaddr/seeds.example", txt, usable_seed)
    assert found.addresses == (f"/ip4/104.131.131.82/tcp/4001/p2p/{RSA}",)


def test_nobody_is_sent_nearer_to_us_than_the_one_who_sends() -> None:
    named = ["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/22", "/ip6/fe80::1/tcp/1", "/ip4/1.2.3.4/tcp/4001"]
    named += ["/dns4/router.lan/tcp/80", "/ip4/1.2.3.4/udp/4001/quic-v1", "/ip4/0.0.0.0/tcp/1"]
    named += [f"/ip4/1.2.3.4/tcp/1/p2p/{RSA}/p2p-circuit", f"/ip4/1.2.3.5/tcp/1/p2p/{RSA}", f"/p2p/{RSA}"]
    raws = [b"", b"\xff" * 9, *(Multiaddr(each).to_bytes() for each in named)]
    assert [str(each) for each in dialable(raws, PLACES, Scope.GLOBAL)] == [
        "/ip4/1.2.3.4/tcp/4001",
        "/ip4/1.2.3.5/tcp/1",
    ]
    assert len(dialable(raws, PLACES, Scope.LAN)) == 4
    many = [Multiaddr(f"/ip4/1.2.3.4/tcp/{port}").to_bytes() for port in range(1, 100)]
    assert len(dialable(many, PLACES, Scope.GLOBAL)) == bounds.RENDEZVOUS_ADDRESSES


def test_strangers_are_not_told_of_our_lan() -> None:
    circuit = f"/ip4/1.2.3.4/tcp/1/p2p/{RSA}/p2p-circuit/p2p/{ED25519}"
    near = [f"/ip4/192.168.1.2/tcp/1/p2p/{RSA}/p2p-circuit", "/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.2/tcp/1"]
    world = ["/dns4/example.org/tcp/1", "/ip4/1.2.3.4/tcp/1", circuit]
    assert tellable([*near, *world, "nonsense"], PLACES, Scope.GLOBAL) == world


# Who lies there.


def saying(message: Message) -> Callable[[INetStream], Awaitable[None]]:
    return pouring(encode_varint_prefixed(message.SerializeToString()))


def naming(addresses: Sequence[str], count: int = 1) -> Message:
    """An answer that names so many peers and providers at these addresses."""
    raws = [Multiaddr(each).to_bytes() for each in addresses]
    peers = [Message.Peer(id=ID.from_string(NodeKey.generate().peer_id).to_bytes(), addrs=raws) for _ in range(count)]
    return Message(type=Message.GET_PROVIDERS, key=KEY, closerPeers=peers, providerPeers=peers)


@asynccontextmanager
async def public_peer(handler: Callable[[INetStream], Awaitable[None]]) -> AsyncIterator[Host]:
    """A peer of the public network that handles what is asked of it like this."""
    async with open_host(NodeKey.generate(), PUBLIC, listen=LOOPBACK) as host:
        await until(lambda: PROTOCOL_ID in host._host.get_mux().get_protocols())
        host._host.set_stream_handler(PROTOCOL_ID, handler)
        yield host


LIARS: Sequence[Callable[[INetStream], Awaitable[None]]] = (
    saying(naming(["/ip4/127.0.0.1/tcp/1"] * 100, 100)),
    saying(Message(type=Message.GET_VALUE, key=KEY)),
    saying(
        Message(
            type=Message.GET_PROVIDERS,
            closerPeers=[Message.Peer(id=b"", addrs=[b"\xff"]), Message.Peer(id=bytes(99), addrs=[b""])],
            providerPeers=[Message.Peer(id=b"\xff" * 9, addrs=[b"\xff" * 9]), Message.Peer()],
        )
    ),
    pouring(b"\xff" * 99),
    pouring(encode_varint_prefixed(b"\xff" * 99)),
    pouring(encode_varint_prefixed(bytes(10 << 20))),
    silent,
)


@pytest.mark.parametrize("number", range(len(LIARS)))
async def test_a_lying_peer_of_the_public_network_costs_little(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "RENDEZVOUS_PATIENCE", 0.5)
    async with public_peer(LIARS[number]) as liar:
        with trio.fail_after(10):
            async with open_amino(NodeKey.generate(), Ranges()) as amino:
                walk = await amino.walk(KEY, liar.addresses)
                assert await amino.provide(KEY, walk.nearest, ["/ip4/127.0.0.1/tcp/1"]) == 0
        assert len(walk.providers) <= bounds.CLOSEST
        assert all(len(each) <= bounds.ADDRESSES for each in walk.providers.values())
        assert len(amino._known._addresses) <= bounds.CLOSEST
    assert not amino._host.swarm.get_connections()


async def test_a_peer_of_the_world_cannot_send_us_into_our_own_lan() -> None:
    # Loopback plays the world, and 10.0.0.0/8 the LAN.
    ranges = Ranges(wide=lambda address: None if address.startswith("10.") else "the world")
    liar = saying(naming(["/ip4/10.0.0.1/tcp/22"]))
    async with public_peer(liar) as peer, open_amino(NodeKey.generate(), ranges) as amino:
        walk = await amino.walk(KEY, peer.addresses)
        assert (walk.answered, len(walk.nearest)) == (1, 1)
        assert list(walk.providers.values()) == [()]
        assert list(map(str, amino._seeds)) == [peer.peer_id]
        assert not amino._known._addresses
        # Nor does it hear of ours.
        assert await amino.provide(KEY, walk.nearest, ["/ip4/10.0.0.2/tcp/1"]) == 0


async def test_four_liars_who_answer_first_hide_no_provider_and_nobody_else() -> None:
    """An honest peer that answers later than they, and what it says, have their room."""
    told = naming(["/ip4/127.0.0.1/tcp/2"])

    async def late(stream: INetStream) -> None:
        await trio.sleep(0.2)
        await saying(told)(stream)

    async with AsyncExitStack() as stack:
        liars = [
            await stack.enter_async_context(public_peer(saying(naming(["/ip4/127.0.0.1/tcp/1"] * 20, bounds.CLOSEST))))
            for _ in range(4)
        ]
        honest = await stack.enter_async_context(public_peer(late))
        amino = await stack.enter_async_context(open_amino(NodeKey.generate(), Ranges()))
        walk = await amino.walk(KEY, [*(liar.addresses[0] for liar in liars), *honest.addresses])
    assert honest.peer_id in map(str, walk.nearest)
    assert str(ID(told.providerPeers[0].id)) in list(walk.providers)[: bounds.RENDEZVOUS_DIALLED]
    assert len(walk.providers) <= bounds.RENDEZVOUS_FOUND


def test_everybody_has_one_voice_about_who_is_there_and_where() -> None:
    honest, liars = [ID(b"honest %d" % n) for n in range(12)], [ID(b"liar %d" % n) for n in range(4)]
    ours = [ID(b"ours %d" % n) for n in range(3)]
    said = Hearsay()
    for liar in liars:
        for number in range(bounds.CLOSEST):
            said.note(liar, ID(liar.to_bytes() + b"%d" % number), [f"/ip4/1.{number}.0.1/tcp/1"])
        for peer in ours:
            said.note(liar, peer, [f"/ip4/9.9.9.9/tcp/{port}" for port in range(bounds.ADDRESSES)])
            said.note(liar, peer, ["/ip4/8.8.8.8/tcp/1"])  # says it twice
    for one in honest:
        for number, peer in enumerate(ours):
            said.note(one, peer, [f"/ip4/2.{number}.0.1/tcp/1"])
    for seed in range(20):
        first = said.picked(bounds.RENDEZVOUS_FOUND, Random(seed), wide_range_of)[: bounds.RENDEZVOUS_DIALLED]
        assert set(first) >= set(ours)
    for number, peer in enumerate(ours):
        assert said.addresses(peer, 1) == [f"/ip4/2.{number}.0.1/tcp/1"]
        assert "/ip4/8.8.8.8/tcp/1" not in said.addresses(peer, 99)


def test_providers_of_one_wide_range_come_after_the_first_few() -> None:
    said = Hearsay()
    crowd = [ID(b"crowd %d" % n) for n in range(bounds.CLOSEST)]
    others = [ID(b"other %d" % n) for n in range(10)]
    for number, peer in enumerate(crowd):
        said.note(ID(b"liar"), peer, [f"/ip4/1.2.{number}.1/tcp/1"])
    for number, peer in enumerate(others):
        said.note(ID(b"honest"), peer, [f"/ip4/2.{number}.0.1/tcp/1"])
    found = said.picked(bounds.RENDEZVOUS_FOUND, Random(1), wide_range_of)
    assert set(found) == {*crowd, *others}
    assert set(found[: len(others) + bounds.LOOKUP_PER_WIDE]) >= set(others)


async def test_an_id_without_end_is_not_even_written_out() -> None:
    """As text, one of 60 KB takes seconds, in which nothing else would happen."""
    raws = [Multiaddr("/ip4/127.0.0.1/tcp/1").to_bytes()]
    tail = Multiaddr(f"/p2p/{ID(bytes([0, 127]) + bytes(127))}").to_bytes()
    peers = [Message.Peer(id=b"\xff" * 60_000, addrs=raws), Message.Peer(id=b"\xff" * 34, addrs=[raws[0] + tail * 400])]
    for liar in (saying(Message(type=Message.GET_PROVIDERS, key=KEY, **{field: peers})) for field in NAMING):
        async with public_peer(liar) as peer, open_amino(NodeKey.generate(), Ranges()) as amino:
            began = trio.current_time()
            walk = await amino.walk(KEY, peer.addresses)
            assert trio.current_time() - began < 2
            assert list(walk.providers.values()) in ([], [()])
            assert not amino._known._addresses


class Acquaintances:
    """Peers that are found: those in `ours` are of the network, those in `there` answer."""

    def __init__(self, ours: Sequence[str] = (), there: Sequence[str] = ()) -> None:
        self.ours, self.there = ours, there
        self.dialled: list[str] = []
        self.expelled: list[str] = []
        self.rendezvous = Rendezvous(
            NodeKey.generate(), NETWORK, Ranges(), (), self.connect, self.is_ours, self.expelled.append, tuple, tuple
        )

    async def connect(self, addresses: Sequence[str]) -> str:
        peer = addresses[0].rpartition("/")[2]
        self.dialled.append(peer)
        await trio.sleep(1)
        if peer not in self.there:
            raise RemoteError(ErrorCode.UNREACHABLE, "nobody is there")
        self.rendezvous.heard_of(peer)
        return peer

    def is_ours(self, peer: str) -> bool:
        return peer in self.ours and peer in self.dialled

    async def found(self, *peers: str) -> int:
        return await self.rendezvous._get_to_know({peer: ("/ip4/1.2.3.4/tcp/1",) for peer in peers})


async def test_who_is_found_is_dialled_once_an_hour_and_kept_if_it_is_of_the_network(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, foreign, gone = (NodeKey.generate().peer_id for _ in range(3))
    met = Acquaintances(ours=[ours], there=[ours, foreign])
    assert await met.found(ours, foreign, gone, RSA, met.rendezvous._node.peer_id) == 1
    assert sorted(met.dialled) == sorted([ours, foreign, gone])
    assert met.expelled == [foreign]
    assert await met.found(foreign, gone) == 0
    assert len(met.dialled) == 3
    autojump_clock.jump(bounds.RENDEZVOUS_REST + 60)
    assert await met.found(foreign, gone) == 0
    assert len(met.dialled) == 5


async def test_of_many_that_are_found_a_few_are_dialled(autojump_clock: trio.testing.MockClock) -> None:  # noqa: ARG001
    crowd = [NodeKey.generate().peer_id for _ in range(3 * bounds.RENDEZVOUS_DIALLED)]
    met = Acquaintances()
    began = trio.current_time()
    await met.found(*crowd)
    assert len(met.dialled) == bounds.RENDEZVOUS_DIALLED
    assert trio.current_time() - began == bounds.RENDEZVOUS_DIALLED / bounds.RENDEZVOUS_AT_ONCE
    await met.found(*crowd)
    assert len(set(met.dialled)) == 2 * bounds.RENDEZVOUS_DIALLED  # others, the second time


async def test_the_public_network_reaches_nothing_of_ours_but_identify_and_ping() -> None:
    async with (
        open_host(NodeKey.generate(), PUBLIC, listen=LOOPBACK) as peer,
        open_amino(NodeKey.generate(), Ranges()) as amino,
    ):
        await amino.walk(KEY, peer.addresses)
        said = peer._host.speaks(amino._host.get_id())
        assert not [protocol for protocol in said if "hallmark" in protocol or "kad" in protocol or "mesh" in protocol]
        assert amino._host.get_addrs() == []
