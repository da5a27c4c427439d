"""An asker in the middle of an answer: the next step is paid as far as tokens came, and no further."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio

from node.attempt import _check_price, _hear
from node.paying.spending import Bought
from node.tiers.rung import NotProved
from p2p import Channel
from p2p.loopback import loopback
from storage import Store
from tests.settle.channel.scenes import voucher
from wire.canonical import Amount
from wire.errors import ErrorCode, RemoteError
from wire.generation import Tokens
from wire.offer import Terms
from wire.payment import Owed, TopUp
from wire.tensors import Tensor, TensorHeader

from .test_spending import OFFER, Scene

TERMS = Terms(tier="signed", price=Amount(10), added_us=0, added_bytes=0, per_1k_tokens=Amount(1000))  # steps of 100
MOST = 500


def tensor(name: str, datatype: Any, data: bytes, *shape: int) -> Tensor:
    return Tensor(TensorHeader(name=name, shape=shape, datatype=datatype, binary_data_size=len(data)), data)


ASKED = cast(Any, SimpleNamespace(deadline=float("inf"), terms=TERMS))
QUESTION = cast(
    Any,
    SimpleNamespace(
        specs=SimpleNamespace(interface="generate"),
        tensors=[tensor("max_tokens", "INT32", struct.pack("<i", MOST), 1)],
    ),
)


@pytest.fixture
async def bought(store: Store) -> AsyncIterator[Bought]:
    async with trio.open_nursery() as nursery:
        scene = Scene(store, nursery, deposit=10_000)
        yield await scene.spending.buy(OFFER, TERMS.cost(MOST))
        nursery.cancel_scope.cancel()


class Stream:
    """The asker's end and the provider's."""

    def __init__(self) -> None:
        near, far = loopback()
        self.asker, self.provider = Channel(near, "provider"), Channel(far, "payer")

    async def say(self, count: int, needed: int) -> int:
        """So many tokens, and that vouchers have to reach so much: what the asker then signs."""
        for at in range(0, count, 50):
            await self.provider.send(Tokens(ids=(7,) * min(50, count - at), text=""))
        await self.provider.send(Owed(charged=Amount(0), needed=Amount(needed), held=voucher(0)))
        return int((await self.provider.receive(TopUp, timeout=5)).voucher.voucher.amount)


async def hear(stream: Stream, bought: Bought | None) -> None:
    with pytest.raises(RemoteError) as ended:
        await _hear(stream.asker, QUESTION, ASKED, bought, None)
    assert ended.value.code is ErrorCode.FAILED


async def test_the_next_step_goes_from_what_came(bought: Bought) -> None:
    stream = Stream()
    assert bought.payment.voucher.voucher.amount == 100
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hear, stream, bought)
        assert await stream.say(60, 150) == 170  # 10 and 60 tokens, and a step of 100
        assert await stream.say(200, 300) == 370
        assert await stream.say(240, 510) == 510  # all it may cost
        await stream.provider.send_error(RemoteError(ErrorCode.FAILED, "it stopped"))


async def test_more_than_that_is_not_signed(bought: Bought) -> None:
    stream = Stream()
    stream_over: list[RemoteError] = []

    async def listen() -> None:
        try:
            await _hear(stream.asker, QUESTION, ASKED, bought, None)
        except RemoteError as error:
            stream_over.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await stream.provider.send(Tokens(ids=(7,) * 50, text=""))
        await stream.provider.send(Owed(charged=Amount(0), needed=Amount(400), held=voucher(0)))
    (error,) = stream_over
    assert error.code is ErrorCode.PAYMENT


async def test_an_answer_that_costs_nothing_is_not_paid() -> None:
    stream = Stream()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.provider.send, Owed(charged=Amount(0), needed=Amount(1), held=None))
        with pytest.raises(RemoteError, match="costs nothing by its offer"):
            await _hear(stream.asker, QUESTION, ASKED, None, None)


@pytest.mark.parametrize(("price", "tokens", "good"), [(13, 3, True), (14, 3, False), (510, 500, True), (11, 0, False)])
def test_a_price_is_held_against_what_came(price: int, tokens: int, good: bool) -> None:
    receipt = cast(Any, SimpleNamespace(receipt=SimpleNamespace(price=Amount(price))))
    outputs = [tensor("tokens", "INT64", bytes(8 * tokens), tokens)]
    if good:
        _check_price(QUESTION, TERMS, receipt, outputs)
        return
    with pytest.raises(NotProved, match="by its offer the answer costs") as refused:
        _check_price(QUESTION, TERMS, receipt, outputs)
    assert not refused.value.dishonest
