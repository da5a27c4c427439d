"""What one gossip message costs each peer that hears it, in processor time, and how soon it is there.

python -m bench.gossip [--peers N] [--messages N] [--rate N] [--bytes N] [--json]

Each peer is a process of its own on loopback, connected to all others; one of them speaks. What a process used while
nothing was said is taken off. With so few peers everybody is in everybody's mesh, so that most copies are duplicates,
as they are in a large network.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import trio

from bench.figures import percentile, show
from bench.networks import NETWORK
from p2p import Admission, Host, bounds, open_host
from wire.keys import NodeKey

TOPIC = "offers"
QUIET = 5.0  # seconds over which an idle peer is measured
SETTLE = 3.0  # seconds for meshes to form, and for the last messages to come


def main() -> None:
    """Parse the arguments, run, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=int, default=5)
    parser.add_argument("--messages", type=int, default=120)
    parser.add_argument("--rate", type=float, default=8.0)
    parser.add_argument("--bytes", type=int, default=1200)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        trio.run(_peer)
    else:
        rows = run(arguments.peers, arguments.messages, arguments.rate, arguments.bytes)
        show("Gossip", rows, arguments.json)


def run(peers: int, messages: int, rate: float, size: int) -> list[dict[str, Any]]:
    """One row for the peer that speaks, one for those that hear it."""
    command = [sys.executable, "-m", "bench.gossip", "--peer"]
    children = [Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=Path(__file__).parents[1]) for _ in range(peers)]
    try:
        addresses = [_read(child)["address"] for child in children]
        for number, child in enumerate(children):
            order = {"dial": addresses[:number], "others": peers - 1, "seconds": 1.1 * messages / rate + SETTLE}
            _write(child, order | {"speak": messages if number == 0 else 0, "rate": rate, "bytes": size})
        said = [_read(child) for child in children]
        for child in children:
            _write(child, {})  # nobody leaves before everybody was measured
            child.wait(10)
    finally:
        for child in children:
            child.kill()
    heard = [one["heard"] for one in said[1:]]
    delays = sorted(1000 * delay for one in said[1:] for delay in one["delays"])
    cpu = [1000 * one["cpu"] / messages for one in said]
    return [
        {"name": "speaks", "cpu_ms_a_message": round(cpu[0], 2), "peers": peers, "messages": messages},
        {
            "name": "hears",
            "cpu_ms_a_message": round(sum(cpu[1:]) / (peers - 1), 2),
            "heard": f"{sum(heard)} of {messages * (peers - 1)}",
            "p50_ms": round(percentile(delays, 50), 1),
            "p99_ms": round(percentile(delays, 99), 1),
        },
    ]


async def _peer() -> None:
    for name in ("SENDER_RATE", "SENDER_BURST", "ORIGIN_RATE", "ORIGIN_BURST"):
        setattr(bounds, name, 1e9)  # every message counts here
    delays: list[float] = []

    def deliver(data: bytes, _: str) -> None:
        delays.append(time.time() - float(data[:32]))

    async with open_host(NodeKey.generate(), NETWORK, listen=["/ip4/127.0.0.1/tcp/0"]) as host:
        await host.join(TOPIC, lambda *_: Admission.ACCEPT, deliver)
        _say({"address": host.addresses[0]})
        order = json.loads(await trio.to_thread.run_sync(sys.stdin.readline))
        for address in order["dial"]:
            await host.connect([address])
        while host.neighbours(TOPIC) < order["others"]:  # noqa: ASYNC110 — a figure to wait for, not an event
            await trio.sleep(0.05)
        await trio.sleep(SETTLE)
        began = time.process_time()
        await trio.sleep(QUIET)
        idle = (time.process_time() - began) / QUIET
        cpu = await _measured(host, order, idle)
        _say({"cpu": cpu, "heard": len(delays), "delays": delays})
        await trio.to_thread.run_sync(sys.stdin.readline)


async def _measured(host: Host, order: dict[str, Any], idle: float) -> float:
    """Seconds of processor that the messages took, those of a second peer's or our own."""
    began, since = time.process_time(), trio.current_time()
    for _ in range(order["speak"]):
        stamp = f"{time.time():.6f}".ljust(32).encode()
        await host.publish(TOPIC, stamp + bytes(order["bytes"] - len(stamp)))
        await trio.sleep(1 / order["rate"])
    await trio.sleep(max(0.0, since + order["seconds"] - trio.current_time()))
    return time.process_time() - began - idle * (trio.current_time() - since)


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _read(child: Popen[str]) -> dict[str, Any]:
    assert child.stdout is not None
    line: dict[str, Any] = json.loads(child.stdout.readline())
    return line


def _write(child: Popen[str], what: dict[str, Any]) -> None:
    assert child.stdin is not None
    child.stdin.write(json.dumps(what) + "\n")
    child.stdin.flush()


if __name__ == "__main__":
    main()
