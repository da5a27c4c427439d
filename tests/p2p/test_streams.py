"""Channel: what goes in comes out, and whatever a stranger sends ends in a RemoteError."""

# ruff: noqa: ARG001 — pytest-trio finds the clock among a test's arguments
from __future__ import annotations

import contextlib

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p import bounds
from p2p.streams import Channel
from wire.blob import AskChunks, AskManifest, AskOutline, BlobReply, BlobRequest
from wire.bounds import MAX_TENSOR_BYTES
from wire.canonical import encode
from wire.errors import ErrorCode, RemoteError
from wire.frames import Kind, frame_header
from wire.tensors import Tensor, TensorHeader

from .pairs import MemoryStream, channel_pair, stream_pair

ASK = AskOutline(blob=bytes(32))


def frame(kind: Kind, payload: bytes) -> bytes:
    return frame_header(kind, len(payload)) + payload


async def refused(channel: Channel, code: ErrorCode, timeout: float = 5) -> RemoteError:  # noqa: ASYNC109
    with pytest.raises(RemoteError) as caught:
        await channel.receive(AskOutline, timeout=timeout)
    assert caught.value.code is code
    return caught.value


async def test_records_data_and_tensors_arrive() -> None:
    left, right = channel_pair(most=1000)
    tensors = [Tensor.of("a", "FP32", [2, 3], bytes(24)), Tensor.of("b", "UINT8", [0], b"")]
    big = bytes(range(256)) * 4096
    large = Tensor.of("c", "UINT8", [700_000], bytes(700_000))  # goes in several pieces, after what is small
    tensors.append(large)
    await left.send(ASK)
    await left.send_data(big)
    await left.send(ASK, tensors)
    await left.send(AskManifest(model=bytes(32)))
    assert await right.receive(BlobRequest, timeout=1) == ASK
    assert await right.receive_data(len(big), timeout=1) == big
    assert await right.receive(BlobRequest, timeout=1) == ASK
    assert await right.receive_tensors([t.header for t in tensors], timeout=1) == tensors
    assert await right.receive(BlobRequest, timeout=1) == AskManifest(model=bytes(32))
    assert left.usable
    assert right.drained


async def test_a_small_record_is_one_write_and_data_goes_in_pieces() -> None:
    writes: list[int] = []

    class Counting(MemoryStream):
        async def write(self, data: bytes) -> None:
            writes.append(len(data))
            await super().write(data)

    left, _ = stream_pair()
    channel = Channel(Counting(left._in, left._out, 1), "x")
    await channel.send(ASK)
    assert len(writes) == 1
    writes.clear()
    await channel.send_data(b"")
    assert writes == []
    await channel.send_data(bytes(bounds.PIECE + 1))
    assert writes == [bounds.PIECE + 5, 6]


async def test_an_error_frame_is_raised_and_leaves_the_channel_usable() -> None:
    left, right = channel_pair()
    await left.send_error(RemoteError(ErrorCode.NOT_FOUND, "no such model", retry=True))
    error = await refused(right, ErrorCode.NOT_FOUND)
    assert error.message == "no such model"
    assert right.error is error
    assert right.drained
    await left.send(ASK)
    assert await right.receive(AskOutline, timeout=1) == ASK


async def test_a_bad_record_leaves_the_channel_usable() -> None:
    left, right = stream_pair()
    channel = Channel(right, "left")
    await left.write(frame(Kind.RECORD, b"\xc1"))
    await refused(channel, ErrorCode.BAD_RECORD)
    assert channel.usable
    await left.write(frame(Kind.RECORD, encode(ASK)))
    assert await channel.receive(AskOutline, timeout=1) == ASK


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", ErrorCode.LINK_LOST),
        (b"\x01\x00\x00", ErrorCode.LINK_LOST),  # a truncated header
        (frame(Kind.RECORD, encode(ASK))[:-1], ErrorCode.LINK_LOST),  # a truncated payload
        (b"GET / HTTP/1.1\r\n\r\n", ErrorCode.BAD_FRAME),
        (b"\x01\xff\xff\xff\xff", ErrorCode.BAD_FRAME),  # a record of 4 GiB
        (frame(Kind.DATA, b"data"), ErrorCode.BAD_FRAME),  # data where a record is due
        (frame(Kind.ERROR, b"garbage"), ErrorCode.BAD_RECORD),
    ],
)
async def test_broken_framing(data: bytes, code: ErrorCode) -> None:
    left, right = stream_pair()
    channel = Channel(right, "left")
    await left.write(data)
    await left.close()
    await refused(channel, code)
    assert channel.usable == (code is ErrorCode.BAD_RECORD)


