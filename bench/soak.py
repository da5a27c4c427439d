"""Peers that reconnect, reset and cancel for as long as you like: is anything wrong, hung, deaf or left behind?

python -m bench.soak [--minutes N] [--seed N] [--reconnects N] [--json]

All peers are whole hosts in this one process, over loopback: a server and three clients. What is random comes from the
seed, but for the order in which the kernel wakes tasks.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import trio

from bench.figures import show
from bench.networks import NETWORK
from p2p import Admission, Channel, Host, bounds, open_host
from p2p.addresses import parse_peer
from wire.blob import AskOutline
from wire.errors import RemoteError
from wire.keys import NodeKey

CLIENTS, WORKERS = 3, 4
LARGEST = 300_000  # bytes of one exchange
PATIENCE = 30.0  # seconds after which something hangs
TOPIC = "offers"


@dataclass(frozen=True)
class Footprint:
    """What the process holds."""

    tasks: int
    streams: int
    descriptors: int
    memory_mib: float


def footprint(*hosts: Host) -> Footprint:
    """Of this process, with the streams of these hosts."""
    connections = [connection for host in hosts for connection in host._swarm.get_connections()]
    return Footprint(
        tasks=trio.lowlevel.current_statistics().tasks_living,
        streams=sum(connection.muxed_conn.streams for connection in connections),  # type: ignore[attr-defined]  # ours
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        memory_mib=round(psutil.Process().memory_info().rss / 2**20, 1),
    )


@dataclass
class Party:
    """A server, and clients that are connected to it; all gossip on one topic."""

    server: Host
    clients: list[Host]
    heard: set[bytes]  # by the server


async def echo(channel: Channel) -> None:
    """Give back so many bytes of DATA as the request's first bytes say."""
    request = await channel.receive(AskOutline, timeout=PATIENCE)
    data = await channel.receive_data(int.from_bytes(request.blob[:4], "big"), timeout=PATIENCE)
    await channel.send_data(data)


async def ask(client: Host, peer: str, data: bytes) -> bool:
    """One echo; whether exactly what was sent came back."""
    async with client.exchange(peer, "echo") as channel:
        await channel.send(AskOutline(blob=len(data).to_bytes(4, "big") + bytes(28)))
        async with trio.open_nursery() as nursery:  # both ways at once, or windows of both sides could fill
            nursery.start_soon(channel.send_data, data)
            back = await channel.receive_data(len(data), timeout=PATIENCE)
        return back == data


async def until(condition: Callable[[], object]) -> None:
    """Poll for what two hosts bring about; TooSlowError when they do not."""
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 — the library has no event for most of it
            await trio.sleep(0.002)


@asynccontextmanager
async def party(clients: int) -> AsyncIterator[Party]:
    """Everybody open, connected, and hearing gossip."""
    heard: set[bytes] = set()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            open_host(NodeKey.generate(), NETWORK, listen=["/ip4/127.0.0.1/tcp/0"])
        )
        server.handle("echo", echo)
        await server.join(TOPIC, lambda *_: Admission.ACCEPT, lambda data, _: heard.add(data))
        hosts = []
        for _ in range(clients):
            hosts.append(await stack.enter_async_context(open_host(NodeKey.generate(), NETWORK, listen=[])))
            await hosts[-1].join(TOPIC, lambda *_: Admission.ACCEPT, lambda *_: None)
            await hosts[-1].connect(server.addresses)
        yield Party(server, hosts, heard)


async def cut(party: Party, client: Host, how: int) -> None:
    """End the connection, from either side, or without a word; return when the client knows."""
    swarm, other = client._swarm, party.server._swarm
    if not (connections := swarm.get_connections(parse_peer(party.server.peer_id))):
        return
    if how == 0:
        await swarm.close_peer(parse_peer(party.server.peer_id))
    elif how == 1:
        await other.close_peer(parse_peer(client.peer_id))
    else:
        for connection in connections:
            await connection.muxed_conn._session.close()  # type: ignore[attr-defined]  # ours, under the library's
    await until(lambda: all(connection.is_closed for connection in connections))


async def told(party: Party, client: Host, number: int) -> None:
    """Say something on the topic until the server hears it; TooSlowError when it is deaf."""
    words = [b"%d %d" % (number, attempt) for attempt in range(int(5 * PATIENCE))]
    for word in words:
        await client.publish(TOPIC, word)
        with trio.move_on_after(0.2):  # what is said while the link is renewed may be lost; what follows may not
            await until(lambda: not party.heard.isdisjoint(words))
            return
    raise trio.TooSlowError


