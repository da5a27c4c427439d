"""Which addresses are told to whom: nothing of a LAN, nothing unspecified and nothing unchecked reaches a stranger."""

from __future__ import annotations

from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.utils.varint import read_length_prefixed_protobuf

from p2p import Host, open_host
from p2p.addresses import Multiaddr, parse_peer
from p2p.reach.announce import told
from p2p.reach.machine import ReachMachine
from p2p.reach.places import IP, Places, Scope, expanded, ip_of
from p2p.standing.ranges import Ranges, wide_range_of
from tests.p2p.hosts import NETWORK
from wire.keys import NodeKey

from .networks import peers, where, wide
from .test_machine import HOME, OUTSIDE, at, meet, poll

HERE, SIX, ULA = "/ip4/127.0.0.1/tcp/4001", "/ip6/2001:db8::7/tcp/4001", "/ip6/fd00::7/tcp/4001"
PLACES = Places(wide_range_of)
EVERYWHERE = [HERE, HOME, ULA, OUTSIDE, SIX]


def machine(*listening: str, met: tuple[str, ...] = ()) -> ReachMachine:
    made = ReachMachine(Random(1), PLACES, 0.0)
    made.listens(listening, 0.0)
    made.meets({f"n{number}": ip_address(ip) for number, ip in enumerate(met)}, 0.0)
    return made


def test_over_a_connection_go_addresses_of_its_scope_or_a_wider_one() -> None:
    it = machine(*EVERYWHERE)
    assert told(it, PLACES, (), Scope.GLOBAL) == ()
    assert told(it, PLACES, (), Scope.LAN) == (OUTSIDE, SIX, HOME, ULA)
    assert told(it, PLACES, (), Scope.MACHINE) == (OUTSIDE, SIX, HOME, ULA, HERE)
    meet(it, 3)
    poll(it, 10.0, reached={OUTSIDE})
    assert told(it, PLACES, (), Scope.GLOBAL) == (OUTSIDE,)


@pytest.mark.parametrize(
    ("met", "recorded"),
    [
        ((), (OUTSIDE, SIX, HOME, ULA, HERE)),
        (("127.0.0.1",), (OUTSIDE, SIX, HOME, ULA, HERE)),
        (("127.0.0.1", "192.168.1.9"), (OUTSIDE, SIX, HOME, ULA)),
        (("fe80::1",), (OUTSIDE, SIX, HOME, ULA)),
        (("127.0.0.1", "20.1.2.3"), ()),
    ],
)
def test_records_hold_for_everybody_who_is_connected(met: tuple[str, ...], recorded: tuple[str, ...]) -> None:
    assert told(machine(*EVERYWHERE, met=met), PLACES, (), None) == recorded


@pytest.mark.parametrize(("expected", "recorded"), [(Scope.MACHINE, 5), (Scope.LAN, 4), (Scope.GLOBAL, 0), (None, 5)])
def test_until_somebody_is_met_records_hold_for_those_about_to_be(expected: Scope | None, recorded: int) -> None:
    it = machine(*EVERYWHERE)
    it.expected = expected
    assert len(told(it, PLACES, (), None)) == recorded


def test_what_the_operator_vouches_for_is_told_to_everybody() -> None:
    vouched = ("/dns4/peer.example/tcp/4001",)
    for over in (*Scope, None):
        assert vouched[0] in told(machine(HOME, met=("20.1.2.3",)), PLACES, vouched, over)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(EVERYWHERE), unique=True),
    st.lists(st.ip_addresses(), max_size=4),
    st.dictionaries(st.integers(0, 5), st.booleans()),
)
def test_a_stranger_is_told_what_was_reached_and_nothing_else(
    listening: list[str], met: list[IP], votes: dict[int, bool]
) -> None:
    it = machine(*listening)
    it.meets({f"n{number}": ip for number, ip in enumerate(met)} | {f"p{n}": at(n) for n in votes}, 0.0)
    shown = set()
    for ask in it.asks(10.0):
        reached = votes.get(int(ask.peer[1:]), False)
        shown |= set(ask.addresses) if reached else set()
        it.answered(ask, {a: (reached, "") for a in ask.addresses}, 0)
    it.asks(10.0)
    assert set(told(it, PLACES, (), Scope.GLOBAL)) <= shown
    if it.met is Scope.GLOBAL:
        assert set(told(it, PLACES, (), None)) <= shown


def test_wildcards_become_this_machines_own_addresses() -> None:
    own = ["127.0.0.1", "192.168.1.7", "169.254.1.1", "::1", "fe80::1%eth0", "2001:db8::7", "::ffff:192.0.2.1"]
    listening = [Multiaddr("/ip4/0.0.0.0/tcp/4001"), Multiaddr("/ip6/::/tcp/4002"), Multiaddr("/ip4/127.0.0.1/tcp/1")]
    assert expanded(listening, own) == (
        "/ip4/127.0.0.1/tcp/4001",
        "/ip4/192.168.1.7/tcp/4001",
        "/ip4/192.0.2.1/tcp/4001",
        "/ip4/127.0.0.1/tcp/1",
        "/ip6/::1/tcp/4002",
        "/ip6/2001:db8::7/tcp/4002",
    )
    assert expanded(listening[::-1], own)[-2:] == ("/ip6/::1/tcp/4002", "/ip6/2001:db8::7/tcp/4002")


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(alphabet="/ip46tcpdns0123456789.:%", max_size=40)))
def test_any_text_has_an_ip_or_none(text: str) -> None:
    assert ip_of(text) is None or text.startswith(("/ip4/", "/ip6/"))


async def test_identify_tells_each_peer_what_holds_for_it() -> None:
    nearby = Ranges(lambda _: None, lambda address: None if "127.0." in address else wide(address))
    opening = open_host(NodeKey.generate(), NETWORK, listen=["/ip4/127.0.0.1/tcp/0"], ranges=nearby)
    async with peers("127.1.0.1", "127.0.0.2") as (stranger, neighbour), opening as host:
        await host.connect([where(neighbour)])
        assert await _identify(neighbour, host) == list(host.reachability().listening)
        assert host.addresses
        await host.connect([where(stranger)])
        assert await _identify(stranger, host) == []
        assert await _identify(neighbour, host) == list(host.reachability().listening)
        assert host.addresses == ()


async def _identify(asker: Host, host: Host) -> list[str]:
    stream = await asker._host.new_stream(parse_peer(host.peer_id), [IDENTIFY])
    said = Identify()
    said.ParseFromString(await read_length_prefixed_protobuf(stream, use_varint_format=True))
    return [str(Multiaddr(address)) for address in said.listen_addrs]
