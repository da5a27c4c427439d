"""Garbage, half words and lies on every protocol of a serving peer: it goes on, and it does not grow."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import trio
from libp2p.custom_types import TProtocol

from p2p.addresses import parse_peer
from p2p.bounds import STREAMS_PER_PROTOCOL
from p2p.netstream import NetByteStream
from wire.canonical import encode
from wire.certificate import Certificate
from wire.committee import Convene
from wire.errors import ErrorCode, RemoteError
from wire.frames import FrameDecoder, Kind, frame_header, read_error
from wire.inference import Ask, Proof
from wire.tensors import TensorHeader

from . import made
from .strangers import Stranger, declined, drain, stranger
from .town import Fort

PROTOCOLS = ("infer", "committee", "blobs", "catalogue", "circuits")
GARBAGE = random.Random(1).randbytes(8192)
FOREIGN = Proof(certificate=Certificate(tier="signed", receipt=bytes(32)), ballots=(), reason="of another type")
GROWTH = 32 * 1024 * 1024  # bytes, for all attacks of this file together


@pytest.fixture(scope="module")
def size_before(fort: Fort) -> int:
    """What the fort occupied once it had answered its first stranger."""

    async def warm_up() -> None:
        async with stranger(fort) as first:
            for _ in range(3):
                await first.honest_question()

    trio.run(warm_up)
    return fort.node.memory()


@pytest.fixture
async def attacker(fort: Fort, size_before: int) -> AsyncIterator[Stranger]:
    """A stranger; when it has done its worst, somebody else's honest question is answered and nothing has grown."""
    async with stranger(fort) as made_up:
        yield made_up
        async with stranger(fort) as honest:
            await honest.honest_question()
    assert fort.node.running
    grown = fort.node.memory() - size_before
    assert grown < GROWTH, f"the peer has grown by {grown >> 20} MiB"


def record(value: Any) -> bytes:
    payload = encode(value)
    return frame_header(Kind.RECORD, len(payload)) + payload


def told(said: bytes) -> RemoteError:
    """The error frame in what the fort said."""
    decoder = FrameDecoder()
    decoder.feed(said)
    frame = decoder.next()
    assert frame is not None, f"no whole frame in {said!r}"
    assert frame.kind is Kind.ERROR
    return read_error(frame.payload)


def bad_words() -> Iterator[tuple[str, bytes, ErrorCode | None]]:
    """What is sent, then the end of the stream; and what the fort says to it, if anything."""
    yield "garbage", GARBAGE, ErrorCode.BAD_FRAME
    yield "a kind that is none", b"\x09\0\0\0\1x", ErrorCode.BAD_FRAME
    yield "a record of 4 GiB", b"\x01\xff\xff\xff\xff" + GARBAGE, ErrorCode.BAD_FRAME
    yield "data of 2 GiB", b"\x02\x80\0\0\0" + GARBAGE, ErrorCode.BAD_FRAME
    yield "half a header", b"\x01\0", None
    yield "half a record", frame_header(Kind.RECORD, 5000) + GARBAGE[:100], None
    yield "an empty record", frame_header(Kind.RECORD, 0), ErrorCode.BAD_RECORD
    yield "a record of garbage", frame_header(Kind.RECORD, 8192) + GARBAGE, ErrorCode.BAD_RECORD
    yield "deep nesting", frame_header(Kind.RECORD, 200_000) + b"\x91" * 200_000, ErrorCode.BAD_RECORD
    yield "a long array", frame_header(Kind.RECORD, 5) + b"\xdd\xff\xff\xff\xff", ErrorCode.BAD_RECORD
    yield "a record of another type", record(FOREIGN), ErrorCode.BAD_RECORD
    yield "data where a record is due", frame_header(Kind.DATA, 4) + b"abcd", ErrorCode.BAD_FRAME
    yield "an error out of nowhere", frame_header(Kind.ERROR, 4) + b"abcd", None


@pytest.mark.parametrize(("word", "code"), [pytest.param(w, c, id=name) for name, w, c in bad_words()])
async def test_bad_words_end_their_stream_or_are_declined(
    attacker: Stranger, word: bytes, code: ErrorCode | None
) -> None:
    for protocol in PROTOCOLS:
        stream = await attacker.stream(protocol)
        await stream.write(word)
        await stream.close()
        said = await drain(stream)
        if code is not None:
            assert told(said).code is code, protocol
        else:
            assert said == b"", protocol


async def test_a_stream_serves_again_after_a_bad_record(attacker: Stranger) -> None:
    async with attacker.host.exchange(attacker.target, "infer") as channel:
        await channel.send(FOREIGN)
        assert (await declined(channel)).code is ErrorCode.BAD_RECORD
        tensor = made.row()
        await channel.send(Ask(request=attacker.request(), inputs=(tensor.header,)), [tensor])
        with pytest.raises(AssertionError, match="gave an answer"):
            await declined(channel)


