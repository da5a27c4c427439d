"""HTTP/1.1 for JSON-RPC and nothing else: h11 decides, trio moves bytes. POST asks; GET says that somebody is here.

Whoever sends nonsense, too much or too slowly loses the connection. A browser's page on another site may send, but
never reads an answer: no header allows it, and a host's name that is not this machine's is refused (DNS rebinding).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import h11
import trio

from . import bounds

Answer = Callable[[bytes], Awaitable[bytes]]
_HOSTS = (b"127.0.0.1", b"localhost")
_PIECE = 64 * bounds.KIB


class _Refused(Exception):
    """A request that gets this status and no other answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def serve_http(listener: trio.SocketListener, answer: Answer) -> None:
    """Take connections for ever, `MAX_CONNECTIONS` at a time; the answer's bytes are what `answer` makes of a body."""
    places = trio.CapacityLimiter(bounds.MAX_CONNECTIONS)

    async def serve(stream: trio.SocketStream) -> None:
        async with places, stream:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError, h11.ProtocolError):
                await _converse(stream, answer)

    await trio.serve_listeners(serve, [listener])


async def _converse(stream: trio.SocketStream, answer: Answer) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=bounds.MAX_HEAD)
    while True:
        try:
            with trio.fail_after(bounds.IDLE_SECONDS):
                request = await _next(stream, connection)
            if not isinstance(request, h11.Request):
                return  # they closed it
            with trio.fail_after(bounds.REQUEST_SECONDS):
                body = await _body(stream, connection)
            status, made = await _answer(request, body, answer)
        except h11.RemoteProtocolError as error:
            status, made = error.error_status_hint, b""
        except _Refused as refused:
            status, made = refused.status, b""
        with trio.fail_after(bounds.REQUEST_SECONDS):
            await _respond(stream, connection, status, made)
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return
        connection.start_next_cycle()


async def _answer(request: h11.Request, body: bytes, answer: Answer) -> tuple[int, bytes]:
    host = next((value for name, value in request.headers if name == b"host"), b"127.0.0.1")
    if host.rpartition(b":")[0] not in _HOSTS and host not in _HOSTS:
        raise _Refused(403)
    if request.method == b"GET":
        return 200, b'"This is a JSON-RPC of an Ethereum chain: POST asks it."\n'
    if request.method != b"POST":
        raise _Refused(405)
    made = await answer(body)
    return (200 if made else 204), made


async def _next(stream: trio.SocketStream, connection: h11.Connection) -> object:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        if connection.they_are_waiting_for_100_continue:
            go = h11.InformationalResponse(status_code=100, headers=[])
            await stream.send_all(connection.send(go))
        connection.receive_data(await stream.receive_some(_PIECE))


async def _body(stream: trio.SocketStream, connection: h11.Connection) -> bytes:
    body = bytearray()
    while not isinstance(event := await _next(stream, connection), h11.EndOfMessage):
        if not isinstance(event, h11.Data):
            raise _Refused(400)
        body += event.data
        if len(body) > bounds.MAX_BODY:
            raise _Refused(413)
    return bytes(body)


async def _respond(stream: trio.SocketStream, connection: h11.Connection, status: int, body: bytes) -> None:
    if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))] if status != 204 else []
    if status >= 400:
        headers.append(("connection", "close"))
    octets = connection.send(h11.Response(status_code=status, headers=headers))
    octets += connection.send(h11.Data(data=body))
    octets += connection.send(h11.EndOfMessage())
    await stream.send_all(octets)
