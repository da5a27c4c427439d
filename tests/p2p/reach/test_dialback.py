"""Dialling back between real peers, liars among them: who asks learns the truth, and nobody is dialled for spite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import pytest
import trio

from p2p import Host, Reach, bounds
from p2p.addresses import Multiaddr
from p2p.reach import dialback
from p2p.reach.poll import Ask
from p2p.reach.stranger import channel_of_a_stranger
from p2p.streams import Channel
from tests.p2p.hosts import NETWORK, echo, until
from tests.p2p.hosts import ask as echo_ask
from wire.errors import ErrorCode, RemoteError
from wire.reach import (
    AskDialBack,
    DialBackReply,
    DialBackTaken,
    DialledBack,
    DialOutcome,
    DialTried,
    ReachRequest,
)

from .networks import peer, peers, where

REACHED = DialTried(outcome=DialOutcome.REACHED, detail="")


@contextmanager
def in_another_process(*addresses: str) -> Iterator[list[str]]:
    """Peers in a process of their own; their addresses."""
    command = [sys.executable, "-m", "tests.p2p.reach.checker_process", *addresses]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().split()
        process.stdin.close()


async def dial_back(host: Host, checker: Host, *addresses: str) -> dict[str, tuple[bool, str]]:
    return await host._ways.reach._dial_back.ask(Ask(checker.peer_id, addresses))


async def test_three_peers_in_three_networks_find_a_peer_public() -> None:
    with in_another_process("127.1.0.1", "127.2.0.1", "127.3.0.1") as checkers:
        async with peer("127.0.0.1") as host:
            changed = trio.Event()
            host.on_addresses_changed(lambda: changed.set() if host.reachability().confirmed else None)
            for address in checkers:
                await host.connect([address])
            with trio.fail_after(20):
                await changed.wait()
            found = host.reachability()
            assert found.state is Reach.PUBLIC
            assert found.confirmed == found.listening
            assert {checker.range for checker in found.checkers} == {"127.1", "127.2", "127.3"}
            assert host.addresses == (f"{found.confirmed[0]}/p2p/{host.peer_id}",)


async def test_a_port_that_nobody_can_dial_is_private_and_not_told() -> None:
    async with peers("127.1.0.1", "127.2.0.1", "127.3.0.1") as checkers, peer("127.0.0.1") as host:
        host._host.listening = lambda: [Multiaddr("/ip4/127.0.0.1/tcp/9")]  # type: ignore[method-assign]  # a firewall's
        host._ways.reach.look()
        for checker in checkers:
            await host.connect([where(checker)])
        await until(lambda: host.reachability().state is Reach.PRIVATE)
        assert "refused" in host.reachability().reason.lower()
        assert host.addresses == ()


async def test_over_ipv6_too() -> None:
    async with peers("::1", "::1") as (checker, host):
        await host.connect([where(checker)])
        address = host.reachability().listening[0]
        assert address.startswith("/ip6/::1/tcp/")
        assert await dial_back(host, checker, address) == {address: (True, address)}


async def test_only_the_address_that_the_asker_is_seen_at_is_dialled() -> None:
    async with peers("127.1.0.1", "127.0.0.1", "127.5.0.1") as (checker, host, victim):
        await host.connect([where(checker)])
        address = victim.reachability().listening[0]
        mine = host.reachability().listening[0]
        found = await dial_back(host, checker, address, "/dns4/localhost/tcp/1", "nonsense", mine)
        assert [reached for reached, _ in found.values()] == [False, False, False, True]
        assert "not seen" in found[address][1]
        assert not victim.connected()


async def test_one_peer_has_others_dial_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "DIAL_BACK_RATE", 0.0)
    async with peers("127.1.0.1", "127.0.0.1") as (checker, host):
        await host.connect([where(checker)])
        for _ in range(int(bounds.DIAL_BACK_BURST)):
            await dial_back(host, checker, "/ip4/127.0.0.1/tcp/9")
        with pytest.raises(RemoteError) as caught:
            await dial_back(host, checker, "/ip4/127.0.0.1/tcp/9")
        assert caught.value.code is ErrorCode.OVERLOADED


async def test_whatever_answers_at_the_address_costs_the_checker_a_moment() -> None:
    """Silence, an end, garbage, and a line of four gigabytes."""
    greetings = [
        b"",
        b"GET",
        b"\xff\xff\xff\xff\x0f" + b"x" * 70_000,
        b"\x13/multistream/1.0.0\n\x05\xff\xff\xff\xff\n",
    ]

    async def answer(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.send_all(greetings.pop())

    async with peers("127.1.0.1", "127.0.0.1") as (checker, host), trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(partial(trio.serve_listeners, answer, [listener]))
        await host.connect([where(checker)])
        mine = host.reachability().listening[0]
        odd = f"/ip4/127.0.0.1/tcp/{listener.socket.getsockname()[1]}"
        while greetings:
            found = await dial_back(host, checker, odd, mine)
            assert [reached for reached, _ in found.values()] == [False, True]
        nursery.cancel_scope.cancel()


async def test_a_checker_that_claims_to_have_reached_us_is_not_believed() -> None:
    async def lie(channel: Channel) -> None:
        asked = await channel.receive(AskDialBack, timeout=5)
        await channel.send(DialBackReply(tried=(REACHED,) * len(asked.addresses)))

    async with peers("127.1.0.1", "127.0.0.1") as (liar, host):
        liar.handle("reach", lie)
        await host.connect([where(liar)])
        ((reached, why),) = (await dial_back(host, liar, "/ip4/127.0.0.1/tcp/9")).values()
        assert not reached
        assert "did not show" in why


async def test_the_nonce_counts_on_a_new_connection_from_outside_alone() -> None:
    """Said over its own connection, over one that stood before, or by somebody whom we dialled, it shows nothing."""
    runs: list[list[bool]] = []  # the host may ask by itself, too
    async with peers("127.1.0.1", "127.2.0.1", "127.3.0.1", "127.0.0.1") as (liar, friend, dialled, host):

        async def lie(channel: Channel) -> None:
            taken: list[bool] = []
            asked = await channel.receive(AskDialBack, timeout=5)
            for accomplice in (liar, friend, dialled):
                async with accomplice.exchange(host.peer_id, "reach") as other:
                    await other.send(DialledBack(nonce=asked.nonce, address=0))
                    taken.append((await other.receive(DialBackTaken, timeout=5)).known)
            ip, port = dialback.ip_of(mine), dialback.port_of(mine)
            assert ip is not None
            for nonce, index in ((bytes(16), 0), (asked.nonce, 3), (asked.nonce, 0)):
                async with channel_of_a_stranger(ip, port, host.peer_id, NETWORK.protocol("reach")) as other:
                    await other.send(DialledBack(nonce=nonce, address=index))
                    taken.append((await other.receive(DialBackTaken, timeout=5)).known)
            runs.append(taken)
            await channel.send(DialBackReply(tried=(REACHED,)))

        mine = host.reachability().listening[0]
        liar.handle("reach", lie)
        await host.connect([where(liar)])
        await friend.connect([where(host)])
        await host.connect([where(dialled)])
        assert (await dial_back(host, liar, mine))[mine][0]  # by the last stranger, who did as it should
        assert runs
        assert all(taken == [False] * 5 + [True] for taken in runs)


@pytest.mark.parametrize("tried", [(), (REACHED,) * 2])
async def test_an_answer_that_does_not_fit_the_question_is_none(tried: tuple[DialTried, ...]) -> None:
    async def answer(channel: Channel) -> None:
        await channel.receive(ReachRequest, timeout=5)
        await channel.send(DialBackReply(tried=tried) if tried else DialBackTaken(known=True))

    async with peers("127.1.0.1", "127.0.0.1") as (odd, host):
        odd.handle("reach", answer)
        await host.connect([where(odd)])
        with pytest.raises(RemoteError):
            await dial_back(host, odd, host.reachability().listening[0])


async def test_a_peer_without_the_protocol_is_left_alone() -> None:
    async with peers("127.1.0.1", "127.0.0.1") as (old, host):
        old._host.get_mux().remove_handler(NETWORK.protocol("reach"))
        old.handle("echo", echo)
        await host.connect([where(old)])
        with pytest.raises(RemoteError) as caught:
            await dial_back(host, old, host.reachability().listening[0])
        assert caught.value.code is ErrorCode.UNSUPPORTED
        await echo_ask(host, old.peer_id)