async def test_silence_is_a_timeout(autojump_clock: trio.testing.MockClock) -> None:
    left, right = stream_pair()
    channel = Channel(right, "left")
    await left.write(b"\x01\x00")
    began = trio.current_time()
    await refused(channel, ErrorCode.TIMEOUT, timeout=7)
    assert trio.current_time() - began == pytest.approx(7)
    assert not channel.usable


async def test_a_reset_is_a_lost_link(nursery: trio.Nursery) -> None:
    left, right = channel_pair()
    nursery.start_soon(left.reset)
    await refused(right, ErrorCode.LINK_LOST)
    with pytest.raises(RemoteError, match="link broke while sending"):
        await right.send(ASK)


async def test_a_writer_that_is_never_read_gives_up(autojump_clock: trio.testing.MockClock) -> None:
    class Stuck(MemoryStream):
        async def write(self, data: bytes) -> None:  # noqa: ARG002 — it takes none
            await trio.sleep_forever()

    left, _ = stream_pair()
    channel = Channel(Stuck(left._in, left._out, 1), "x")
    with pytest.raises(RemoteError) as caught:
        await channel.send(ASK)
    assert caught.value.code is ErrorCode.TIMEOUT
    assert not channel.usable


async def test_a_cancelled_read_or_write_spends_the_channel() -> None:
    _, right = channel_pair()
    with trio.move_on_after(0):
        await right.receive(AskOutline, timeout=5)
    assert not right.usable
    left, _ = channel_pair()
    with trio.move_on_after(0):
        await left.send(ASK)
    assert not left.usable


async def test_more_data_than_due_is_refused() -> None:
    left, right = channel_pair()
    await left.send_data(bytes(11))
    with pytest.raises(RemoteError) as caught:
        await right.receive_data(10, timeout=1)
    assert caught.value.code is ErrorCode.BAD_FRAME


async def test_empty_data_frames_do_not_go_on_for_ever() -> None:
    left, right = stream_pair()
    await left.write(frame(Kind.DATA, b"") * 10)
    with pytest.raises(RemoteError) as caught:
        await Channel(right, "left").receive_data(10, timeout=1)
    assert caught.value.code is ErrorCode.BAD_FRAME


