"""What `hallmark doctor` waits for has an end, however dead everything is: seeds, routers, chains."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import trio

from node.chain.opening import open_purse
from node.config import Config
from node.datadir import DataDir
from node.joining import JOIN_SECONDS
from node.listening import Listening
from node.local import initialise, open_local
from node.networkfile import load_network, save_network
from node.operations import reach
from node.operations.money import show_money
from node.signal import Signal
from p2p import Attempt, Reach, Reachability
from settle import bounds
from settle.deploy import bare

SEED = "/ip4/203.0.113.7/tcp/4001: no answer within 15 s"


def a_peer(*, connected: int, started_ms: int) -> Any:
    """A young peer that does not know yet whether others reach it, as far as `reach` looks at one."""
    host = SimpleNamespace(
        reachability=lambda: Reachability(Reach.CHECKING, listening=("/ip4/192.168.1.2/tcp/4001",)),
        connected=lambda: [object()] * connected,
        is_joining=lambda: True,
        rendezvous=lambda: None,
        bootstrap_report=lambda: [Attempt(SEED, "bootstrap", SEED, 0)],
        awaited=list,
        addresses=(),
    )
    local = SimpleNamespace(config=Config())
    return SimpleNamespace(
        host=host, local=local, started_ms=started_ms, reach_changed=Signal(), listening=Listening(), roles=()
    )


@pytest.mark.parametrize(("connected", "seconds"), [(0, JOIN_SECONDS), (1, reach.PATIENCE)])
async def test_reach_is_waited_for_no_longer_than_somebody_may_answer(
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: Any,  # noqa: ARG001
    connected: int,
    seconds: float,
) -> None:
    began = trio.current_time()
    monkeypatch.setattr(reach, "now_ms", lambda: int(1000 * trio.current_time()))
    told = await reach.show_reach(
        a_peer(connected=connected, started_ms=int(1000 * began)), {"wait": True}, lambda _: None
    )
    assert trio.current_time() - began == pytest.approx(seconds, abs=1.1)
    assert ("alone" in told) is not connected
    if not connected:
        assert SEED in told["alone"]["message"]


async def test_who_does_not_wait_is_told_at_once_and_not_of_company(autojump_clock: Any) -> None:  # noqa: ARG001
    began = trio.current_time()
    told = await reach.show_reach(a_peer(connected=0, started_ms=0), {}, lambda _: None)
    assert (trio.current_time(), "alone" in told) == (began, False)


async def test_a_chain_that_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "OPEN_SECONDS", 0.1)
    directory = DataDir(tmp_path / "data")
    _, place = initialise(directory, None)
    (silent,) = await trio.open_tcp_listeners(0, host="127.0.0.1")  # connections come about, and hear nothing
    async with silent:
        url = f"http://127.0.0.1:{silent.socket.getsockname()[1]}"
        save_network(place, msgspec.structs.replace(load_network(place), chain=bare((url,), 0)))
        async with open_local(directory, Config()) as local, open_purse(local, None) as purse:
            with trio.fail_after(5):
                told = await show_money(purse, {"within": 0.2}, lambda _: None)
    assert "no RPC answered within" in told["problem"]
