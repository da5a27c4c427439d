"""What an upload at full speed does to the answers of the same peer: 1 KiB there and back, with and without it.

python -m bench.uploads [--trips N] [--json]

A peer serves chunks from memory, and an echo, in a process of its own. Others pull from it as fast as it goes. The echo
is asked for on a connection of its own, and on the very connection that is pulled over; a `signed` answer, on its own.
All are interleaved in short turns, so that the ratios hold on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it asks at its import, and would write and send data about this session

import trio

from bench.figures import row, show
from bench.networks import NETWORK
from node.asking import ask
from node.attempt import Question
from node.clock import now_ms
from node.config import Config
from node.demo.magika import load_magika
from node.demo.peers import ending, gather, start
from node.finding import find_model
from node.opening import open_peer
from p2p import Channel, Host, Uploads, open_host, serve_blobs
from wire.blob import AskChunks, AskOutline, BlobReply, Outline
from wire.bounds import CHUNK
from wire.canonical import Amount, decode
from wire.keys import NodeKey
from wire.network import Network

LOOPBACK = ["/ip4/127.0.0.1/tcp/0"]
CHUNKS, STREAMS, TURNS, SETTLE = 8, 3, 4, 0.3
SMALL = bytes(1024)


async def echo(channel: Channel) -> None:
    """1 KiB back."""
    await channel.send_data(await channel.receive_data(len(SMALL), timeout=30))


async def trip(host: Host, peer: str) -> None:
    """1 KiB there and back."""
    async with host.exchange(peer, "infer") as channel:
        await channel.send_data(SMALL)
        await channel.receive_data(len(SMALL), timeout=30)


async def serve() -> None:
    """The peer: every chunk is the same, but nobody who is measured looks."""
    chunk = os.urandom(CHUNK)
    store: Any = SimpleNamespace(chunk=lambda _: chunk)
    uploads = Uploads(first=("infer",))

    async def blobs(channel: Channel) -> None:
        await serve_blobs(channel, store, uploads)

    async with open_host(NodeKey.generate(), NETWORK, listen=LOOPBACK, uploads=uploads) as host:
        host.handle("blobs", blobs)
        host.handle("infer", echo)
        print(host.addresses[0], flush=True)
        await trio.wrap_file(sys.stdin).read()


async def draw(host: Host, peer: str, hashes: Sequence[bytes], sizes: Sequence[int], taken: list[int]) -> None:
    """Pull without end, on one stream, the next request always on its way; count the bytes."""
    while True:
        async with host.exchange(peer, "blobs") as channel:
            await channel.send(AskChunks(hashes=tuple(hashes)))
            for size in sizes:
                taken[0] += len(await channel.receive_data(size, timeout=30))


@asynccontextmanager
async def drawing(host: Host, peer: str) -> AsyncIterator[list[int]]:
    """Pulling, for the length of the block; what was taken, in bytes."""
    taken, hashes = [0], [bytes([n]) * 32 for n in range(CHUNKS)]
    async with trio.open_nursery() as nursery:
        for _ in range(STREAMS):
            nursery.start_soon(draw, host, peer, hashes, [CHUNK] * CHUNKS, taken)
        await trio.sleep(SETTLE)
        taken[0] = 0
        yield taken
        nursery.cancel_scope.cancel()


async def pull(network: str, address: str, hashes: Sequence[bytes], sizes: Sequence[int]) -> None:
    """A process that pulls until its input ends: a line in begins, another ends and says the bytes and the seconds."""
    named = Network(**{name: getattr(NETWORK, name) for name in NETWORK.__struct_fields__} | {"name": network})
    lines = trio.wrap_file(sys.stdin)
    async with open_host(NodeKey.generate(), named, listen=[]) as host:
        peer = await host.connect([address])
        print("ready", flush=True)
        while await lines.readline():
            taken, began = [0], time.perf_counter()
            async with trio.open_nursery() as nursery:
                for _ in range(STREAMS):
                    nursery.start_soon(draw, host, peer, hashes, sizes, taken)
                await lines.readline()
                nursery.cancel_scope.cancel()
            print(json.dumps([taken[0], time.perf_counter() - began]), flush=True)


def _process(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.uploads", *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Puller:
    """The process above, from outside."""

    def __init__(self, network: str, address: str, hashes: Sequence[bytes], sizes: Sequence[int]) -> None:
        words = [network, address, ",".join(h.hex() for h in hashes), ",".join(map(str, sizes))]
        self.process = _process("--pull", *words)
        self.taken, self.seconds = 0, 0.0
        self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def say(self) -> None:
        """Begin, or end."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    @asynccontextmanager
    async def pulling(self) -> AsyncIterator[None]:
        """It pulls for the length of the block."""
        self.say()
        await trio.sleep(SETTLE)
        yield
        self.say()
        taken, seconds = json.loads(await trio.to_thread.run_sync(self._line))
        self.taken, self.seconds = self.taken + taken, self.seconds + seconds


