"""A lean peer in a process of its own: a host of `p2p` with what the laboratory asks of it, and nothing of `node`.

Run as `python -m tests.lab.peer SETTINGS` with JSON of `Settings`. Each line on standard input asks for something and
is answered by a line with its number; ends with its standard input.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import trio

from bench.networks import bare_network
from p2p import Admission, Channel, Host, Uploads, bounds, fetch_blob, open_host, serve_blobs
from tests.p2p.blobs.memory import MemoryStore
from wire.blob import AskOutline, outline_of
from wire.bounds import CHUNK
from wire.cid import content_hash
from wire.errors import RemoteError
from wire.keys import NodeKey
from wire.reach import AskDialBack, DialBackReply, DialBackTaken, DialledBack, DialOutcome, DialTried

NETWORK = bare_network("lab")


@dataclass
class Settings:
    """What a lean peer is."""

    secret: str  # its key, in hex
    listen: Sequence[str] = ()
    bootstraps: Sequence[str] = ()
    relay: bool = False
    relays: Sequence[str] = ()
    port_mapping: bool = False
    mdns: bool = False
    folder: str = ""  # what it remembers of peers; empty: nothing
    holds: int = 0  # bytes of a blob that it serves
    lies: str = ""  # to those who ask whether it reaches them: that it does, "reached", or that it does not, "failed"
    check_every: float = 0.0  # seconds between two questions to others whether they reach us; 0: as usual


class Bulk(MemoryStore):
    """The blob of a size is the same everywhere, so whoever is asked to hold it does."""

    def fill(self, size: int) -> bytes:
        """Hold the blob of that size; its name."""
        pieces = [content_hash(i.to_bytes(4, "big")) * (CHUNK // 32) for i in range(size // CHUNK)]
        self.chunks |= {content_hash(piece): piece for piece in pieces}
        outline = outline_of(pieces)
        self.outlines[outline.hash()] = outline
        return outline.hash()


def blob_of(size: int) -> bytes:
    """The name of the blob of that size."""
    return Bulk().fill(size)


async def echo(channel: Channel) -> None:
    """Give back what came."""
    await channel.send(await channel.receive(AskOutline, timeout=20))


async def lie(host: Host, outcome: DialOutcome, channel: Channel) -> None:
    """Say so of every address, and dial none. Who says that it got through shows the nonce, too: the way it has."""
    asked = await channel.receive(AskDialBack, timeout=20)
    if outcome is DialOutcome.REACHED:
        async with host.exchange(channel.peer, "reach") as back:
            await back.send(DialledBack(nonce=asked.nonce, address=0))
            await back.receive(DialBackTaken, timeout=20)
    await channel.send(DialBackReply(tried=(DialTried(outcome=outcome, detail=""),) * len(asked.addresses)))


class Desk:
    """What the laboratory asks for, by name; each is a coroutine that takes the line's parameters."""

    def __init__(self, host: Host, store: Bulk) -> None:
        self._host, self._store = host, store
        self._heard: dict[str, list[tuple[int, str, float]]] = {}
        self.had = 0  # bytes of what is being fetched

    async def status(self) -> dict[str, Any]:
        """Where it stands, whom it is connected with, and what it has cost."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        reach = self._host.reachability()
        return {
            "peers": {one.peer_id: asdict(one) for one in self._host.connected()},
            "addresses": list(self._host.addresses),
            "reach": asdict(reach) | {"state": reach.state.value},
            "cpu": used.ru_utime + used.ru_stime,
            "rss": used.ru_maxrss * 1024,
            "had": self.had,
            "streams": self._host.streams(),
        }

    async def check(self) -> dict[str, Any]:
        """Have others asked now whether they reach us."""
        self._host.check_reachability()
        return {}

    async def connect(self, addresses: Sequence[str]) -> dict[str, Any]:
        """Connect to a peer by its addresses."""
        began = time.monotonic()
        return {"peer": await self._host.connect(addresses), "took": time.monotonic() - began}

    async def learn(self, peer: str, addresses: Sequence[str]) -> dict[str, Any]:
        """Hear where a peer is, as from its offer."""
        self._host.learn(peer, addresses)
        return {}

    async def echo(self, peer: str, times: int = 1) -> dict[str, Any]:
        """Exchanges with a peer, one after the other; how long each took."""
        took = []
        for _ in range(times):
            began = time.monotonic()
            ask = AskOutline(blob=content_hash(str(began).encode()))
            async with self._host.exchange(peer, "echo") as channel:
                await channel.send(ask)
                assert await channel.receive(AskOutline, timeout=20) == ask
            took.append(time.monotonic() - began)
        return {"took": took}

    async def fetch(self, peers: Sequence[str], size: int) -> dict[str, Any]:
        """Fetch the blob of that size from these; `status` tells how far it is."""
        began, longest, last = time.monotonic(), 0.0, time.monotonic()

        def progress(had: int, _: int, __: str, ___: str) -> None:
            nonlocal longest, last
            if had > self.had:
                now = time.monotonic()
                longest, last, self.had = max(longest, now - last), now, had

        blob = blob_of(size)
        await fetch_blob(self._host, peers, blob, self._store, progress)
        outline = self._store.outline(blob)
        right = outline is not None and not self._store.missing(outline)
        return {"took": time.monotonic() - began, "pause": longest, "right": right}

    async def provide(self, key: str) -> dict[str, Any]:
        """Tell the DHT that this peer has what is called so."""
        return {"told": await self._host.provide(content_hash(key.encode()))}

    async def find(self, key: str) -> dict[str, Any]:
        """Who has it, as the DHT says."""
        began = time.monotonic()
        found = await self._host.find_providers(content_hash(key.encode()))
        return {"peers": found, "took": time.monotonic() - began}

    async def join(self, topic: str) -> dict[str, Any]:
        """Hear a topic: `heard` tells what came."""
        heard = self._heard.setdefault(topic, [])

        def deliver(data: bytes, author: str) -> None:
            heard.append((int.from_bytes(data[:8], "big"), author, time.time()))

        await self._host.join(topic, _admit, deliver)
        return {}

    async def heard(self, topic: str) -> dict[str, Any]:
        """Numbers, authors and times of what came."""
        return {"messages": self._heard[topic]}

    async def say(self, topic: str, number: int) -> dict[str, Any]:
        """Publish a number, encoded as a record so that others take it."""
        await self._host.publish(topic, number.to_bytes(8, "big") + bytes(100))
        return {"at": time.time()}

    async def rubbish(self, topic: str, times: int) -> dict[str, Any]:
        """Publish what nobody takes."""
        for _ in range(times):
            await self._host.publish(topic, os.urandom(50))
        return {}

    async def standing(self) -> dict[str, Any]:
        """Who is remembered for what it did."""
        return {"peers": [asdict(one) for one in self._host.standing()]}


def _admit(data: bytes, _: str) -> Admission:
    return Admission.ACCEPT if len(data) == 108 else Admission.REJECT


def say(**what: Any) -> None:
    """One line for the laboratory."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def _serve(desk: Desk, line: bytes) -> None:
    asked = json.loads(line)
    number, name = asked.pop("id"), asked.pop("do")
    call: Callable[..., Awaitable[dict[str, Any]]] = getattr(desk, name)
    try:
        say(id=number, **await call(**asked))
    except RemoteError as error:
        say(id=number, error=str(error), code=error.code.name)
    except Exception as error:  # the laboratory shows it: here is nobody to read it
        say(id=number, error=f"{type(error).__name__}: {error}", code="BUG", trace=traceback.format_exc())


