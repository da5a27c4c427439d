"""Finding a time in a chain's blocks."""

from __future__ import annotations

from .chain import Block, Chain


async def block_at(chain: Chain, head: Block, timestamp: int) -> int:
    """The first block whose time is not before `timestamp` (seconds UTC), as far as the network goes back; the block
    after `head` when there is none yet."""
    low, high = min(chain.spec.from_block, head.number), head.number + 1
    while low < high:
        middle = (low + high) // 2
        if (await chain.block(middle)).timestamp < timestamp:
            low = middle + 1
        else:
            high = middle
    return low