async def reconnects(party: Party, times: int) -> None:
    """Reconnect so often, at once each time; an exchange and a gossip message must get through after each."""
    for number in range(times):
        client = party.clients[number % len(party.clients)]
        await cut(party, client, (number + number // len(party.clients)) % 3)
        await client.connect(party.server.addresses)
        if not await ask(client, party.server.peer_id, b"after"):
            raise AssertionError("wrong bytes came back")
        await until(lambda: client.neighbours(TOPIC) and party.server.neighbours(TOPIC) == len(party.clients))  # noqa: B023
        await told(party, client, number)


async def soak(party: Party, seed: int, seconds: float) -> Counter[str]:
    """Exchanges, cancellations, resets and cuts at random; what happened how often. "wrong" and "hung" must not."""
    tally, ends = Counter[str](), trio.current_time() + seconds

    async def work(client: Host, chance: random.Random) -> None:
        while trio.current_time() < ends:
            data = chance.randbytes(chance.randrange(LARGEST) if chance.random() < 0.3 else chance.randrange(2000))
            steps = chance.randrange(1, 60) if chance.random() < 0.25 else 0
            tally["exchanges"] += 1
            try:
                with trio.fail_after(PATIENCE):
                    if steps:
                        await _cancelled(client, party.server.peer_id, data, steps)
                        tally["cancelled"] += 1
                    elif await ask(client, party.server.peer_id, data):
                        tally["bytes"] += 2 * len(data)
                    else:
                        tally["wrong"] += 1
            except trio.TooSlowError:
                tally["hung"] += 1
            except (RemoteError, ExceptionGroup):  # its link was cut, or its stream reset
                tally["lost"] += 1

    async def disturb(chance: random.Random) -> None:
        while trio.current_time() < ends:
            await trio.sleep(chance.random() * 0.1)
            host = chance.choice([party.server, *party.clients])
            if chance.random() < 0.2:
                await cut(party, chance.choice(party.clients), chance.randrange(3))
                tally["cut"] += 1
            for connection in host._swarm.get_connections():
                streams = [s for s in connection.get_streams() if "echo" in str(s.get_protocol())]
                if streams and chance.random() < 0.5:
                    await chance.choice(streams).reset()
                    tally["reset"] += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(disturb, random.Random(seed))
        for number, client in enumerate(party.clients):
            for worker in range(WORKERS):
                nursery.start_soon(work, client, random.Random(f"{seed} {number} {worker}"))
    return tally


async def _cancelled(client: Host, peer: str, data: bytes, steps: int) -> None:
    """An exchange that is cut off after so many turns of the loop."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, client, peer, data)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def settled(party: Party) -> Footprint:
    """What is held once all connections are fresh: what grew is a leak."""
    old = party.server._swarm.get_connections()
    for client in party.clients:
        await cut(party, client, 0)
    await until(lambda: all(connection.is_closed for connection in old))
    for client in party.clients:
        await client.connect(party.server.addresses)
    await until(lambda: party.server.neighbours(TOPIC) == len(party.clients))
    best = footprint(party.server, *party.clients)
    for _ in range(30):  # streams of identify and the DHT come and go
        await trio.sleep(0.05)
        now = footprint(party.server, *party.clients)
        best = Footprint(*map(min, asdict(best).values(), asdict(now).values()))
    return best


async def run(minutes: float, seed: int, times: int) -> list[dict[str, object]]:
    """Everything, with what is held before and after."""
    bounds.ORIGIN_BURST = bounds.SENDER_BURST = 1e9  # every message counts here
    async with party(CLIENTS) as all_of_it:
        await reconnects(all_of_it, 2 * CLIENTS)
        await soak(all_of_it, seed, 2.0)
        rows: list[dict[str, object]] = [{"name": "before"} | asdict(await settled(all_of_it))]
        began = trio.current_time()
        await reconnects(all_of_it, times)
        took = trio.current_time() - began
        rows.append({"name": f"after {times} reconnects in {took:.0f} s"} | asdict(await settled(all_of_it)))
        tally = await soak(all_of_it, seed, minutes * 60)
        rows.append({"name": f"after {minutes:g} min"} | asdict(await settled(all_of_it)))
        rows.append({"name": "in them"} | {name: tally[name] for name in sorted({*tally, "wrong", "hung"})})
    return rows


def main() -> None:
    """Parse the arguments, run, show; the exit status is 1 when anything was wrong or hung."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reconnects", type=int, default=600)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = trio.run(run, arguments.minutes, arguments.seed, arguments.reconnects)
    show("Peers that are disturbed", rows, arguments.json)
    if rows[-1]["wrong"] or rows[-1]["hung"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
