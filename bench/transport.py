"""One stream between two processes on loopback: TCP, TLS, libp2p as shipped, ours.

python -m bench.transport [--rounds N] [--json]

All stacks are measured in turn within each round, so that the ratios hold on a busy machine. A round trip is 1 KiB
there and back; a fan-out is 1 KiB to four peers (a process each) and back, twice. The libp2p stacks are noise and
yamux without a host above them, so a new stream is one of the muxer's, with no protocol negotiated on it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from struct import Struct
from typing import Any, Protocol

import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from libp2p.abc import IMuxedConn, ISecureTransport
from libp2p.crypto.secp256k1 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.noise.transport import Transport as ShippedNoise
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable, MuxedStreamError
from libp2p.stream_muxer.yamux.yamux import Yamux as ShippedYamux
from trio_typing import TaskStatus

from bench.figures import percentile, show
from p2p.noise.cipher import PLAIN, TAG, nonce
from p2p.noise.transport import NoiseTransport
from p2p.yamux.connection import Yamux

STACKS = ("TCP", "TLS", "libp2p as shipped", "ours")
BYTES = {"TCP": 512 << 20, "TLS": 256 << 20, "libp2p as shipped": 48 << 20, "ours": 256 << 20}
PIECE = 256 * 1024
SMALL = 1024
TRIPS, NEW, FANS, PEERS = 400, 100, 150, 4
UP, DOWN, ECHO = 1, 2, 3
CIPHERED = 256 << 20

_COMMAND = Struct(">BQ")
_CPU = Struct(">d")
_SERVER = create_new_key_pair(bytes(31) + b"\x07")  # so that the client knows whom to expect


class Stream(Protocol):
    """What each stack is reduced to."""

    async def write(self, data: bytes) -> None: ...
    async def read(self, n: int) -> bytes: ...


class Plain:
    """A trio stream, TCP or TLS."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def write(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def read(self, n: int) -> bytes:
        return bytes(await self._stream.receive_some(n))


