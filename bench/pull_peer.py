"""One peer of `bench.pull` in a process of its own; what it says is JSON, one object a line.

python -m bench.pull_peer add STORE FILE · serve STORE honest|stalls|lies · pull STORE CID ADDRESS…
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio

from bench.networks import NETWORK
from p2p import Channel, Uploads, fetch_blob, open_host, serve_blobs
from storage import open_store
from storage.store import Store
from wire.blob import Outline
from wire.cid import from_cid, to_cid
from wire.keys import NodeKey
from wire.manifest import SignedManifest

LOOPBACK = ["/ip4/127.0.0.1/tcp/0"]
GOOD_CHUNKS = 200  # that a peer which stalls or lies gives first


def say(**what: Any) -> None:
    """One line for the parent."""
    print(json.dumps(what), flush=True)


class Memory:
    """The peaks of this process's memory, looked at every 20 ms: all that is resident, and what is not the file's."""

    def __init__(self) -> None:
        self.rss = self.own = 0
        threading.Thread(target=self._watch, daemon=True).start()

    @staticmethod
    def now(kind: str = "RssAnon") -> int:
        """KiB at this moment."""
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(kind))

    def _watch(self) -> None:
        while True:
            self.rss = max(self.rss, self.now("VmRSS"))
            self.own = max(self.own, self.now())
            time.sleep(0.02)

    def mib(self) -> dict[str, float]:
        """Both peaks in MiB."""
        return {"rss_mib": round(self.rss / 1024, 1), "own_mib": round(self.own / 1024, 1)}


class Behaviour:
    """The store as this peer shows it: counts what it gives away, and may stall or lie after a while."""

    def __init__(self, store: Store, kind: str) -> None:
        self.store, self.kind, self.given, self.chunks = store, kind, 0, 0

    def manifest(self, model: bytes) -> SignedManifest | None:
        return self.store.manifest(model)

    def outline(self, blob: bytes) -> Outline | None:
        return self.store.outline(blob)

    def chunk(self, digest: bytes) -> bytes | None:
        data = self.store.chunk(digest)
        if data is None:
            return None
        self.given += len(data)
        self.chunks += 1
        return bytes(len(data)) if self.kind == "lies" and self.chunks > GOOD_CHUNKS else data

    def missing(self, outline: Outline) -> list[int]:
        return self.store.missing(outline)

    async def put_outline(self, outline: Outline) -> None:
        await self.store.put_outline(outline)

    async def put_chunks(self, chunks: Sequence[tuple[bytes, bytes]]) -> None:
        await self.store.put_chunks(chunks)


async def serve(place: Path, kind: str) -> None:
    """Serve until standard input ends; then say how much was given away."""
    memory, uploads = Memory(), Uploads()
    with open_store(place) as store:
        shown = Behaviour(store, kind)

        async def blobs(channel: Channel) -> None:
            if kind == "stalls" and shown.chunks > GOOD_CHUNKS:
                await trio.sleep_forever()
            await serve_blobs(channel, shown, uploads)

        async def echo(channel: Channel) -> None:
            await channel.send_data(await channel.receive_data(1024, timeout=30))

        async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK) as host:
            host.handle("blobs", blobs)
            host.handle("infer", echo)
            say(address=host.addresses[0])
            async for line in trio.wrap_file(sys.stdin):
                say(given=shown.given, cpu=sum(os.times()[:2]), **memory.mib(), asked=line.strip())


async def pull(place: Path, cid: str, addresses: Sequence[str]) -> None:
    """Fetch the blob from all addresses, and say what it took."""
    memory, events = Memory(), list[str]()

    def progress(_: int, __: int, peer: str, text: str) -> None:
        if text and text not in ("asking", "complete"):
            events.append(f"{time.perf_counter() - began:.2f} s: …{peer[-4:]} {text}")

    with open_store(place) as store:
        async with open_host(NodeKey.generate(), NETWORK, listen=[]) as host:
            peers = [await host.connect([address]) for address in addresses]
            say(ready=True)
            before, began = sum(os.times()[:2]), time.perf_counter()
            await fetch_blob(host, peers, from_cid(cid), store, progress)
            seconds, cpu = time.perf_counter() - began, sum(os.times()[:2]) - before
    say(seconds=seconds, cpu=cpu, events=events, **memory.mib())


def main() -> None:
    """What the command line says."""
    job, place, *words = sys.argv[1:]
    if job == "add":
        with open_store(Path(place)) as store:
            say(cid=to_cid(store.blobs.add(Path(words[0])).hash()))
    elif job == "serve":
        trio.run(serve, Path(place), words[0])
    else:
        trio.run(pull, Path(place), words[0], words[1:])


if __name__ == "__main__":
    main()
