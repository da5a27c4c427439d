"""A generator's tokens between the question and its answer: sent as they come, and held against the answer.

They only shorten the wait. Nothing binds them but the answer, of which they must be the beginning: a provider that
showed other tokens than it answers with has lied, whichever of the two was right.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Sequence

import trio

from engine import Execution
from engine.bounds import MAX_NEW_TOKENS, MAX_TEXT_OUT
from p2p import Channel
from wire.errors import RecordError, RemoteError
from wire.generation import Tokens
from wire.tensors import Tensor, split_bytes

OnTokens = Callable[[Tokens], None]  # must neither wait nor raise


async def stream_tokens(
    channel: Channel,
    execute: Callable[[OnTokens], Awaitable[Execution]],
    pace: Callable[[Tokens], Awaitable[None]] | None = None,
) -> Execution:
    """What `execute` gives, while the tokens that it tells go to the peer. RemoteError from either.

    What has not been sent when the execution is over is left out: the answer itself says it now. `pace` is waited for
    before each is sent, and then all are: they are paid for in steps.
    """
    send, receive = trio.open_memory_channel[Tokens](MAX_NEW_TOKENS)  # a generation tells of no more
    executions: list[Execution] = []
    failure: RemoteError | None = None
    over, room = False, MAX_TEXT_OUT

    def tell(tokens: Tokens) -> None:
        nonlocal room
        room -= len(tokens.text)
        if room >= 0:  # no honest worker says more, and what waits here takes memory
            send.send_nowait(tokens)

    async def forward() -> None:
        nonlocal failure
        try:
            async for tokens in receive:
                if pace is not None:
                    await pace(tokens)
                elif over:
                    return
                await channel.send(tokens)
        except RemoteError as error:
            failure = error
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(forward)
        with send:
            try:
                executions.append(await execute(tell))
            except RemoteError as error:  # carried around the nursery, which would wrap it into a group
                failure = error
            over = True
    if failure:
        raise failure
    return executions[0]


class Heard:
    """The tokens of one exchange, as its asker hears them."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        """`inputs` are a generator's."""
        (self._most,) = next(struct.unpack("<i", t.data) for t in inputs if t.name == "max_tokens")
        self._ids: list[int] = []
        self._text: list[str] = []
        self._length = 0

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._ids)

    def add(self, tokens: Tokens) -> None:
        """RecordError once there are more than were asked for."""
        self._ids += tokens.ids
        self._text.append(tokens.text)
        self._length += len(tokens.text)
        if len(self._ids) > self._most or self._length > MAX_TEXT_OUT:
            raise RecordError(f"it streamed more than the {self._most} tokens that were asked for")

    def check(self, outputs: Sequence[Tensor]) -> None:
        """RecordError unless they are the beginning of these outputs, which have a generator's names and shapes."""
        by_name = {tensor.name: tensor.data for tensor in outputs}
        count = len(by_name["tokens"]) // 8
        if count > self._most:
            raise RecordError(f"it answers with {count} tokens, {self._most} were asked for")
        ids = struct.unpack(f"<{count}q", by_name["tokens"])
        text = split_bytes(by_name["text"])[0] if "text" in by_name else b""
        if tuple(self._ids) != ids[: len(self._ids)] or not bytes(text).startswith("".join(self._text).encode()):
            raise RecordError("it streamed other tokens than it answers with")
