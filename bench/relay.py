"""A transfer through a relay and a direct one, between processes on loopback, in turn.

python -m bench.relay [--rounds N] [--json]

One peer sends 50 MB to another as one run of data, directly and over a relay, each a process of its own. Beside the
time: processor of the sender, the receiver and the relay. The relay's rates are lifted, so that what the three
processes can do is what is measured; as shipped, a circuit has `p2p.bounds.RELAY_RATE`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import trio

from bench.networks import NETWORK
from p2p import Host, bounds, open_host
from p2p.relay import upgrading
from p2p.streams import Channel
from wire.blob import AskOutline
from wire.keys import NodeKey

SIZE = 50_000_000
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
_ASK = AskOutline(blob=bytes(32))


async def _bulk(channel: Channel) -> None:
    await channel.receive(AskOutline, timeout=10)
    await channel.send_data(bytes(SIZE))


async def _serve(role: str, relays: list[str]) -> None:
    """A peer until its standard input ends; its first line is its addresses."""
    bounds.RELAY_RATE = bounds.RELAY_RATE_ALL = 1 << 40
    listen = ["/p2p-circuit"] if role == "behind" else [LOOPBACK]
    async with open_host(NodeKey.generate(), NETWORK, listen=listen, relay=role == "relay", relays=relays) as host:
        host.handle("bulk", _bulk)
        while not host.addresses:  # noqa: ASYNC110 — a reservation takes some milliseconds, once
            await trio.sleep(0.01)
        sys.stdout.write(json.dumps(host.addresses) + "\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.read)


def _start(role: str, *relays: str) -> tuple[subprocess.Popen[str], list[str]]:
    command = [sys.executable, "-m", "bench.relay", "--role", role, *relays]
    peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert peer.stdout is not None
    return peer, json.loads(peer.stdout.readline())


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _fetch(host: Host, peer: str) -> None:
    async with host.exchange(peer, "bulk") as channel:
        await channel.send(_ASK)
        data = await channel.receive_data(SIZE, timeout=30)
    assert len(data) == SIZE


async def _measure(rounds: int) -> dict[str, dict[str, float]]:
    relay, at_relay = _start("relay")
    direct, at_direct = _start("direct")
    behind, at_behind = _start("behind", *at_relay)
    senders = {"direct": (direct, at_direct), "over a relay": (behind, at_behind)}
    samples: dict[str, list[dict[str, float]]] = {way: [] for way in senders}
    try:
        async with open_host(NodeKey.generate(), NETWORK, listen=[]) as host:
            peers = {way: await host.connect(addresses) for way, (_, addresses) in senders.items()}
            for number in range(rounds + 1):
                for way, (sender, _) in senders.items():
                    before = time.process_time(), _cpu(sender.pid), _cpu(relay.pid)
                    began = time.perf_counter()
                    await _fetch(host, peers[way])
                    took = time.perf_counter() - began
                    after = time.process_time(), _cpu(sender.pid), _cpu(relay.pid)
                    spent = [late - early for early, late in zip(before, after, strict=True)]
                    if number:  # the first grows the windows
                        names = ("receiver", "sender", "relay")
                        samples[way].append({"MB/s": SIZE / took / 1e6, **dict(zip(names, spent, strict=True))})
            assert {status.relayed for status in host.connected() if status.peer_id == peers["over a relay"]} == {True}
    finally:
        for peer in (relay, direct, behind):
            assert peer.stdin is not None
            peer.stdin.close()
            peer.wait()
    return {
        way: {name: statistics.median(sample[name] for sample in taken) for name in taken[0]}
        for way, taken in samples.items()
    }


def main() -> None:
    """The figures, as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--role", choices=("relay", "direct", "behind"))
    parser.add_argument("relays", nargs="*")
    options = parser.parse_args()
    upgrading.Upgrades.identified = lambda *_: None  # type: ignore[method-assign]  # it is to stay relayed
    if options.role:
        trio.run(_serve, options.role, options.relays)
        return
    figures = trio.run(_measure, options.rounds)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{SIZE / 1e6:.0f} MB, medians of {options.rounds}\n")
    print("| way | MB/s | receiver, CPU s | sender, CPU s | relay, CPU s |\n|---|---|---|---|---|")
    for way, row in figures.items():
        print(f"| {way} | {row['MB/s']:.0f} | {row['receiver']:.2f} | {row['sender']:.2f} | {row['relay']:.2f} |")


if __name__ == "__main__":
    main()
