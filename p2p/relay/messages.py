"""What relays, and peers about to punch a hole, say to each other: small protobufs behind their length.

Bytes of a stranger's become one of the dataclasses here, or RemoteError (BAD_FRAME).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TypeVar, cast

import trio
from google.protobuf.message import Message
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb import circuit_pb2 as pb
from libp2p.relay.circuit_v2.pb import dcutr_pb2 as dcutr

from wire.errors import ErrorCode, RemoteError

from .. import bounds
from ..addresses import Multiaddr

HOP = TProtocol("/libp2p/circuit/relay/0.2.0/hop")
STOP = TProtocol("/libp2p/circuit/relay/0.2.0/stop")
DCUTR = TProtocol("/libp2p/dcutr")

_PEER_ID = 64  # bytes of one, at most
_LENGTH = 3  # bytes of a length, at most
M = TypeVar("M", bound=Message)


class Status(IntEnum):
    """The specification's codes."""

    OK = 100
    RESERVATION_REFUSED = 200
    RESOURCE_LIMIT_EXCEEDED = 201
    PERMISSION_DENIED = 202
    CONNECTION_FAILED = 203
    NO_RESERVATION = 204
    MALFORMED_MESSAGE = 400
    UNEXPECTED_MESSAGE = 401


@dataclass(frozen=True, slots=True)
class Limit:
    """How long one circuit may last, in seconds, and how many bytes it carries each way; 0: no limit."""

    seconds: int = 0
    data: int = 0


@dataclass(frozen=True, slots=True)
class Reserve:
    """Asks a relay for a reservation."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Asks a relay for a circuit to `peer`; or says, on a stop stream, that `peer` is at the other end of this one."""

    peer: str
    limit: Limit = Limit()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it. `expires`, in Unix seconds, and `addresses`, the relay's, come with a reservation."""

    status: int
    limit: Limit = Limit()
    expires: int = 0
    addresses: tuple[str, ...] = ()
    voucher: bytes = b""


@dataclass(frozen=True, slots=True)
class Addresses:
    """DCUtR's CONNECT: where the sender may be met."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sync:
    """DCUtR's SYNC: now."""


Said = Reserve | Connect | Answer
Punched = Addresses | Sync


class Readable(Protocol):
    """The library's streams, and ours: `read` gives one to `n` bytes, and b"" or an exception at the end."""

    async def read(self, n: int) -> bytes: ...
    async def write(self, data: bytes) -> None: ...


def hop_bytes(message: Said) -> bytes:
    """A message on a hop stream."""
    match message:
        case Reserve():
            return _framed(pb.HopMessage(type=pb.HopMessage.RESERVE))
        case Connect(peer, _):
            return _framed(
                pb.HopMessage(type=pb.HopMessage.CONNECT, peer=pb.PeerId(id=ID.from_string(peer).to_bytes()))
            )
        case Answer():
            said = pb.HopMessage(type=pb.HopMessage.STATUS, status=_code(message))
            if message.expires:
                said.reservation.expire = message.expires
                said.reservation.addrs.extend(Multiaddr(text).to_bytes() for text in message.addresses)
                said.reservation.voucher = message.voucher
            _set_limit(said, message.limit)
            return _framed(said)


def stop_bytes(message: Connect | Answer) -> bytes:
    """A message on a stop stream."""
    if isinstance(message, Answer):
        return _framed(pb.StopMessage(type=pb.StopMessage.STATUS, status=_code(message)))
    peer = pb.PeerId(id=ID.from_string(message.peer).to_bytes())
    said = pb.StopMessage(type=pb.StopMessage.CONNECT, peer=peer)
    _set_limit(said, message.limit)
    return _framed(said)


def punch_bytes(message: Punched) -> bytes:
    """A message on a DCUtR stream."""
    if isinstance(message, Sync):
        return _framed(dcutr.HolePunch(type=dcutr.HolePunch.SYNC))
    found = [Multiaddr(text).to_bytes() for text in message.addresses]
    return _framed(dcutr.HolePunch(type=dcutr.HolePunch.CONNECT, ObsAddrs=found))


def read_hop(data: bytes) -> Said:
    """A message of a hop stream, without its length."""
    said = _parsed(pb.HopMessage, data)
    if said.type == pb.HopMessage.RESERVE and said.HasField("type"):
        return Reserve()
    if said.type == pb.HopMessage.CONNECT:
        return Connect(_peer(said.peer.id))
    if said.type == pb.HopMessage.STATUS:
        held = said.reservation
        addresses = _addresses(held.addrs, bounds.ADDRESSES)
        return Answer(said.status, _limit(said.limit), held.expire, addresses, held.voucher)
    raise _malformed("a message of no known type")