async def timed(times: list[float], trips: int, action: Callable[[], Awaitable[object]]) -> None:
    """Milliseconds of each, with a short rest between."""
    for _ in range(trips):
        began = time.perf_counter()
        await action()
        times.append((time.perf_counter() - began) * 1000)
        await trio.sleep(0.002)


async def echoes(trips: int) -> list[dict[str, object]]:
    """The rows of the 1 KiB echo."""
    server = _process("--serve")
    address = (server.stdout.readline() if server.stdout else "").strip()
    hashes = [bytes([n]) * 32 for n in range(CHUNKS)]
    puller = Puller(NETWORK.name, address, hashes, [CHUNK] * CHUNKS)
    idle, other, same = list[float](), list[float](), list[float]()
    given, took = 0, 0.0
    try:
        async with open_host(NodeKey.generate(), NETWORK, listen=[]) as host:
            peer = await host.connect([address])
            for _ in range(TURNS):
                await timed(idle, trips // TURNS, lambda: trip(host, peer))
                async with puller.pulling():
                    await timed(other, trips // TURNS, lambda: trip(host, peer))
                async with drawing(host, peer) as taken:
                    began = time.perf_counter()
                    await timed(same, trips // TURNS, lambda: trip(host, peer))
                    given, took = given + taken[0], took + time.perf_counter() - began
    finally:
        for process in (server, puller.process):
            process.kill()
            process.wait()
    return [
        row("1 KiB echo, nobody pulls", idle),
        row("1 KiB echo, another pulls", other, upload_MB_s=round(puller.taken / puller.seconds / 1e6)),
        row("1 KiB echo on the connection that is pulled over", same, upload_MB_s=round(given / took / 1e6)),
    ]


async def answers(trips: int, place: Path) -> list[dict[str, object]]:
    """The rows of a `signed` answer: the provider's own model is pulled from it meanwhile."""
    magika = load_magika()
    tensor = magika.features(magika.model.read_bytes()[:8192])
    members, client = gather(place, {"provider": ("hub", "provider")})
    idle, other = list[float](), list[float]()
    async with ending(members):
        await start(members[0], ())
        about = {"path": str(magika.model), "name": "magika", "version": "1.0.0", "licence": "Apache-2.0", "task": "",
                 "description": "", "royalty_bps": 0}  # fmt: skip
        cid = (await members[0].call("model.add", about, lambda _: None))["cid"]
        async with open_peer(client, Config(bootstraps=members[0].addresses[:1]), serving=False) as peer:
            signed, manifest = await find_model(peer, cid, lambda _: None)
            while not peer.board.offers(now_ms(), signed.model):
                await peer.board_changed.wait(1.0)
            question = Question(signed, manifest, [tensor], "signed", Amount(0), 30.0)
            async with peer.host.exchange(members[0].key.peer_id, "blobs") as channel:
                await channel.send(AskOutline(blob=manifest.files[0].blob))
                reply = await channel.receive(BlobReply, timeout=30)
                outline = decode(bytes(await channel.receive_data(reply.size, timeout=30)), Outline, limit=reply.size)
            hashes = [outline.chunk(n) for n in range(CHUNKS)]
            puller = Puller(peer.host.network.name, members[0].addresses[0], hashes, [CHUNK] * CHUNKS)
            try:
                for _ in range(TURNS):
                    await timed(idle, trips // TURNS, lambda: ask(peer, question, lambda _: None))
                    async with puller.pulling():
                        await timed(other, trips // TURNS, lambda: ask(peer, question, lambda _: None))
            finally:
                puller.process.kill()
                puller.process.wait()
    return [
        row("signed answer, nobody pulls", idle),
        row("signed answer, another pulls", other, upload_MB_s=round(puller.taken / puller.seconds / 1e6)),
    ]


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trips", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--pull", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        trio.run(serve)
    elif arguments.pull:
        network, address, hashes, sizes = arguments.pull
        chunks = [bytes.fromhex(text) for text in hashes.split(",")]
        trio.run(pull, network, address, chunks, [int(size) for size in sizes.split(",")])
    else:
        rows = trio.run(echoes, arguments.trips)
        with tempfile.TemporaryDirectory() as place:
            rows += trio.run(answers, arguments.trips, Path(place))
        show("Answers beside an upload at full speed (milliseconds)", rows, arguments.json)


if __name__ == "__main__":
    main()
