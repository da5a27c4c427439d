"""Three peers in three processes do all that peers do, and one of them is killed in the middle of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import trio

from p2p import Admission, Host, fetch_blob, fetch_manifest, open_host
from wire.keys import NodeKey

from .blobs.made import BLOB, OUTLINE, SIZE, Store, signed
from .hosts import LOOPBACK, NETWORK, ask, until


class Child:
    """A peer in a process of its own, and the lines it said."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.id = ""

    async def listen(self) -> None:
        assert self.process.stdout is not None
        rest = b""
        async for some in self.process.stdout:
            *whole, rest = (rest + some).split(b"\n")
            self.lines += map(json.loads, whole)


async def spawn(nursery: trio.Nursery, host: Host) -> Child:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "tests.p2p.peer_process", *host.addresses],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    child = Child(process)
    nursery.start_soon(child.listen)
    return child


async def test_three_processes_are_a_network(nursery: trio.Nursery) -> None:
    children: list[Child] = []
    try:
        with trio.fail_after(60):
            async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as host:
                heard: list[bytes] = []
                await host.join("offers", lambda *_: Admission.ACCEPT, lambda data, _: heard.append(data))
                children += [await spawn(nursery, host) for _ in range(2)]
                for child in children:
                    await until(lambda: child.lines)  # noqa: B023 — awaited here
                    child.id = child.lines[0]["ready"]
                await until(lambda: {c.id for c in children} == {s.peer_id for s in host.connected()})
                await _use(host, children)
                await _lose_one_in_the_middle(host, children)
    finally:
        for child in children:
            child.process.kill()
    nursery.cancel_scope.cancel()


async def _use(host: Host, children: list[Child]) -> None:
    for child in children:
        for _ in range(20):
            await ask(host, child.id)
    assert len(host._exchanges.pool) == 2  # forty exchanges on two streams

    await until(lambda: host.neighbours("offers") == 2)
    await host.publish("offers", b"news")
    await until(lambda: all({"heard": b"news".hex(), "author": host.peer_id} in c.lines for c in children))

    found: list[str] = []
    while set(found) != {c.id for c in children}:
        await trio.sleep(0.1)
        found = await host.find_providers(BLOB)
    assert await fetch_manifest(host, found, signed().model) == signed()


async def _lose_one_in_the_middle(host: Host, children: list[Child]) -> None:
    store, events = Store(), []

    def watch(done: int, _: int, peer: str, event: str) -> None:
        if event:
            events.append((peer, event))
        if done > SIZE // 3 and peer == children[0].id and children[0].process.returncode is None:
            children[0].process.kill()

    await fetch_blob(host, [c.id for c in children], BLOB, store, watch)
    assert not store.missing(OUTLINE)
    assert sum(store.puts) == SIZE  # nothing came twice
    assert any(peer == children[0].id and event.startswith(("failed", "dropped")) for peer, event in events)
    assert events[-1] == ("", "complete")
    await until(lambda: [s.peer_id for s in host.connected()] == [children[1].id])
    await ask(host, children[1].id)
