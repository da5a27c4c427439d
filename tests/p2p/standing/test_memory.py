"""The memory of a host that is attacked, seen from outside: bounded, and flat however often it is done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import trio

from p2p import Host, open_host
from p2p.addresses import parse_peer
from wire.bounds import KIB, MIB
from wire.keys import NodeKey

from ..hosts import NETWORK, ask
from .strangers import tcp
from .victim import SINK

HELD = 8 * MIB


class Victim:
    """The process, and what it says."""

    def __init__(self, process: trio.Process) -> None:
        self._process, self._rest = process, b""
        self.address = ""

    async def said(self) -> dict[str, Any]:
        """Its next line."""
        assert self._process.stdout is not None
        while b"\n" not in self._rest:
            some = await self._process.stdout.receive_some()
            assert some, "it ended"
            self._rest += some
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    async def look(self) -> dict[str, Any]:
        """What it takes now."""
        assert self._process.stdin is not None
        await self._process.stdin.send_all(b"\n")
        return await self.said()


@asynccontextmanager
async def victim(held: int = HELD) -> AsyncIterator[Victim]:
    """A running one."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "tests.p2p.standing.victim", str(held)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        found = Victim(process)
        with trio.fail_after(30):
            found.address = (await found.said())["address"]
        yield found
    finally:
        process.kill()
        await process.wait()


async def fill(host: Host, peer: str, streams: int) -> None:
    """Write a whole window on each of so many streams that nobody reads."""

    async def one() -> None:
        with suppress(Exception):  # it is reset in the middle, in one of the library's ways
            stream = await host._host.new_stream(parse_peer(peer), [SINK])
            await stream.write(bytes(256 * KIB))
            await trio.sleep_forever()

    with trio.move_on_after(1):
        async with trio.open_nursery() as nursery:
            for _ in range(streams):
                nursery.start_soon(one)


async def test_windows_that_nobody_reads_are_bounded_in_all_and_leave_nothing_behind() -> None:
    async with victim() as target, open_host(NodeKey.generate(), NETWORK, listen=[]) as honest:
        peer = await honest.connect([target.address])
        await ask(honest, peer)
        before, rounds = await target.look(), list[dict[str, Any]]()
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for _ in range(2):
                    attacker = await nursery.start(_attack, target.address)
                    nursery.start_soon(fill, attacker, peer, 60)  # 30 MiB in all
                with trio.fail_after(3):
                    await ask(honest, peer)
                await trio.sleep(1)
                rounds.append(await target.look())
                nursery.cancel_scope.cancel()
        for each in rounds:
            assert each["held"] <= HELD
            assert each["refusals"]["memory"] > 0
            assert each["resident"] - before["resident"] < HELD + 12 * MIB
        assert rounds[-1]["resident"] - rounds[1]["resident"] < 6 * MIB
        with trio.fail_after(10):
            while (await target.look())["tasks"] > before["tasks"] + 5:  # noqa: ASYNC110 — it is another process
                await trio.sleep(0.1)


async def _attack(address: str, task_status: trio.TaskStatus[Host]) -> None:
    async with open_host(NodeKey.generate(), NETWORK, listen=[]) as attacker:
        await attacker.connect([address])
        task_status.started(attacker)
        await trio.sleep_forever()


async def test_hundreds_of_connections_that_come_and_go_leave_nothing_behind() -> None:
    async with victim() as target, open_host(NodeKey.generate(), NETWORK, listen=[]) as honest:
        peer = await honest.connect([target.address])
        port, looks = int(target.address.split("/")[4]), list[dict[str, Any]]()
        for turn in range(3):
            for n in range(300):
                stream = await tcp(port, f"127.{turn}.{5 + n % 200}.1")
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(b"\x13/multistream/1.0.0\n\x07/noise\n" + bytes(n % 60))
                await stream.aclose()
            with trio.fail_after(3):
                await ask(honest, peer)
            looks.append(await target.look())
        assert looks[-1]["resident"] - looks[0]["resident"] < 6 * MIB
        assert looks[-1]["descriptors"] <= looks[0]["descriptors"] + 80  # those that are half open yet