async def main(settings: Settings) -> None:
    """Run until standard input ends."""
    key, store = NodeKey(bytes.fromhex(settings.secret)), Bulk()
    if settings.holds:
        store.fill(settings.holds)
    folder = Path(settings.folder) if settings.folder else None
    uploads = Uploads()
    opening = open_host(
        key,
        NETWORK,
        listen=settings.listen,
        bootstraps=settings.bootstraps,
        peerbook=folder / "peers" if folder else None,
        standing=folder / "standing" if folder else None,
        port_mapping=settings.port_mapping,
        mdns=settings.mdns,
        relay=settings.relay,
        relays=settings.relays,
        uploads=uploads,
    )
    bounds.CHECK_EVERY = settings.check_every or bounds.CHECK_EVERY
    async with opening as host, trio.open_nursery() as nursery:
        host.handle("echo", echo)
        host.handle("blobs", lambda channel: serve_blobs(channel, store, uploads))
        if settings.lies:
            host.handle("reach", partial(lie, host, DialOutcome[settings.lies.upper()]))
        desk = Desk(host, store)
        say(ready=host.peer_id)
        pending = b""
        stdin = trio.lowlevel.FdStream(0)
        async for data in stdin:
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                nursery.start_soon(_serve, desk, line)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)  # the laboratory wants to know where one that does not answer is
    trio.run(main, Settings(**json.loads(sys.argv[1])))
