"""Tokens before their answer: sent while it is made, and held against it."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from engine import Execution
from engine.bounds import MAX_TEXT_OUT
from node.streaming import Heard, OnTokens, stream_tokens
from p2p import Channel
from p2p.loopback import loopback
from tests.storage.made import BACKEND
from wire.blob import AskManifest
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.generation import MAX_STEP_TEXT, Tokens
from wire.tensors import Tensor, join_bytes

DONE = Execution((), 1, BACKEND, 1)
END = AskManifest(model=bytes(32))  # what is sent after the tokens, in place of an answer


def step(*ids: int, text: str = "") -> Tokens:
    return Tokens(ids=ids, text=text)


def pair() -> tuple[Channel, Channel]:
    near, far = loopback()
    return Channel(near, "near"), Channel(far, "far")


async def heard(channel: Channel) -> list[Tokens]:
    """All tokens up to the end."""
    found = []
    while isinstance(said := await channel.receive(Tokens | AskManifest, timeout=5), Tokens):
        found.append(said)
    return found


class TestStream:
    async def test_each_is_sent_before_the_execution_is_over(self) -> None:
        provider, asker = pair()
        got = list[Tokens]()

        async def execute(tell: OnTokens) -> Execution:
            for number in range(3):
                tell(step(number))
                got.append(await asker.receive(Tokens, timeout=5))
            return DONE

        assert await stream_tokens(provider, execute) is DONE
        assert got == [step(0), step(1), step(2)]
        await provider.send(END)
        assert await heard(asker) == []

    async def test_what_is_left_when_it_is_over_is_left_out(self) -> None:
        provider, asker = pair()
        told = [step(number) for number in range(100)]

        async def execute(tell: OnTokens) -> Execution:
            for tokens in told:
                tell(tokens)
            return DONE

        assert await stream_tokens(provider, execute) is DONE
        await provider.send(END)
        got = await heard(asker)
        assert (got, len(got) < 5) == (told[: len(got)], True)

    async def test_an_execution_that_fails_leaves_the_stream_as_it_was(self) -> None:
        provider, asker = pair()
        error = RemoteError(ErrorCode.FAILED, "it failed")

        async def execute(tell: OnTokens) -> Execution:
            tell(step(1))
            await trio.testing.wait_all_tasks_blocked()
            raise error

        with pytest.raises(RemoteError) as caught:
            await stream_tokens(provider, execute)
        assert (caught.value, provider.usable) == (error, True)
        await provider.send(END)
        assert await heard(asker) == [step(1)]

    async def test_an_asker_that_is_gone_ends_the_execution(self) -> None:
        provider, asker = pair()
        ended = trio.Event()

        async def execute(tell: OnTokens) -> Execution:
            await asker.reset()
            tell(step(1))
            try:
                await trio.sleep_forever()
            finally:
                ended.set()
            raise AssertionError("it slept enough")

        with pytest.raises(RemoteError) as caught:
            await stream_tokens(provider, execute)
        assert (caught.value.code, ended.is_set()) == (ErrorCode.LINK_LOST, True)

    async def test_a_worker_that_never_stops_talking_fills_no_memory(self) -> None:
        provider, asker = pair()
        most = MAX_TEXT_OUT // MAX_STEP_TEXT
        text = "x" * MAX_STEP_TEXT

        async def execute(tell: OnTokens) -> Execution:
            for number in range(most + 10):
                tell(step(number, text=text))
            await trio.testing.wait_all_tasks_blocked()
            return DONE

        await stream_tokens(provider, execute)
        await provider.send(END)
        assert [tokens.ids[0] for tokens in await heard(asker)] == list(range(most))


def inputs(most: int) -> list[Tensor]:
    return [Tensor.of("max_tokens", "INT32", (1,), struct.pack("<i", most))]


def outputs(ids: Sequence[int], text: str | None) -> list[Tensor]:
    made = [Tensor.of("tokens", "INT64", (len(ids),), struct.pack(f"<{len(ids)}q", *ids))]
    if text is not None:
        made.append(Tensor.of("text", "BYTES", (1,), join_bytes([text.encode()])))
    return [*made, Tensor.of("finish", "BYTES", (1,), join_bytes([b"length"]))]


def in_steps(ids: Sequence[int], text: str, cuts: Sequence[tuple[int, int]]) -> Iterator[Tokens]:
    """The ids and the text, up to the last of these cuts."""
    at = (0, 0)
    for cut in sorted(cuts):
        if cut[0] > at[0]:
            yield Tokens(ids=tuple(ids[at[0] : cut[0]]), text=text[at[1] : max(at[1], cut[1])])
            at = cut[0], max(at[1], cut[1])


IDS = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=20)
WORDS = st.text(max_size=20)
CUTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=5)


class TestHeard:
    @given(IDS, WORDS, CUTS)
    def test_any_beginning_of_the_answer_holds(self, ids: list[int], text: str, cuts: list[tuple[int, int]]) -> None:
        heard = Heard(inputs(len(ids)))
        for tokens in in_steps(ids, text, [(min(a, len(ids)), b) for a, b in cuts]):
            heard.add(tokens)
        heard.check(outputs(ids, text))

    @given(IDS, st.data())
    def test_one_other_token_does_not(self, ids: list[int], data: st.DataObject) -> None:
        heard = Heard(inputs(len(ids)))
        heard.add(Tokens(ids=tuple(ids), text=""))
        place = data.draw(st.integers(0, len(ids) - 1))
        other = [*ids[:place], ids[place] + 1, *ids[place + 1 :]]
        for answer in (other, ids[:-1]):
            with pytest.raises(RecordError, match="other tokens than it answers with"):
                heard.check(outputs(answer, ""))

    @pytest.mark.parametrize("text", ["", "Onc", "Twice", None])
    def test_nor_does_another_text(self, text: str | None) -> None:
        heard = Heard(inputs(2))
        heard.add(step(1, 2, text="Once"))
        with pytest.raises(RecordError, match="other tokens than it answers with"):
            heard.check(outputs([1, 2], text))

    def test_nothing_heard_is_a_beginning_too(self) -> None:
        Heard(inputs(2)).check(outputs([1, 2], "Once"))
        Heard(inputs(2)).check(outputs([], None))

    def test_more_than_was_asked_for_is_refused_as_it_comes(self) -> None:
        heard = Heard(inputs(2))
        heard.add(step(1, 2))
        with pytest.raises(RecordError, match="more than the 2 tokens"):
            heard.add(step(3))
        with pytest.raises(RecordError, match="answers with 3 tokens, 2 were asked for"):
            Heard(inputs(2)).check(outputs([1, 2, 3], "Once"))

    def test_no_text_without_an_end(self) -> None:
        heard, long = Heard(inputs(8192)), step(1, text="x" * MAX_STEP_TEXT)
        for _ in range(MAX_TEXT_OUT // MAX_STEP_TEXT):
            heard.add(long)
        with pytest.raises(RecordError, match="more than"):
            heard.add(long)