async def exactly(stream: Stream, size: int) -> bytes:
    """`size` bytes, or EOFError."""
    data = b""
    while len(data) < size:
        more = await stream.read(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


async def absorb(stream: Stream, size: int) -> None:
    """Read and forget."""
    while size:
        more = await stream.read(min(size, 65536))
        if not more:
            raise EOFError
        size -= len(more)


async def pour(stream: Stream, size: int) -> None:
    """Write that many bytes."""
    piece = bytes(PIECE)
    for _ in range(size // PIECE):
        await stream.write(piece)


async def serve_stream(stream: Stream) -> None:
    """Do what the other side says until it leaves."""
    try:
        while True:
            command, size = _COMMAND.unpack(await exactly(stream, _COMMAND.size))
            began = time.process_time()
            if command == UP:
                await absorb(stream, size)
            elif command == DOWN:
                await pour(stream, size)
            else:
                await stream.write(await exactly(stream, size))
                continue
            await stream.write(_CPU.pack(time.process_time() - began))
    except (EOFError, trio.BrokenResourceError, trio.ClosedResourceError, MuxedStreamError):
        return


async def secured(stack: str, tcp: trio.SocketStream, initiator: bool) -> IMuxedConn:
    """A muxed connection, not started."""
    pair = create_new_key_pair() if initiator else _SERVER
    noise: ISecureTransport = (
        NoiseTransport(pair) if stack == "ours" else ShippedNoise(pair, create_noise_key_pair().private_key)
    )
    raw = RawConnection(TrioTCPStream(tcp), initiator)
    if initiator:
        session = await noise.secure_outbound(raw, ID.from_pubkey(_SERVER.public_key))
    else:
        session = await noise.secure_inbound(raw)
    return (Yamux if stack == "ours" else ShippedYamux)(session, session.get_remote_peer(), initiator)


async def serve(stack: str, folder: Path) -> None:
    """Say the port, serve one client, end."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    sys.stdout.write(f"{listener.socket.getsockname()[1]}\n")
    sys.stdout.flush()
    tcp = await listener.accept()
    if stack == "TCP":
        await serve_stream(Plain(tcp))
    elif stack == "TLS":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.pem")
        await serve_stream(Plain(trio.SSLStream(tcp, context, server_side=True)))
    else:
        connection = await secured(stack, tcp, False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.start)
            await connection.event_started.wait()
            with suppress(MuxedConnUnavailable):
                while True:
                    nursery.start_soon(serve_stream, await connection.accept_stream())
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def dialled(stack: str, port: int) -> AsyncIterator[Callable[[], Awaitable[Stream]]]:
    """A way to open streams to the server on `port`; TCP and TLS have one only."""
    tcp = await trio.open_tcp_stream("127.0.0.1", port)
    if stack in ("TCP", "TLS"):
        inner: trio.abc.Stream = tcp
        if stack == "TLS":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            inner = trio.SSLStream(tcp, context)
        only = Plain(inner)

        async def the_one() -> Stream:
            return only

        yield the_one
        return
    connection = await secured(stack, tcp, True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.start)
        await connection.event_started.wait()
        yield connection.open_stream
        nursery.cancel_scope.cancel()


async def trip(stream: Stream) -> None:
    """1 KiB there and back."""
    await stream.write(_COMMAND.pack(ECHO, SMALL) + bytes(SMALL))
    await exactly(stream, SMALL)


async def timed(times: int, action: Callable[[], Awaitable[None]]) -> float:
    """The median, in milliseconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await action()
        taken.append((time.perf_counter() - began) * 1000)
    return percentile(taken, 50)


async def measure(stack: str, ports: list[int]) -> dict[str, float]:
    """Every figure of one stack, from a client's side."""
    found: dict[str, float] = {}
    async with dialled(stack, ports[0]) as opening:
        stream, size = await opening(), BYTES[stack]
        for name, command, action in (("up", UP, pour), ("down", DOWN, absorb)):
            began, cpu = time.perf_counter(), time.process_time()
            await stream.write(_COMMAND.pack(command, size))
            await action(stream, size)
            (theirs,) = _CPU.unpack(await exactly(stream, _CPU.size))
            found[f"{name}_MB/s"] = size / (time.perf_counter() - began) / 1e6
            found[f"{name}_cpu_s/GB"] = (time.process_time() - cpu + theirs) / size * 1e9
        found["trip_ms"] = await timed(TRIPS, partial(trip, stream))
        if stack not in ("TCP", "TLS"):
            found["new_stream_ms"] = await timed(NEW, lambda: _fresh(opening))
    async with trio.open_nursery() as nursery:
        streams: list[Stream] = []
        release = trio.Event()

        async def keep(port: int, task_status: TaskStatus[None]) -> None:
            async with dialled(stack, port) as opening:
                streams.append(await opening())
                task_status.started()
                await release.wait()

        for port in ports[1:]:
            await nursery.start(keep, port)
        found["fan_ms"] = await timed(FANS, lambda: _fan(streams))
        release.set()
    return found


def cipher() -> dict[str, float]:
    """The floor: what noise's cipher alone takes for messages of the size that we send, in buffers that are used again.

    CPU seconds a gigabyte, so that a busy machine changes it little; the rate is that of one core.
    """
    aead, plain, sealed = ChaCha20Poly1305(bytes(32)), bytearray(PLAIN), bytearray(PLAIN + TAG)
    found: dict[str, float] = {}
    for name in ("up", "down"):
        began = time.process_time()
        for _ in range(CIPHERED // PLAIN):
            if name == "up":
                aead.encrypt_into(nonce(0), plain, None, sealed)
            else:
                aead.decrypt_into(nonce(0), sealed, None, plain)
        took = (time.process_time() - began) / CIPHERED
        found |= {f"{name}_MB/s": 1 / took / 1e6, f"{name}_cpu_s/GB": took * 1e9}
    return found


async def _fresh(opening: Callable[[], Awaitable[Stream]]) -> None:
    stream: Any = await opening()
    await trip(stream)
    await stream.reset()


async def _fan(streams: list[Stream]) -> None:
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(trip, stream)


def one(stack: str, folder: Path) -> dict[str, float]:
    """A round of one stack: its servers, and a client, each a process."""
    me = [sys.executable, "-m", "bench.transport"]
    servers = [
        subprocess.Popen([*me, "--serve", stack, "--folder", str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(1 + PEERS)
    ]
    try:
        ports = [(server.stdout.readline() if server.stdout else "").strip() for server in servers]
        said = subprocess.run([*me, "--dial", stack, *ports], check=True, stdout=subprocess.PIPE, text=True)
        return dict(json.loads(said.stdout))
    finally:
        for server in servers:
            server.kill()
            server.wait()


def certificate(folder: Path) -> None:
    """A key and a certificate of its own, for the TLS server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([]), datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "tls.pem").write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--dial", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        trio.run(serve, arguments.serve, arguments.folder)
        return
    if arguments.dial:
        stack, *ports = arguments.dial
        print(json.dumps(trio.run(measure, stack, [int(port) for port in ports])))
        return
    rounds: dict[str, list[dict[str, float]]] = {stack: [] for stack in (*STACKS, "the cipher alone: seal, open")}
    with tempfile.TemporaryDirectory() as place:
        certificate(Path(place))
        for _ in range(arguments.rounds):
            for stack in STACKS:
                rounds[stack].append(one(stack, Path(place)))
            rounds["the cipher alone: seal, open"].append(cipher())
    rows = [
        {"name": stack} | {k: round(statistics.median(r[k] for r in found), 2) for k in found[0]}
        for stack, found in rounds.items()
    ]
    show("One stream on loopback (medians)", rows, arguments.json)


if __name__ == "__main__":
    main()