def read_stop(data: bytes) -> Connect | Answer:
    """A message of a stop stream, without its length."""
    said = _parsed(pb.StopMessage, data)
    if said.type == pb.StopMessage.CONNECT and said.HasField("type"):
        return Connect(_peer(said.peer.id), _limit(said.limit))
    if said.type == pb.StopMessage.STATUS:
        return Answer(said.status)
    raise _malformed("a message of no known type")


def read_punch(data: bytes) -> Punched:
    """A message of a DCUtR stream, without its length."""
    said = _parsed(dcutr.HolePunch, data)
    if said.type == dcutr.HolePunch.SYNC:
        return Sync()
    if said.type == dcutr.HolePunch.CONNECT:
        return Addresses(_addresses(said.ObsAddrs, bounds.PUNCH_ADDRESSES))
    raise _malformed("a message of no known type")


R = TypeVar("R")


async def receive(stream: Readable, read: Callable[[bytes], R]) -> R:
    """The next message, as `read` understands it, and no byte beyond it.

    RemoteError: BAD_FRAME, TIMEOUT after RELAY_TIMEOUT, LINK_LOST at the stream's end.
    """
    with _timed():
        size = 0
        for place in range(_LENGTH):
            byte = (await _exactly(stream, 1))[0]
            size |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                break
        else:
            raise _malformed("a length without end")
        if size > bounds.RELAY_MESSAGE:
            raise _malformed(f"a message of {size} bytes; the bound is {bounds.RELAY_MESSAGE}")
        return read(await _exactly(stream, size))


async def send(stream: Readable, data: bytes) -> None:
    """Write a message; RemoteError (TIMEOUT, LINK_LOST) when the peer does not take it."""
    with _timed():
        await stream.write(data)


@contextmanager
def _timed() -> Iterator[None]:
    """What the library's streams and the clock raise becomes RemoteError."""
    try:
        with trio.fail_after(bounds.RELAY_TIMEOUT):
            yield
    except trio.TooSlowError as error:
        raise RemoteError(ErrorCode.TIMEOUT, f"nothing within {bounds.RELAY_TIMEOUT:.0f} s") from error
    except RemoteError:
        raise
    except Exception as error:  # muxer, noise and socket each raise kinds of their own; all mean a broken link
        text = str(error) or type(error).__name__
        raise RemoteError(ErrorCode.LINK_LOST, f"the stream broke ({text})") from error


async def _exactly(stream: Readable, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.read(size - len(data))
        if not more:
            raise RemoteError(ErrorCode.LINK_LOST, "the stream ended in the middle of a message")
        data += more
    return data


def _framed(message: Message) -> bytes:
    body = message.SerializeToString()
    size, head = len(body), bytearray()
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size]) + body


def _parsed(kind: type[M], data: bytes) -> M:
    message = kind()
    try:
        message.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError, and what its pure Python twin raises
        raise _malformed("bytes that are no message") from error
    return message


def _peer(data: bytes) -> str:
    if not 0 < len(data) <= _PEER_ID:
        raise _malformed("no peer's id")
    return str(ID(data))


def _addresses(found: Sequence[bytes] | Iterable[bytes], most: int) -> tuple[str, ...]:
    """Those that can be read, as text."""
    texts: list[str] = []
    for data in list(found)[: 4 * most]:
        try:
            text = str(Multiaddr(data)) if len(data) <= bounds.ADDRESS_TEXT else ""
        except Exception:  # multiaddr raises many kinds for bad bytes
            continue
        if 0 < len(text) <= bounds.ADDRESS_TEXT:
            texts.append(text)
    return tuple(texts[:most])


def _code(answer: Answer) -> pb.Status.ValueType:
    return cast("pb.Status.ValueType", answer.status)


def _limit(limit: pb.Limit) -> Limit:
    return Limit(limit.duration, limit.data)


def _set_limit(said: pb.HopMessage | pb.StopMessage, limit: Limit) -> None:
    if limit != Limit():
        said.limit.duration, said.limit.data = limit.seconds, limit.data


def _malformed(what: str) -> RemoteError:
    return RemoteError(ErrorCode.BAD_FRAME, f"the peer sent {what}")
