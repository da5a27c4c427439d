"""A peer's life from start to stop: up, ready, drained, gone.

The first Ctrl-C (or SIGTERM) takes no new work and waits for what is in hand; the second stops at once.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Mapping
from typing import Any

import trio

from .bounds import DRAIN_SECONDS, REACH_EVERY
from .config import Config
from .control import Emit, serve_control
from .datadir import DataDir
from .errors import Exit
from .joining import failures_of, has_fellows, invite, strangers
from .opening import open_peer
from .operations import CHAINED, LOCAL, load_all, run_chained, run_local, run_networked
from .peer import Peer

ALONE_SECONDS = 30.0  # after which it is told who has not answered, tried or not
LOOK_SECONDS = 0.25
AMINO_EVERY = 2.0  # while nothing has come of the public network yet
_JOIN_FROM = {"machine": "terminal", "lan": "machine in this LAN", "global": "terminal or machine"}


async def serve(directory: DataDir, config: Config, on_event: Callable[[dict[str, Any]], None]) -> Exit:
    """Run until stopped; the exit code. Events: `reach` (first, and whenever it changes), `ready`, `joined` and
    `alone` (where there is an address to start from), `rendezvous`, `money` (on a network with a chain), `draining`,
    `stopped`."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            stopping = trio.Event()
            hurried = False

            async def watch() -> None:
                nonlocal hurried
                count = 0
                async for _ in signals:
                    count += 1
                    stopping.set()
                    if count > 1:
                        hurried = True
                        nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            nursery.start_soon(_run, directory, config, on_event, stopping, nursery.cancel_scope)
    on_event({"event": "stopped", "hurried": hurried})
    return Exit.INTERRUPTED if hurried else Exit.OK


async def _run(
    directory: DataDir,
    config: Config,
    on_event: Callable[[dict[str, Any]], None],
    stopping: trio.Event,
    scope: trio.CancelScope,
) -> None:
    load_all()
    async with open_peer(directory, config, serving=True) as peer:

        async def run(name: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
            return await run_here(peer, name, params, emit)

        async with serve_control(directory.socket, run), trio.open_nursery() as nursery:
            reach = await run_here(peer, "reach", {}, lambda _: None)
            on_event({"event": "reach"} | reach)
            on_event(
                {
                    "event": "ready",
                    "peer_id": peer.host.peer_id,
                    "addresses": list(peer.host.addresses),
                    "listening": reach["listening"],
                    "join": invite(peer) if peer.host.addresses else "",
                    "join_from": _JOIN_FROM[reach["scope"]],
                    "roles": list(peer.roles),
                    "network": peer.network.name,
                    "data_dir": str(directory.path),
                    "can_settle": peer.chain is not None and "verifier" in peer.roles and "settler" not in peer.roles,
                }
            )
            nursery.start_soon(_tell_reach, peer, on_event, reach)
            if peer.bootstraps:
                nursery.start_soon(_tell_company, peer, on_event)
            if peer.chain is not None:
                nursery.start_soon(_tell_money, peer, on_event)
            gc.freeze()  # what was made until now stays: to look through it again stops everything for 30 ms
            await stopping.wait()
            peer.draining = True
            on_event({"event": "draining", "busy": peer.busy, "seconds": DRAIN_SECONDS})
            with trio.move_on_after(DRAIN_SECONDS):
                while peer.busy:
                    await peer.idle.wait(1.0)
            nursery.cancel_scope.cancel()
    scope.cancel()


async def _tell_money(peer: Peer, on_event: Callable[[dict[str, Any]], None]) -> None:
    """Once: how this node stands on its chain. A peer is ready before the chain has answered."""
    on_event({"event": "money"} | await run_chained(peer, "money", {}, lambda _: None))


async def _tell_reach(peer: Peer, on_event: Callable[[dict[str, Any]], None], told: dict[str, Any]) -> None:
    """Whenever others reach this peer in another way than was told last."""
    while True:
        seen = peer.reach_changed.count
        found = await run_here(peer, "reach", {}, lambda _: None)
        if found["line"] != told["line"]:
            on_event({"event": "reach"} | found)
        elif (met := found["rendezvous"]) and _outcome(met) != _outcome(told["rendezvous"]):
            on_event({"event": "rendezvous"} | met)
        told = found
        awaited = found["rendezvous_wanted"] and not found["rendezvous"]
        await peer.reach_changed.wait(AMINO_EVERY if awaited else REACH_EVERY, since=seen)


def _outcome(met: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """What is worth telling of an errand to a public network."""
    return () if met is None else (met["failure"], met["found"], met["met"], bool(met["told"]))


async def _tell_company(peer: Peer, on_event: Callable[[dict[str, Any]], None]) -> None:
    """That a first peer was found; before that, once, who was tried in vain, and that those found are strangers."""
    with trio.move_on_after(ALONE_SECONDS):
        while not peer.host.connected() and peer.host.is_joining():  # noqa: ASYNC110 — the host tells nobody
            await trio.sleep(LOOK_SECONDS)
    if not peer.host.connected():
        on_event({"event": "alone", "failures": failures_of(peer)})
    told = False
    while not has_fellows(peer):
        if (networks := strangers(peer)) and not told:
            told = True
            on_event({"event": "strangers", "networks": networks})
        await trio.sleep(LOOK_SECONDS)
    on_event({"event": "joined", "peers": len(peer.host.connected())})


async def run_here(peer: Peer, name: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run an operation inside the running node."""
    if name in LOCAL:
        return await run_local(peer.local, name, params, emit)
    if name in CHAINED:
        return await run_chained(peer, name, params, emit)
    return await run_networked(peer, name, params, emit)
