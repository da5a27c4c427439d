"""A clock that jumps to what is due next, but not past what a thread is doing."""

from __future__ import annotations

from math import inf

from trio.testing import MockClock, active_thread_count


def jumping_clock() -> MockClock:
    """Trio's autojump clock, which stands still while a thread of `trio.to_thread.run_sync` is at work.

    Trio's own takes a loop that waits for a thread for an idle one: an hour may pass before a write is on disk.
    A thread that waits for what the loop does later waits for ever. For a process or a socket no clock stands still.
    """
    clock = MockClock(autojump_threshold=0)
    plain = clock.deadline_to_sleep_time

    def looked_at(deadline: float) -> float:
        """The loop has nothing to run, and looks next whether the clock may jump."""
        clock.autojump_threshold = inf if active_thread_count() else 0
        return plain(deadline)

    clock.deadline_to_sleep_time = looked_at  # type: ignore[method-assign]  # MockClock wants no subclasses
    return clock
