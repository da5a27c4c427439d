"""A process whose memory no limit of the kernel's holds is ended once it takes too much; nobody waits for it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import trio

from engine.process import start

GREEDY = textwrap.dedent(
    """
    import mmap, signal
    shared = mmap.mmap(-1, 256 << 20)  # of the kind that RLIMIT_DATA does not count
    for page in range(0, len(shared), 4096):
        shared[page] = 1
    signal.pause()
    """
)


async def test_a_process_that_takes_too_much_is_ended_and_says_why(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with start(["-c", GREEDY], [], tmp_path, watched=128 << 20) as process:
            await process.exited.wait()
            assert "took more memory than it may have" in await process.obituary()
            assert process.memory() == 0


async def test_one_that_does_not_is_left_alone_and_the_watch_ends_with_it(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with start(["-c", "import sys; sys.stdin.read()"], [], tmp_path, watched=128 << 20) as process:
            await process.exited.wait()
            assert await process.obituary() == "ended with status 0"
