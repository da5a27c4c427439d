"""Joining: how long a command waits for a first peer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from node.errors import CommandError, Exit
from node.joining import wait_for_peers
from node.peer import Peer
from p2p import Attempt

GONE = Attempt("/ip4/192.0.2.1/tcp/1", "peer book", "refused", 0)
REFUSED = Attempt("/ip4/192.0.2.2/tcp/1", "bootstrap", "refused", 0)


def asking(
    report: list[Attempt], connected: list[str], *, hopeful: bool = False, awaited: tuple[str, ...] = ()
) -> Peer:
    """What `wait_for_peers` looks at: a peer whose tries are over, or not all of them."""
    host = SimpleNamespace(
        connected=lambda: connected,
        bootstrap_report=lambda: report,
        is_joining=lambda: hopeful,
        awaited=lambda: list(awaited),
        addresses=(),
    )
    return cast(Peer, SimpleNamespace(host=host, bootstraps=1))


def nothing(_: dict[str, Any]) -> None:
    pass


async def test_a_saved_peer_that_is_gone_does_not_end_the_wait_for_the_address_given(autojump_clock: MockClock) -> None:  # noqa: ARG001
    connected = list[str]()

    async def come() -> None:
        await trio.sleep(1)
        connected.append("the one at the address")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(come)
        await wait_for_peers(asking([GONE], connected, hopeful=True), nothing)
    assert connected


async def test_when_the_address_given_has_failed_too_all_failures_are_told(autojump_clock: MockClock) -> None:  # noqa: ARG001
    with pytest.raises(CommandError) as told:
        await wait_for_peers(asking([GONE, REFUSED], []), nothing)
    assert told.value.exit_code == Exit.NO_PEERS
    assert told.value.message.count("refused") == 2
    assert trio.current_time() < 1


async def test_an_old_peer_that_is_up_is_waited_for_though_every_seed_has_failed(autojump_clock: MockClock) -> None:  # noqa: ARG001
    connected = list[str]()

    async def come() -> None:
        await trio.sleep(1)
        connected.append("met before")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(come)
        await wait_for_peers(asking([REFUSED], connected, hopeful=True), nothing)
    assert connected


async def test_a_seed_that_says_nothing_at_all_is_named_when_the_wait_is_over(autojump_clock: MockClock) -> None:  # noqa: ARG001
    with pytest.raises(CommandError) as told:
        await wait_for_peers(asking([], [], hopeful=True, awaited=("the first has not answered yet",)), nothing)
    assert told.value.message == "no peer could be reached:\n  the first has not answered yet"


async def test_a_book_full_of_peers_that_are_gone_does_not_fill_the_screen(autojump_clock: MockClock) -> None:  # noqa: ARG001
    gone = [Attempt(f"/ip4/192.0.2.1/tcp/{n}", "peer book", f"{n} is gone", 0) for n in range(200)]
    with pytest.raises(CommandError) as told:
        await wait_for_peers(asking([REFUSED, *gone], []), nothing)
    assert told.value.message.count("\n") == 10
    assert "refused\n  met before: 0 is gone" in told.value.message
    assert "and 192 more that were met before" in told.value.message
