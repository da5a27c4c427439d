"""The pool's bounds, and the replay on a fresh stream."""

from __future__ import annotations

import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2p import bounds
from p2p.pool import Pool, Replay
from p2p.streams import ByteStream

from .pairs import MemoryStream, stream_pair


class PoolMachine(RuleBasedStateMachine):
    """Whatever the order: nothing is given twice, nothing is lost, no bound is passed."""

    def __init__(self) -> None:
        super().__init__()
        self.pool: Pool[int] = Pool()
        self.inside: dict[int, tuple[tuple[str, str], float]] = {}
        self.now, self.next = 0.0, 0

    @rule(peer=st.sampled_from("ab"), protocol=st.sampled_from("xy"))
    def put(self, peer: str, protocol: str) -> None:
        self.next += 1
        over = self.pool.put(peer, protocol, self.next, self.now)
        self.inside[self.next] = ((peer, protocol), self.now)
        if over is not None:
            assert self.inside.pop(over)[0] == (peer, protocol)

    @rule(peer=st.sampled_from("ab"), protocol=st.sampled_from("xy"))
    def take(self, peer: str, protocol: str) -> None:
        mine = [s for s, (key, _) in self.inside.items() if key == (peer, protocol)]
        taken = self.pool.take(peer, protocol)
        assert taken == max(mine, default=None)  # the latest put
        if taken is not None:
            del self.inside[taken]

    @rule(seconds=st.floats(0, 2 * bounds.POOL_IDLE))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        old = self.pool.expire(self.now)
        assert sorted(old) == sorted(s for s, (_, t) in self.inside.items() if self.now - t >= bounds.POOL_IDLE)
        for stream in old:
            del self.inside[stream]

    @invariant()
    def counted(self) -> None:
        assert len(self.pool) == len(self.inside) <= 4 * bounds.POOL_PER_PROTOCOL


class TestPool(PoolMachine.TestCase):  # type: ignore[misc]  # Hypothesis makes it
    settings = settings(max_examples=30, stateful_step_count=30, deadline=None)

    def setUp(self) -> None:  # a bound that thirty steps reach
        self._bound, bounds.POOL_PER_PROTOCOL = bounds.POOL_PER_PROTOCOL, 4

    def tearDown(self) -> None:
        bounds.POOL_PER_PROTOCOL = self._bound


def test_the_whole_pool_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "POOL", 2)
    pool: Pool[int] = Pool()
    assert [pool.put(peer, "p", number, 0) for number, peer in enumerate("abc")] == [None, None, 2]


class Fresh:
    """Opens one fresh stream, and counts."""

    def __init__(self) -> None:
        self.near, self.far = stream_pair()
        self.opened = 0

    async def __call__(self) -> ByteStream:
        await trio.lowlevel.checkpoint()
        self.opened += 1
        return self.near


async def broken() -> MemoryStream:
    near, far = stream_pair()
    await far.reset()
    return near


async def test_a_dead_stream_is_replaced_at_the_first_write() -> None:
    fresh = Fresh()
    replay = Replay(await broken(), fresh)
    await replay.write(b"question")
    assert await fresh.far.read(100) == b"question"
    assert fresh.opened == 1


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_what_was_said_to_a_dying_stream_is_said_again(how: str) -> None:
    near, far = stream_pair()
    fresh = Fresh()
    replay = Replay(near, fresh)
    await replay.write(b"one")
    await replay.write(b"two")
    await (far.reset() if how == "reset" else far.close())
    await fresh.far.write(b"answer")
    assert await replay.read(100) == b"answer"
    assert await fresh.far.read(100) == b"onetwo"
    assert replay.stream is fresh.near


async def test_it_is_replaced_once_only() -> None:
    fresh = Fresh()
    await fresh.far.reset()
    replay = Replay(await broken(), fresh)
    with pytest.raises(trio.BrokenResourceError):
        await replay.write(b"question")
    with pytest.raises(trio.BrokenResourceError):
        await replay.read(1)
    assert fresh.opened == 1


async def test_nothing_is_replayed_after_an_answer_began() -> None:
    near, far = stream_pair()
    fresh = Fresh()
    replay = Replay(near, fresh)
    await replay.write(b"question")
    await far.write(b"ans")
    assert await replay.read(100) == b"ans"
    await far.reset()
    with pytest.raises(trio.BrokenResourceError):
        await replay.read(100)
    assert fresh.opened == 0


async def test_what_is_kept_for_a_replay_is_bounded() -> None:
    near, far = stream_pair()
    fresh = Fresh()
    replay = Replay(near, fresh)
    for _ in range(3):
        await replay.write(bytes(bounds.REPLAY // 2))
    await far.reset()
    with pytest.raises(trio.BrokenResourceError):
        await replay.read(1)
    assert fresh.opened == 0
    assert not replay._said
