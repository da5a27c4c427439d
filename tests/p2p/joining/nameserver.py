"""A small DNS server on loopback: TXT records of the names it was given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rrset
import trio

from p2p.joining.seeds import Txt, ask


@asynccontextmanager
async def serving(names: Mapping[str, Sequence[str]]) -> AsyncIterator[Txt]:
    """What asks the server; a name whose records are ["silence"] gets no answer, and one that is not there NXDOMAIN."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as udp:
        await udp.bind(("127.0.0.1", 0))
        port = udp.getsockname()[1]
        tcp = await trio.open_tcp_listeners(port, host="127.0.0.1")  # for answers that do not fit a datagram
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], port
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_datagrams, udp, names)
            nursery.start_soon(partial(trio.serve_listeners, partial(_connection, names), tcp))
            yield partial(ask, resolver)
            nursery.cancel_scope.cancel()


def _reply(names: Mapping[str, Sequence[str]], data: bytes) -> dns.message.Message | None:
    query = dns.message.from_wire(data)
    reply = dns.message.make_response(query)
    question = query.question[0]
    texts = names.get(question.name.to_text(omit_final_dot=True))
    if texts == ["silence"]:
        return None
    if texts is None:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    elif texts:
        quoted = [f'"{text[:200]}" "{text[200:]}"' if len(text) > 200 else f'"{text}"' for text in texts]
        reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *quoted))
    return reply


async def _datagrams(udp: trio.socket.SocketType, names: Mapping[str, Sequence[str]]) -> None:
    while True:
        data, where = await udp.recvfrom(4096)
        if (reply := _reply(names, data)) is not None:
            wire = reply.to_wire(max_size=65535)
            if len(wire) > 1200:
                reply.flags |= 0x0200  # TC: come back over TCP
                reply.answer = []
                wire = reply.to_wire()
            await udp.sendto(wire, where)


async def _connection(names: Mapping[str, Sequence[str]], stream: trio.SocketStream) -> None:
    data = bytearray()
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
        data += await stream.receive_some(4096)
    if (reply := _reply(names, bytes(data[2:]))) is not None:
        wire = reply.to_wire(max_size=65535)
        await stream.send_all(len(wire).to_bytes(2, "big") + wire)