async def test_silent_streams_and_half_questions_hold_nobody_up(attacker: Stranger) -> None:
    kept: list[NetByteStream] = []
    question = record(Ask(request=attacker.request(), inputs=(made.row().header,)))
    for protocol in PROTOCOLS:
        kept.append(await attacker.stream(protocol))  # and not a word
        kept.append(await attacker.stream(protocol))
        await kept[-1].write(question[: len(question) // 2])  # and then nothing
    kept.append(await attacker.stream("infer"))
    await kept[-1].write(question)  # its tensors never come
    await attacker.honest_question()
    for protocol in ("infer", "committee"):
        stream = await attacker.stream(protocol)
        await stream.write(question[: len(question) // 2])
        await stream.reset()


async def test_hundreds_of_streams_at_once_are_too_many_for_one_peer_only(attacker: Stranger) -> None:
    kept = [await attacker.stream("infer") for _ in range(STREAMS_PER_PROTOCOL)]
    for stream in kept:
        await stream.write(b"\x01")
    refused = [await attacker.stream("infer") for _ in range(36)]
    for stream in refused:
        await stream.write(b"\x01")
        error = told(await drain(stream))
        assert error.code is ErrorCode.OVERLOADED
        assert f"{STREAMS_PER_PROTOCOL} streams of infer" in error.message
    kept += [await attacker.stream("blobs") for _ in range(32)]
    async with stranger(attacker.fort) as honest:
        await honest.honest_question()


LIES: dict[str, dict[str, Any]] = {
    "more bytes than the shape has": {"binary_data_size": 1 << 20},
    "no bytes": {"binary_data_size": 0},
    "over the bound": {"shape": (2**22 + 1, 4), "binary_data_size": 2**26 + 16},
    "a dim beyond any memory": {"shape": (2**39, 4), "binary_data_size": 2**43},
    "a negative dim": {"shape": (-1, 4)},
    "nine dims": {"shape": (1,) * 9},
    "another datatype": {"datatype": "FP64", "binary_data_size": 32},
    "no datatype": {"datatype": "FP128"},
    "text": {"datatype": "BYTES", "shape": (2**18, 4)},
    "another name": {"name": "z"},
    "another shape": {"shape": (1, 2, 2)},
}


async def test_headers_that_lie_are_refused_before_their_bytes(attacker: Stranger) -> None:
    true = {"name": "x", "shape": (1, 4), "datatype": "FP32", "binary_data_size": 16}
    for name, lie in LIES.items():
        header = TensorHeader(**true | lie)
        for protocol, question in (
            ("infer", Ask(request=attacker.request(), inputs=(header,))),
            ("committee", Convene(request=attacker.request("quorum"), inputs=(header,))),
        ):
            stream = await attacker.stream(protocol)
            await stream.write(record(question))
            await stream.write(frame_header(Kind.DATA, 16) + bytes(16))
            await stream.close()
            code = told(await drain(stream)).code
            assert code in (ErrorCode.BAD_RECORD, ErrorCode.BAD_FRAME, ErrorCode.REFUSED), (name, protocol)


async def test_too_much_and_too_little_data_for_a_true_header(attacker: Stranger) -> None:
    question = record(Ask(request=attacker.request(), inputs=(made.row().header,)))
    stream = await attacker.stream("infer")
    await stream.write(question + frame_header(Kind.DATA, 17) + bytes(17))
    assert told(await drain(stream)).code is ErrorCode.BAD_FRAME
    question = record(Ask(request=attacker.request(), inputs=(made.row().header,)))
    stream = await attacker.stream("infer")
    await stream.write(question + frame_header(Kind.DATA, 15) + bytes(15))
    await stream.close()
    assert await drain(stream) == b""


@pytest.mark.parametrize("protocol", ["/meshsub/1.2.0", "/meshsub/1.0.0", "/ipfs/kad/1.0.0", "/ipfs/id/1.0.0"])
async def test_the_librarys_own_protocols_survive_garbage(attacker: Stranger, protocol: str) -> None:
    inner = attacker.host._host  # no door leads here: nobody well-behaved needs it
    for word in (GARBAGE, b"\x04\xff\xff\xff\xff", b"\xff" * 64, b"\x02\x12\x7f"):
        stream = NetByteStream(await inner.new_stream(parse_peer(attacker.target), [TProtocol(protocol)]))
        try:
            await stream.write(word)
            await stream.close()
        except trio.BrokenResourceError:
            continue  # it was ended before we were through
