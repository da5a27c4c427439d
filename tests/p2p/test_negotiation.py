"""One round trip for a protocol that both speak, and the library's own side understands it."""

from __future__ import annotations

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.protocol_muxer.exceptions import MultiselectClientError, MultiselectError
from libp2p.protocol_muxer.multiselect import Multiselect
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

from p2p.negotiation import Negotiator

from .pairs import MemoryStream, stream_pair

ONE, TWO = TProtocol("/one/1"), TProtocol("/two/1")


def talk(stream: MemoryStream) -> MultiselectCommunicator:
    return MultiselectCommunicator(stream)  # type: ignore[arg-type]  # it reads and writes, which is all that is used


@pytest.mark.parametrize("wished", [[ONE], [TWO, ONE], [TProtocol("/three/1"), TWO, ONE]])
async def test_the_librarys_side_agrees(wished: list[TProtocol], nursery: trio.Nursery) -> None:
    near, far = stream_pair(most=1)
    nursery.start_soon(Multiselect({ONE: None}).negotiate, talk(far))  # type: ignore[dict-item]  # keys are invariant
    assert await Negotiator().select_one_of(wished, talk(near)) == ONE


async def test_greeting_and_wish_leave_together() -> None:
    near, far = stream_pair()
    with trio.move_on_after(0.01):
        await Negotiator().select_one_of([ONE], talk(near))
    assert far.unread == len(b"\x13/multistream/1.0.0\n\x07/one/1\n")


async def test_a_protocol_that_nobody_serves_is_named(nursery: trio.Nursery) -> None:
    near, far = stream_pair()
    nursery.start_soon(Multiselect({ONE: None}).negotiate, talk(far))  # type: ignore[dict-item]  # as above
    with pytest.raises(MultiselectClientError, match="protocols not supported: /two/1"):
        await Negotiator().select_one_of([TWO], talk(near))
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "data", [b"", b"\x05gosh\n", b"\x02\xff\n", b"\x00", b"\x13/multistream/1.0.0\n\x03no\n", b"\xff" * 20]
)
async def test_anything_else_is_one_kind_of_error(data: bytes) -> None:
    near, far = stream_pair()
    await far.write(data)
    await far.close()
    with pytest.raises(MultiselectClientError):
        await Negotiator().select_one_of([ONE], talk(near))


async def test_silence_ends(autojump_clock: object) -> None:  # noqa: ARG001
    near, _ = stream_pair()
    with pytest.raises(MultiselectClientError, match="within 30 s"):
        await Negotiator().select_one_of([ONE], talk(near))


@pytest.mark.parametrize(
    "data", [b"\x80\x80\x80\x80\x40", b"\x81\x08" + b"x" * 1025, b"\x02\xff\n", b"\x03na\n" * 64, b"\x03ls\n" * 64]
)
async def test_what_a_stranger_says_to_the_side_that_serves_is_bounded(data: bytes) -> None:
    near, far = stream_pair()
    await near.write(b"\x13/multistream/1.0.0\n" + data)
    with trio.fail_after(1), pytest.raises(MultiselectError):
        await Multiselect({ONE: None}).negotiate(talk(far))  # type: ignore[dict-item]  # as above


async def test_what_a_stranger_says_to_the_side_that_asks_is_bounded() -> None:
    near, far = stream_pair()
    await far.write(b"\x13/multistream/1.0.0\n\x80\x80\x80\x80\x40")
    with trio.fail_after(1), pytest.raises(MultiselectClientError):
        await Negotiator().select_one_of([ONE], talk(near))
