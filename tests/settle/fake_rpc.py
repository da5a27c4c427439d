"""An RPC that says whatever a test wants: answers by method, or bytes that are no answer at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

Answer = Any  # a result, an `Error`, or a function of the parameters that gives one


@dataclass(frozen=True)
class Error:
    """What an RPC says that refuses."""

    message: str
    code: int = -32000
    data: Any = None


@dataclass
class FakeRpc:
    """`methods` answers; `raw` is sent as the HTTP body in place of all that, where it is set."""

    methods: dict[str, Answer] = field(default_factory=lambda: {"eth_chainId": hex(31337)})
    raw: Callable[[bytes], bytes] | None = None
    batches: bool = True
    down: bool = False  # whether connections are closed without a word
    silent: bool = False  # whether requests are read and never answered
    head: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    asked: list[str] = field(default_factory=list)
    kept_waiting: trio.Event = field(default_factory=trio.Event)  # set when a silent one has a request
    url: str = ""

    def reply(self, body: bytes) -> bytes:
        if self.raw is not None:
            return self.raw(body)
        calls = json.loads(body)
        if isinstance(calls, list):
            if not self.batches:
                return json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}}).encode()
            return json.dumps([self._one(call) for call in reversed(calls)]).encode()
        return json.dumps(self._one(calls)).encode()

    def _one(self, call: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(call["method"])
        found = self.methods.get(call["method"], Error("the method does not exist", -32601))
        if callable(found):
            found = found(*call["params"])
        if isinstance(found, Error):
            error = {"code": found.code, "message": found.message}
            return {"jsonrpc": "2.0", "id": call["id"], "error": error | ({"data": found.data} if found.data else {})}
        return {"jsonrpc": "2.0", "id": call["id"], "result": found}

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            buffer = b""
            while not self.down:
                while b"\r\n\r\n" not in buffer:
                    if not (piece := await stream.receive_some(65536)):
                        return
                    buffer += piece
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                (size,) = (int(x[15:]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:"))
                while len(buffer) < size:
                    buffer += await stream.receive_some(65536)
                body, buffer = buffer[:size], buffer[size:]
                if self.down:
                    return
                if self.silent:
                    self.kept_waiting.set()
                    await trio.sleep_forever()
                answer = self.reply(body)
                try:
                    await stream.send_all(self.head + b"Content-Length: %d\r\n\r\n" % len(answer) + answer)
                except trio.BrokenResourceError:  # the client has had enough
                    return


@asynccontextmanager
async def serving(*rpcs: FakeRpc) -> AsyncIterator[None]:
    """Let them answer on loopback: each knows its `url` then."""
    async with trio.open_nursery() as nursery:
        for rpc in rpcs:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            rpc.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
            nursery.start_soon(trio.serve_listeners, rpc.serve, [listener])
        yield
        nursery.cancel_scope.cancel()
