"""The chain's time between its blocks, with this machine's clock wrong by minutes."""

from __future__ import annotations

from node.settling.clock import ChainClock
from settle.chain import Block


class Times:
    """Two clocks: what goes by, and what this machine believes that it is."""

    def __init__(self, wall: float) -> None:
        self.passed, self.wall = 0.0, wall
        self.clock = ChainClock(lambda: self.passed, lambda: self.wall + self.passed)

    def saw(self, number: int, timestamp: int) -> None:
        self.clock.saw(Block(number, bytes(32), timestamp))


def test_it_goes_on_from_the_newest_block_whatever_the_wall_says() -> None:
    for wrong in (-600, 0, 600):
        times = Times(10_000 + wrong)
        times.saw(1, 9_990)
        times.passed = 5
        times.saw(2, 10_000)
        assert times.clock.now() == 10_000
        times.passed = 12
        assert times.clock.now() == 10_007
        times.saw(2, 10_000)  # the same block once more
        times.passed = 15
        assert times.clock.now() == 10_010


def test_on_a_chain_that_makes_no_blocks_the_wall_counts_where_it_is_ahead() -> None:
    times = Times(10_600)
    assert times.clock.now() == 0
    times.saw(1, 10_000)
    assert times.clock.now() == 10_600
    behind = Times(9_000)
    behind.saw(1, 10_000)
    behind.passed = 3
    assert behind.clock.now() == 10_003