async def test_dripping_data_ends_in_time(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    left, right = stream_pair()

    async def drip() -> None:
        while True:
            await trio.sleep(4)
            await left.write(frame(Kind.DATA, b"x"))

    nursery.start_soon(drip)
    began = trio.current_time()
    with pytest.raises(RemoteError) as caught:
        await Channel(right, "left").receive_data(10 * bounds.MIN_RATE, timeout=5)
    assert caught.value.code is ErrorCode.TIMEOUT
    assert trio.current_time() - began == pytest.approx(15)
    nursery.cancel_scope.cancel()


async def test_an_announced_size_allocates_nothing(autojump_clock: trio.testing.MockClock) -> None:
    left, right = channel_pair()
    await left.send_data(b"only this")
    with pytest.raises(RemoteError) as caught:
        await right.receive_data(1 << 50, timeout=1)  # a preallocation would be a MemoryError
    assert caught.value.code is ErrorCode.TIMEOUT


async def test_tensor_headers_are_checked_before_a_byte_is_read() -> None:
    left, right = stream_pair()
    channel = Channel(right, "left")
    await left.write(frame(Kind.DATA, bytes(100)))
    lie = TensorHeader(name="a", shape=(1000,), datatype="FP64", binary_data_size=100)
    half = TensorHeader(
        name="a", shape=(MAX_TENSOR_BYTES // 2 + 1,), datatype="UINT8", binary_data_size=MAX_TENSOR_BYTES // 2 + 1
    )
    for headers in (
        [lie],
        [half, half],
        [TensorHeader(name="a", shape=(0,), datatype="INT8", binary_data_size=0)] * 65,
    ):
        with pytest.raises(RemoteError) as caught:
            await channel.receive_tensors(headers, timeout=1)
        assert caught.value.code is ErrorCode.BAD_RECORD
    assert right.unread == 105
    # The data of the refused tensors belongs to nobody: the next exchange finds its record behind it.
    await left.write(frame(Kind.RECORD, encode(ASK)))
    assert await channel.receive(AskOutline, timeout=1) == ASK


async def test_data_after_our_error_is_skipped_but_not_without_end() -> None:
    left, right = channel_pair()
    await right.send_error(RemoteError(ErrorCode.OVERLOADED, "busy"))
    await left.send_data(bytes(1 << 20))
    await left.send(ASK)
    assert await right.receive(AskOutline, timeout=1) == ASK
    await left.send_data(b"x")  # after a record in order nothing is skipped
    await refused(right, ErrorCode.BAD_FRAME)

    left, right = channel_pair()
    await right.send_error(RemoteError(ErrorCode.OVERLOADED, "busy"))
    piece = bytes(1 << 20)
    for _ in range(bounds.SKIPPED // len(piece) + 1):
        await left.send_data(piece)
    await refused(right, ErrorCode.BAD_FRAME)


async def test_waiting_tells_a_beginning_from_an_end(autojump_clock: trio.testing.MockClock) -> None:
    left, right = channel_pair()
    assert not await right.waiting(timeout=3)
    await left.send(ASK)
    assert await right.waiting(timeout=3)
    assert await right.receive(AskOutline, timeout=3) == ASK
    await left.close()
    assert not await right.waiting(timeout=3)


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_work_for_a_peer_that_left_is_cancelled(how: str, when: str, nursery: trio.Nursery) -> None:
    left, right = channel_pair()
    leave = left.reset if how == "reset" else left.close
    if when == "before":
        await leave()
    else:
        nursery.start_soon(leave)
    with pytest.raises(RemoteError) as caught, right.while_wanted():
        await trio.sleep_forever()
    assert caught.value.code is ErrorCode.LINK_LOST
    assert not right.usable


async def test_work_for_a_peer_that_waits_goes_on_and_so_does_what_follows() -> None:
    left, right = channel_pair()
    await left.send(ASK)  # the next exchange's: to have more to say is not to leave
    with right.while_wanted():
        await trio.testing.wait_all_tasks_blocked()
        await right.send(ASK)
    await left.reset()
    await trio.testing.wait_all_tasks_blocked()  # the block is over: nothing is cancelled any more


async def test_close_and_reset_of_a_dead_link_raise_nothing() -> None:
    left, right = channel_pair()
    await left.reset()
    await right.close()
    await right.dismiss()
    await right.reset()


async def test_dismiss_lets_the_last_words_arrive(nursery: trio.Nursery) -> None:
    left, right = channel_pair()
    await right.send_error(RemoteError(ErrorCode.BAD_FRAME, "that was no frame"))
    nursery.start_soon(right.dismiss)
    await trio.testing.wait_all_tasks_blocked()
    assert (await refused(left, ErrorCode.BAD_FRAME)).message == "that was no frame"
    await left.close()


@settings(max_examples=60, deadline=None)
@given(
    noise=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(frame, st.sampled_from(list(Kind)), st.binary(max_size=60)),
            st.sampled_from(
                [frame(Kind.RECORD, encode(r)) for r in (ASK, BlobReply(size=3), AskChunks(hashes=(bytes(32),)))]
            ),
        ),
        max_size=6,
    ),
    size=st.integers(0, 100),
)
def test_any_bytes_give_a_result_or_a_remote_error(noise: list[bytes], size: int) -> None:
    async def main() -> None:
        left, right = stream_pair(most=7)
        for part in noise:
            await left.write(part)
        await left.close()
        channel = Channel(right, "left")
        header = TensorHeader(name="t", shape=(size,), datatype="BOOL", binary_data_size=size)
        for _ in range(3):
            for call in (
                lambda: channel.receive(BlobRequest, timeout=1),
                lambda: channel.receive_data(size, timeout=1),
                lambda: channel.receive_tensors([header], timeout=1),
            ):
                with contextlib.suppress(RemoteError):
                    await call()

    trio.run(main)
