"""How a command speaks to its own running node: a Unix socket in the data directory, mode 0600.

One operation a connection: the command sends its name and parameters, the node sends events and at last the result or
the error. Messages are MessagePack behind a 4-byte length; both ends belong to one user, the bound guards memory only.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import trio

from .bounds import MAX_CONTROL_MESSAGE
from .errors import CommandError, Exit

log = logging.getLogger("hallmark.node")

Event = dict[str, Any]
Emit = Callable[[Event], None]
Run = Callable[[str, dict[str, Any], Emit], Awaitable[dict[str, Any]]]


_WIDE = 1  # the extension type of an integer beyond 64 bits, such as a price; in decimal


def _widen(value: Any) -> msgpack.ExtType:
    if isinstance(value, int):
        return msgpack.ExtType(_WIDE, str(value).encode())
    raise TypeError(f"{type(value).__name__} cannot cross the control socket")


def _narrow(code: int, data: bytes) -> int:
    if code != _WIDE:
        raise ValueError(f"unknown extension type {code}")
    return int(data)


async def _send(stream: trio.SocketStream, message: dict[str, Any]) -> None:
    body = msgpack.packb(message, default=_widen, unicode_errors="surrogateescape")  # a path may hold any bytes
    await stream.send_all(len(body).to_bytes(4, "big") + body)


async def _receive(stream: trio.SocketStream, buffer: bytearray) -> dict[str, Any] | None:
    while True:
        size = int.from_bytes(buffer[:4], "big") if len(buffer) >= 4 else 0
        if size > MAX_CONTROL_MESSAGE:
            raise CommandError(Exit.USAGE, f"a message of {size} bytes, the bound is {MAX_CONTROL_MESSAGE}")
        if len(buffer) >= 4 + size and len(buffer) >= 4:
            message = _unpack(bytes(buffer[4 : 4 + size]))
            del buffer[: 4 + size]
            return message
        data = await stream.receive_some(1 << 20)
        if not data:
            return None
        buffer += data


def _unpack(body: bytes) -> dict[str, Any]:
    try:
        message = msgpack.unpackb(body, strict_map_key=False, ext_hook=_narrow, unicode_errors="surrogateescape")
    except Exception as error:  # msgpack raises a dozen kinds; all mean that the other end is no node or command
        raise CommandError(Exit.INTERNAL, f"what came over the control socket is no message: {error}") from error
    if not isinstance(message, dict):
        raise CommandError(Exit.INTERNAL, "what came over the control socket is no message")
    return message


@contextlib.contextmanager
def _short_path(path: Path) -> Any:
    """A socket's path may have 107 bytes at most; through the directory's descriptor any depth works (on Linux)."""
    if len(os.fsencode(path)) < 100 or not Path("/proc/self/fd").exists():
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


@asynccontextmanager
async def serve_control(path: Path, run: Run) -> AsyncIterator[None]:
    """Serve `run` on the socket while the context lasts; a leftover of a killed node is replaced (the lock is held)."""
    listening = trio.socket.from_stdlib_socket(_listen(path))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, lambda s: _serve_one(s, run), [trio.SocketListener(listening)])
        try:
            yield
        finally:
            nursery.cancel_scope.cancel()
            _remove(path)


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`, for its owner alone. No await inside: the umask is the whole process's."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        _remove(path)
        with _short_path(path) as short:
            listening.bind(short)
        listening.listen(16)
    except OSError as error:
        listening.close()
        raise CommandError(Exit.CONFIG, f"the control socket {path} cannot be made: {error}") from error
    finally:
        os.umask(before)
    return listening


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


async def _serve_one(stream: trio.SocketStream, run: Run) -> None:
    try:
        async with stream, trio.open_nursery() as nursery:
            buffer = bytearray()
            call = await _receive(stream, buffer)
            if call is None:
                return
            send, receive = trio.open_memory_channel[dict[str, Any]](1024)

            async def forward() -> None:
                async with receive:
                    async for message in receive:
                        await _send(stream, message)
                nursery.cancel_scope.cancel()

            async def watch() -> None:  # a command that goes away ends its operation
                await stream.receive_some(1)
                nursery.cancel_scope.cancel()

            def emit(event: Event) -> None:
                with contextlib.suppress(trio.WouldBlock):  # progress that nobody reads may be lost, never waited for
                    send.send_nowait({"event": event})

            nursery.start_soon(forward)
            nursery.start_soon(watch)
            async with send:
                await send.send(await _result(run, call, emit))
    except* (trio.BrokenResourceError, trio.ClosedResourceError, CommandError) as group:
        log.debug("a command went away: %s", group.exceptions[0])
    except* Exception:  # a result that cannot be sent is our bug, and must not end the node
        log.exception("a command could not be answered")


async def _result(run: Run, call: dict[str, Any], emit: Emit) -> dict[str, Any]:
    try:
        return {"result": await run(str(call.get("name")), dict(call.get("params") or {}), emit)}
    except CommandError as error:
        return {"error": [int(error.exit_code), error.message, error.next_step]}
    except Exception as error:  # an operation's bug must not end the node; its cause is logged here and named there
        from .failures import explain  # here and not above: a command that only calls needs none of what it imports

        if told := explain(error):
            return {"error": [int(told.exit_code), told.message, told.next_step]}
        log.exception("the operation %s failed", call.get("name"))
        return {"error": [int(Exit.INTERNAL), f"{type(error).__name__}: {error}", "The node's log has the details."]}


async def call_node(path: Path, name: str, params: dict[str, Any], emit: Emit) -> dict[str, Any] | None:
    """Run an operation in the running node; None when no node answers there. CommandError, as it failed there."""
    sock = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_path(path) as short:
            await sock.connect(short)
    except OSError:
        sock.close()
        return None
    async with trio.SocketStream(sock) as stream:
        try:
            await _send(stream, {"name": name, "params": params})
            buffer = bytearray()
            while (message := await _receive(stream, buffer)) is not None:
                if "event" in message:
                    emit(message["event"])
                elif "error" in message:
                    code, text, next_step = message["error"]
                    raise CommandError(Exit(code), text, next_step)
                else:
                    return dict(message["result"])
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise CommandError(Exit.REMOTE, "the node stopped in the middle of this", "Start it again.") from error
    raise CommandError(Exit.REMOTE, "the node stopped in the middle of this", "Start it again: hallmark serve")
