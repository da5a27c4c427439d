"""What is held against peers, over a restart: a file that is bounded, replaced whole and readable by its owner only.

It holds how long each ban still had to last when it was saved, and when that was on the wall's clock. A clock that was
set back meanwhile lets nobody off, and keeps nobody longer than it had to.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Annotated

import trio
from msgspec import Meta

from wire.bounds import Line, Name, TimeMs
from wire.canonical import Record, decode, encode
from wire.errors import RecordError
from wire.files import replace_file

from .. import bounds
from .score import Memory, Standing

log = logging.getLogger(__name__)

_Sum = Annotated[int, Meta(ge=0, le=2**53)]  # thousandths: a record holds no fractions


class _Peer(Record):
    peer: Name
    wrongs: _Sum
    merits: _Sum
    times: Annotated[int, Meta(ge=0, le=bounds.BAN_TIMES)]
    rule: Line
    left_ms: Annotated[int, Meta(ge=-(2**53), le=2**53)]  # of the last ban, when this was saved; below 0: since then


class _Range(Record):
    range: Name
    left_ms: _Sum


class Snapshot(Record):
    """The file."""

    format: Annotated[int, Meta(ge=1, le=1)]
    saved_ms: TimeMs
    peers: Annotated[tuple[_Peer, ...], Meta(max_length=bounds.BUCKETS)]
    ranges: Annotated[tuple[_Range, ...], Meta(max_length=bounds.RANGES)]


class StandingFile:
    """Where a `Standing` is kept. Without a path it lives in memory only."""

    def __init__(self, path: Path | None, standing: Standing) -> None:
        self._path, self._standing = path, standing

    def load(self, now: float, wall_ms: int) -> None:
        """Take back what was saved. `now` is the time of the machine's clock, `wall_ms` that of the wall's."""
        if self._path is None or (snapshot := _read(self._path)) is None:
            return
        saved = now - max(0, wall_ms - snapshot.saved_ms) / 1000
        memories = {
            each.peer: Memory(
                wrongs=each.wrongs / 1000,
                merits=each.merits / 1000,
                as_of=saved,
                until=saved + each.left_ms / 1000,
                times=each.times,
                rule=each.rule,
            )
            for each in snapshot.peers
        }
        self._standing.recall(memories, {each.range: saved + each.left_ms / 1000 for each in snapshot.ranges})

    async def keep(self) -> None:
        """Save each ban at once, and the rest now and then; runs until cancelled."""
        banned = trio.Event()
        self._standing.on_ban = lambda: banned.set()  # another event each time
        while True:
            with trio.move_on_after(bounds.STANDING_PAUSE):
                await banned.wait()
            banned = trio.Event()
            snapshot = self._snapshot()
            if snapshot is not None:
                await trio.to_thread.run_sync(self._write, snapshot)

    def save(self) -> None:
        """Replace the file, when there is one and something has changed. Blocks for a short write."""
        if (snapshot := self._snapshot()) is not None:
            self._write(snapshot)

    def _snapshot(self) -> Snapshot | None:
        standing = self._standing
        if self._path is None or not standing.changed:
            return None
        standing.changed, now = False, trio.current_time()
        peers = tuple(
            _Peer(
                peer=peer,
                wrongs=round(memory.wrongs * 1000),
                merits=round(memory.merits * 1000),
                times=memory.times,
                rule=memory.rule,
                left_ms=round((memory.until - now) * 1000) if memory.times else 0,
            )
            for peer, memory in standing.memories(now).items()
        )
        ranges = tuple(
            _Range(range=where, left_ms=round((until - now) * 1000)) for where, until in standing.ranges(now).items()
        )
        return Snapshot(format=1, saved_ms=time.time_ns() // 1_000_000, peers=peers, ranges=ranges)

    def _write(self, snapshot: Snapshot) -> None:
        assert self._path is not None  # or there would be no snapshot
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, encode(snapshot))
        except (OSError, RecordError) as error:  # a full disk must not end a peer that needs nothing of it
            self._standing.changed = True
            log.warning("what is held against peers cannot be saved in %s: %s", self._path, error)


def _read(path: Path) -> Snapshot | None:
    try:
        with path.open("rb") as file:
            data = file.read(bounds.STANDING_BYTES + 1)
        return decode(data, Snapshot, limit=bounds.STANDING_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("the file %s cannot be read, and nothing is held against anybody: %s", path, error)
    except RecordError as error:
        aside = path.with_name(path.name + ".bad")
        log.warning("the file %s is damaged; it is kept as %s, and nobody is refused any more: %s", path, aside, error)
        try:
            path.replace(aside)
        except OSError as failed:
            log.warning("%s cannot be renamed: %s", path, failed)
    return None
