"""js-libp2p nodes in a process of their own (peer.js), and what they are asked for and say."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio

HERE = Path(__file__).parent
NODE = shutil.which("node")
SECONDS = 60

needs_javascript = [
    pytest.mark.skipif(NODE is None, reason="SKIPPED: node is not installed"),
    pytest.mark.skipif(
        not (HERE / "node_modules" / "libp2p").is_dir(), reason="SKIPPED: js-libp2p is not installed: make interop"
    ),
]


class JsNode:
    """One node. `peer` is its id, `addresses` where it listens, whole."""

    def __init__(self, js: JavaScript, opened: dict[str, Any]) -> None:
        self._js, self._number = js, opened["node"]
        self.peer: str = opened["peer"]
        self.addresses: list[str] = opened["addresses"]

    async def __call__(self, call: str, **options: Any) -> dict[str, Any]:
        """Have the node do something: a name of `calls` in peer.js."""
        return await self._js.call(call, node=self._number, **options)

    async def until(self, good: Callable[[dict[str, Any]], object], call: str, **options: Any) -> None:
        """Ask this again and again until the answer is good."""
        while not good(await self(call, **options)):  # noqa: ASYNC110 — js-libp2p has no event for most of it
            await trio.sleep(0.05)

    async def heard(self) -> dict[str, Any]:
        """The next gossip of this node's."""
        while True:
            async for event in self._js.events:
                if event["node"] == self._number:
                    return event


class JavaScript:
    """The process."""

    def __init__(self, process: trio.Process) -> None:
        self._process, self._ids = process, count()
        self._answers: dict[int, tuple[trio.Event, list[dict[str, Any]]]] = {}
        self._said, self.events = trio.open_memory_channel[dict[str, Any]](1000)

    async def open(self, **options: Any) -> JsNode:
        """A new node; the options are those of `open` in peer.js."""
        return JsNode(self, await self.call("open", **options))

    async def call(self, call: str, **options: Any) -> dict[str, Any]:
        """What came of it; AssertionError with the other side's words when it failed."""
        number, done, answer = next(self._ids), trio.Event(), list[dict[str, Any]]()
        self._answers[number] = done, answer
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps({"id": number, "call": call, **options}).encode() + b"\n")
        await done.wait()
        assert "error" not in answer[0], answer[0]["error"]
        return answer[0]

    async def read(self) -> None:
        """Take what it says, until its end."""
        assert self._process.stdout is not None
        buffer = b""
        async for chunk in self._process.stdout:
            *whole, buffer = (buffer + chunk).split(b"\n")
            for line in whole:
                said = json.loads(line)
                if "event" in said:
                    self._said.send_nowait(said)
                else:
                    done, answer = self._answers.pop(said["id"])
                    answer.append(said)
                    done.set()


@asynccontextmanager
async def javascript() -> AsyncIterator[JavaScript]:
    """The process for the length of the block, which must be over within `SECONDS`."""
    assert NODE is not None
    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, [NODE, "peer.js"], cwd=HERE, check=False)
        process = await nursery.start(partial(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        js = JavaScript(process)
        nursery.start_soon(js.read)
        try:
            with trio.fail_after(SECONDS):
                yield js
        finally:
            nursery.cancel_scope.cancel()
