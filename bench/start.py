"""`hallmark serve`: from start to ready, and what an idle peer takes.    python -m bench.start [--runs N] [--json]

Idle is measured over 30 s, beginning 5 s after ready, with three other peers connected.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil
import trio

from bench.figures import row, show
from node.demo.peers import Member, ending, gather, start
from wire.presence import Role

SETTLE, IDLE = 5.0, 30.0
ROLES: tuple[Role, ...] = ("hub", "provider", "verifier")


async def measure(runs: int, place: Path) -> list[dict[str, object]]:
    """The rows: start, idle."""
    members, _ = gather(place, {f"peer-{i}": ROLES for i in range(4)})
    times = []
    for _ in range(runs):
        async with ending(members[:1]):
            began = time.perf_counter()
            await start(members[0], ())
            times.append((time.perf_counter() - began) * 1000)
    async with ending(members):
        await start(members[0], ())
        for member in members[1:]:
            await start(member, members[0].addresses[:1])
        await trio.sleep(SETTLE)
        idle = await _idle(members)
    return [row("serve, start to ready", times), *idle]


async def _idle(members: list[Member]) -> list[dict[str, object]]:
    processes = [psutil.Process(m.process.pid) for m in members if m.process]
    before = [sum(p.cpu_times()[:2]) for p in processes]
    began = time.perf_counter()
    await trio.sleep(IDLE)
    seconds = time.perf_counter() - began
    rows: list[dict[str, object]] = []
    for member, process, earlier in zip(members, processes, before, strict=True):
        cpu = (sum(process.cpu_times()[:2]) - earlier) / seconds * 100
        memory = process.memory_info().rss / 2**20
        rows.append({"name": f"idle {member.name}", "cpu_percent": round(cpu, 2), "rss_mib": round(memory, 1)})
    return rows


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        rows = trio.run(measure, arguments.runs, Path(place))
    show("A serving peer", rows, arguments.json)


if __name__ == "__main__":
    main()
