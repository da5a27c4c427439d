"""A network file from the web, over real sockets: what is taken, and what ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from node.errors import CommandError
from node.networks import fetching
from node.networks.fetching import fetch_file
from wire.bounds import MAX_NETWORK_FILE


@asynccontextmanager
async def web(answer: bytes, *, endless: bytes = b"", hang: bool = False) -> AsyncIterator[str]:
    """A server on loopback that says this to whoever connects."""

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await stream.receive_some(65536)
            await stream.send_all(answer)
            while endless:
                await stream.send_all(endless)
            if hang:
                await trio.sleep_forever()
            await stream.aclose()
        except trio.BrokenResourceError:
            pass

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(partial(trio.serve_listeners, serve, listeners))
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/network.toml"
        nursery.cancel_scope.cancel()


def answered(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


async def refused(url: str) -> str:
    with pytest.raises(CommandError) as told:
        await fetch_file(url)
    return told.value.message


async def test_it_is_fetched_and_its_lines_end_as_ours_do() -> None:
    async with web(answered(b"name = 1\r\n# end\n")) as url:
        assert await fetch_file(url) == "name = 1\n# end\n"


async def test_a_few_redirects_are_followed_and_no_more() -> None:
    async with web(answered(b"text")) as end, web(answered(b"", f"Location: {end}", status="302 Found")) as url:
        assert await fetch_file(url) == "text"
    async with web(answered(b"", "Location: /again", status="302 Found")) as url:
        assert "leads on over 3 times" in await refused(url)


@pytest.mark.parametrize(
    "where", ["http://192.0.2.1/n.toml", "file:///etc/passwd", "ftp://x/n.toml", "http://example.org/"]
)
async def test_only_https_is_taken_and_a_redirect_changes_nothing_of_that(where: str) -> None:
    assert "only https" in await refused(where)
    async with web(answered(b"", f"Location: {where}", status="301 Moved")) as url:
        assert "only https" in await refused(url)


async def test_what_is_too_large_is_left_where_it_is() -> None:
    async with web(b"HTTP/1.1 200 OK\r\n\r\n", endless=b"x" * 65536) as url:
        assert f"over {MAX_NETWORK_FILE} bytes" in await refused(url)


async def test_a_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FILE_SECONDS", 0.3)
    async with web(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nna", hang=True) as url:
        assert "cannot be had" in await refused(url)


@pytest.mark.parametrize(
    "answer",
    [b"", b"\xff" * 900, answered(b"no", status="404 Not Found"), answered(b"\xff\xfe"), b"HTTP/1.1 200 OK\r\nX"],
)
async def test_whatever_else_it_says_is_a_sentence(answer: bytes) -> None:
    async with web(answer) as url:
        assert "cannot be had" in await refused(url)
