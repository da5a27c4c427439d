"""The control socket: what crosses it, whom it serves, and what cannot harm the node behind it."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from node.control import Emit, call_node, serve_control
from node.errors import CommandError, Exit
from wire.bounds import MIB
from wire.errors import ErrorCode, RemoteError

Run = dict[str, Any]


@pytest.fixture
def path() -> Iterator[Path]:
    """A socket's place, in a directory whose name is short whatever pytest calls its own."""
    with tempfile.TemporaryDirectory(prefix="hm-") as folder:
        yield Path(folder) / "control.sock"


async def run(name: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """A node with a few operations."""
    if name == "echo":
        return params
    if name == "count":
        for n in range(3):
            emit({"event": "step", "n": n})
        return {"counted": 3}
    if name == "refuse":
        raise CommandError(Exit.NOT_PROVED, "it is not so", "do otherwise")
    if name == "remote":
        raise RemoteError(ErrorCode.UNREACHABLE, "nobody is there")
    if name == "unsendable":
        return {"object": object()}
    if name == "forever":
        await trio.sleep_forever()
    raise ZeroDivisionError("a bug")


def nothing(_: dict[str, Any]) -> None:
    """For operations that say nothing."""


def mode_of(path: Path) -> int:
    """The mode of what stands there; 0 when nothing does."""
    return path.lstat().st_mode if os.path.lexists(path) else 0


async def raw(path: Path, data: bytes) -> bytes:
    """Send these bytes, and say no more; everything that comes back."""
    async with await trio.open_unix_socket(str(path)) as stream:
        await stream.send_all(data)
        await stream.send_eof()
        return await rest_of(stream)


async def rest_of(stream: trio.SocketStream) -> bytes:
    found = b""
    try:
        while data := await stream.receive_some(65536):
            found += data
    except trio.BrokenResourceError:
        pass
    return found


def framed(message: Any) -> bytes:
    body = msgpack.packb(message)
    return len(body).to_bytes(4, "big") + body


async def test_a_result_comes_back_as_it_was_made(path: Path) -> None:
    params = {"text": "é", "bytes": b"\0\xff", "none": None, "list": [1, {"a": 1.5}], "big": 2**64 - 1}
    async with serve_control(path, run):
        assert await call_node(path, "echo", params, nothing) == params


async def test_prices_beyond_64_bits_and_names_beyond_utf8_cross(path: Path) -> None:
    params = {"price": 2**128 - 1, "less": -(2**70), "path": "caf\udce9.onnx"}
    async with serve_control(path, run):
        assert await call_node(path, "echo", params, nothing) == params


async def test_a_large_result_crosses(path: Path) -> None:
    async with serve_control(path, run):
        result = await call_node(path, "echo", {"data": bytes(8 * MIB)}, nothing)
    assert result == {"data": bytes(8 * MIB)}


async def test_events_come_in_order_before_the_result(path: Path) -> None:
    seen: list[dict[str, Any]] = []
    async with serve_control(path, run):
        assert await call_node(path, "count", {}, seen.append) == {"counted": 3}
    assert seen == [{"event": "step", "n": n} for n in range(3)]


async def test_progress_that_nobody_reads_is_lost_and_never_waited_for(path: Path) -> None:
    async def talkative(_: str, __: dict[str, Any], emit: Emit) -> dict[str, Any]:
        for n in range(5000):
            emit({"event": "step", "n": n})
        return {"done": True}

    seen: list[dict[str, Any]] = []
    async with serve_control(path, talkative):
        assert await call_node(path, "any", {}, seen.append) == {"done": True}
    assert 0 < len(seen) < 5000


async def test_a_failure_crosses_with_its_exit_code_and_next_step(path: Path) -> None:
    async with serve_control(path, run):
        with pytest.raises(CommandError) as caught:
            await call_node(path, "refuse", {}, nothing)
    error = caught.value
    assert (error.exit_code, error.message, error.next_step) == (Exit.NOT_PROVED, "it is not so", "do otherwise")


async def test_other_errors_are_explained_and_bugs_are_named(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serve_control(path, run):
        with pytest.raises(CommandError) as remote:
            await call_node(path, "remote", {}, nothing)
        with pytest.raises(CommandError, match="ZeroDivisionError") as bug:
            await call_node(path, "bug", {}, nothing)
        assert await call_node(path, "echo", {}, nothing) == {}
    assert (remote.value.exit_code, bug.value.exit_code) == (Exit.NO_PEERS, Exit.INTERNAL)
    assert "Traceback" in caplog.text


async def test_a_result_that_cannot_be_sent_does_not_end_the_node(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serve_control(path, run):
        with pytest.raises(CommandError):
            await call_node(path, "unsendable", {}, nothing)
        assert await call_node(path, "echo", {}, nothing) == {}
    assert "could not be answered" in caplog.text


async def test_it_is_for_its_owner_alone(path: Path) -> None:
    async with serve_control(path, run):
        assert stat.S_ISSOCK(mode_of(path))
        assert stat.S_IMODE(mode_of(path)) == 0o600
        before = os.umask(0o022)
        os.umask(before)
        assert before != 0o177
    assert mode_of(path) == 0


async def test_a_deep_directory_has_a_socket_too(path: Path) -> None:
    deep = path.parent / ("d" * 120) / ("e" * 120) / "control.sock"
    await trio.Path(deep.parent).mkdir(parents=True)
    async with serve_control(deep, run):
        assert stat.S_IMODE(mode_of(deep)) == 0o600
        assert await call_node(deep, "echo", {"a": 1}, nothing) == {"a": 1}
    assert mode_of(deep) == 0


async def test_what_a_killed_node_left_is_replaced(path: Path) -> None:
    left = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await left.bind(str(path))
    left.close()
    assert mode_of(path)
    assert await call_node(path, "echo", {}, nothing) is None  # nobody answers there
    async with serve_control(path, run):
        assert await call_node(path, "echo", {"a": 1}, nothing) == {"a": 1}


async def test_where_no_node_is_there_is_no_answer(path: Path) -> None:
    assert await call_node(path, "echo", {}, nothing) is None
    assert await call_node(path.parent / "none" / "control.sock", "echo", {}, nothing) is None
    os.mknod(path)  # a file, and no socket
    assert await call_node(path, "echo", {}, nothing) is None


async def test_a_place_without_a_directory_is_a_sentence(path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be made") as caught:
        async with serve_control(path.parent / "none" / "control.sock", run):
            pytest.fail("it cannot be served")
    assert caught.value.exit_code is Exit.CONFIG


async def test_a_command_that_goes_away_ends_its_operation(path: Path) -> None:
    started, ended = trio.Event(), trio.Event()

    async def long(_: str, __: dict[str, Any], emit: Emit) -> dict[str, Any]:
        emit({"event": "started"})
        started.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()
        return {}

    async with serve_control(path, long):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call_node, path, "any", {}, nothing)
            await started.wait()
            nursery.cancel_scope.cancel()
        with trio.fail_after(10):
            await ended.wait()


async def test_a_node_that_stops_tells_the_command(path: Path) -> None:
    stop = trio.Event()

    async def node() -> None:
        async with serve_control(path, run):
            await stop.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(node)
        await wait_all_tasks_blocked()
        outcome: list[CommandError] = []

        async def ask() -> None:
            try:
                await call_node(path, "forever", {}, nothing)
            except CommandError as error:
                outcome.append(error)

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        stop.set()
    assert outcome[0].exit_code is Exit.REMOTE
    assert "stopped" in outcome[0].message


GARBAGE = [
    b"",
    b"\0",
    b"\0\0\0\0",
    b"\0\0\0\1\xc1",
    b"\0\0\0\5\x81",
    b"\xff\xff\xff\xff" + b"x" * 100,
    framed([1, 2]),
    framed({}),
    framed({"name": ["list"], "params": 5}),
    framed({"name": "echo", "params": [1]}),
    framed({"name": "echo", "params": {1: 2}}) + b"more",
    framed(msgpack.ExtType(1, b"no number")),
    framed(msgpack.ExtType(7, b"")),
    framed({b"\xff": 1}),
    b"\0\0\0\3\x81\x90\x01",  # a map whose key is a list
    (1100).to_bytes(4, "big") + b"\x91" * 1100,
]


@pytest.mark.parametrize("data", GARBAGE, ids=lambda data: data[:12].hex() or "nothing")
async def test_garbage_from_a_command_leaves_the_node_up(path: Path, data: bytes) -> None:
    async with serve_control(path, run):
        with trio.fail_after(10):
            await raw(path, data)
        assert await call_node(path, "echo", {"a": 1}, nothing) == {"a": 1}


@settings(max_examples=30)
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_leave_the_node_up(data: bytes, as_message: bool) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory(prefix="hm-") as folder:
            path = Path(folder) / "control.sock"
            async with serve_control(path, run):
                with trio.fail_after(10):
                    await raw(path, len(data).to_bytes(4, "big") + data if as_message else data)
                assert await call_node(path, "echo", {"a": 1}, nothing) == {"a": 1}

    trio.run(main)


@pytest.mark.parametrize("reply", [b"", b"\0\0\0\1\xc1", framed([1]), b"\xff\xff\xff\xff", b"\0\0\0\5\x81"])
async def test_a_node_that_answers_garbage_is_a_sentence(path: Path, reply: bytes) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(100)
            await stream.send_all(reply)

    listening = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await listening.bind(str(path))
    listening.listen(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, answer, [trio.SocketListener(listening)])
        with pytest.raises(CommandError):
            await call_node(path, "echo", {}, nothing)
        nursery.cancel_scope.cancel()
