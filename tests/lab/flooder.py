"""A peer that means harm, in a process of its own: rubbish on a topic, broken-off streams, silent connections, and
malformed messages on every protocol that its target names, as fast as it can.

Run as `python -m tests.lab.flooder TARGET…` with whole addresses; ends with its standard input. Each line that it says
counts what it got away with.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

import trio

from p2p import Admission, Host, open_host
from tests.fuzz.attack import Attack
from wire.errors import RemoteError
from wire.keys import NodeKey

from .peer import NETWORK

Harm = Callable[[Host, str, Counter[str]], Awaitable[None]]

_SOCKETS = 256
_INPUTS = 32  # of one protocol before the next has its turn


async def main(targets: list[str]) -> None:
    """Flood until standard input ends, under a new identity whenever the old one is refused."""
    counts: Counter[str] = Counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_idle_sockets, targets, counts)
        nursery.start_soon(_identities, targets, counts, _rubbish)
        nursery.start_soon(_identities, targets, counts, _streams)
        for target in targets:
            nursery.start_soon(_malformed, target, counts)
        nursery.start_soon(_tell, counts)
        async for _ in trio.lowlevel.FdStream(0):
            pass
        nursery.cancel_scope.cancel()


async def _tell(counts: Counter[str]) -> None:
    while True:
        await trio.sleep(1)
        sys.stdout.write(json.dumps(counts) + "\n")
        sys.stdout.flush()


async def _identities(targets: list[str], counts: Counter[str], harm: Harm) -> None:
    """One identity after the other, each as long as it gets through."""
    while True:
        async with open_host(NodeKey.generate(), NETWORK, listen=()) as host, trio.open_nursery() as nursery:
            counts["identities"] += 1
            for target in targets:
                try:
                    await host.connect([target])
                except RemoteError:
                    counts["refused"] += 1
                    continue
                nursery.start_soon(harm, host, target.rpartition("/p2p/")[2], counts)
            while host.connected():  # noqa: ASYNC110 — nobody tells it that it was thrown out
                await trio.sleep(0.05)
            nursery.cancel_scope.cancel()


async def _rubbish(host: Host, _: str, counts: Counter[str]) -> None:
    """What no rule of the topic takes."""
    await host.join("lab", lambda *_: Admission.ACCEPT, lambda *_: None)
    await trio.sleep(0.5)  # until it is told who takes part
    while True:
        await host.publish("lab", os.urandom(1024))
        counts["messages"] += 1
        await trio.lowlevel.checkpoint()


async def _streams(host: Host, peer: str, counts: Counter[str]) -> None:
    """Exchanges that begin and are broken off, eight at a time."""

    async def broken_off() -> None:
        while True:
            try:
                async with host.exchange(peer, "echo") as channel:
                    counts["streams"] += 1
                    await channel.reset()
            except RemoteError:
                await trio.sleep(0.02)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(broken_off)


async def _malformed(target: str, counts: Counter[str]) -> None:
    """What a parser may fall over, on one protocol after the other, for ever."""
    attack = Attack(NETWORK, target, seed=os.getpid())
    while True:
        try:
            protocols = await attack.protocols()
            for protocol in random.sample(protocols, len(protocols)):  # where several flood, all at any time
                counts["malformed inputs"] += (await attack.on(protocol, _INPUTS)).inputs
                counts[f"rounds on {protocol}"] += 1
        except (RemoteError, AssertionError, trio.TooSlowError):  # it lets nobody in now
            counts["refused"] += 1
            await trio.sleep(0.5)


async def _idle_sockets(targets: list[str], counts: Counter[str]) -> None:
    """Connections that say nothing."""
    held: list[trio.SocketStream] = []
    while True:
        for target in targets:
            host, port = target.split("/")[2], int(target.split("/")[4])
            try:
                with trio.fail_after(2):
                    held.append(await trio.open_tcp_stream(host, port))
                counts["sockets"] += 1
            except (OSError, trio.TooSlowError):
                counts["sockets refused"] += 1
        for old in held[:-_SOCKETS]:
            old.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
            old.socket.close()
        del held[:-_SOCKETS]
        await trio.sleep(0.01)


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])
