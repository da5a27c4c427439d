"""The pairs that the other tests stand on."""

import pytest
import trio
import trio.testing

from .pairs import channel_pair, stream_pair


async def test_bytes_arrive_in_order_and_in_pieces() -> None:
    left, right = stream_pair(most=2)
    await left.write(b"abc")
    await left.close()
    assert [await right.read(10) for _ in range(3)] == [b"ab", b"c", b""]
    await right.write(b"back")  # the other direction is still open
    assert await left.read(10) == b"ba"


async def test_a_reset_breaks_both_ends_and_wakes_a_reader(nursery: trio.Nursery) -> None:
    left, right = stream_pair()
    woken = trio.Event()

    async def wait() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await right.read(1)
        woken.set()

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    await left.reset()
    await woken.wait()
    for end in (left, right):
        with pytest.raises(trio.BrokenResourceError):
            await end.write(b"x")


async def test_a_closed_end_cannot_be_written() -> None:
    left, _ = stream_pair()
    await left.close()
    with pytest.raises(trio.ClosedResourceError):
        await left.write(b"x")


async def test_channels_know_each_other() -> None:
    left, right = channel_pair()
    assert (left.peer, right.peer) == ("right", "left")
