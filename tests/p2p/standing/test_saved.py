"""A restart forgets no ban, and a clock that was set back forgives none."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from p2p import bounds
from p2p.standing.saved import StandingFile
from p2p.standing.score import Standing

HOUR = 3_600_000


def restarted(path: Path, now: float = 0.0, wall_ms: int = 0) -> Standing:
    """What a new start knows."""
    standing = Standing()
    StandingFile(path, standing).load(now, wall_ms)
    return standing


async def saved(path: Path, wall_ms: int, monkeypatch: pytest.MonkeyPatch) -> Standing:
    """One banned peer, one that was good and one banned range, in a file."""
    monkeypatch.setattr("time.time_ns", lambda: wall_ms * 1_000_000)
    standing = Standing({f"sybil {n}": "203.0.113.0/24" for n in range(9)}.get)
    now = trio.current_time()
    standing.refuse("bad", now, rule="lied")
    standing.credit("good", now, 4.0)
    for n in range(bounds.RANGE_BANNED):
        standing.refuse(f"sybil {n}", now)
    StandingFile(path, standing).save()
    return standing


@pytest.mark.parametrize("hours", [-5.0, 0.0, 0.1])
async def test_a_restart_forgets_no_ban_and_a_clock_set_back_neither_forgives_nor_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    path = tmp_path / "standing"
    await saved(path, 100 * HOUR, monkeypatch)
    assert path.stat().st_mode & 0o777 == 0o600
    standing = restarted(path, 50.0, int((100 + hours) * HOUR))
    left = bounds.REFUSAL - 3600 * max(0.0, hours)
    bad = next(one for one in standing.listed(50.0) if one.peer_id == "bad")
    assert (bad.rule, bad.times) == ("lied", 1)
    assert bad.refused_s == pytest.approx(left, abs=0.01)
    assert standing.is_range_refused("203.0.113.0/24", 50.0)
    faded = 4 * 0.5 ** (3600 * max(0.0, hours) / bounds.SCORE_HALF_LIFE)
    assert standing.score("good", 50.0) == pytest.approx(faded, abs=0.01)


async def test_a_ban_that_ended_meanwhile_is_over_and_counts_as_a_repetition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await saved(tmp_path / "standing", 100 * HOUR, monkeypatch)
    standing = restarted(tmp_path / "standing", 0.0, 101 * HOUR)
    assert not standing.is_refused("bad", 0.0)
    assert not standing.ranges(0.0)
    standing.refuse("bad", 0.0)
    assert standing.listed(0.0)[0].refused_s == 2 * bounds.REFUSAL


async def test_a_ban_is_on_disk_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:  # noqa: ARG001
    standing, path = Standing(), tmp_path / "standing"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(StandingFile(path, standing).keep)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        standing.refuse("bad", began)
        while not path.exists():  # noqa: ASYNC110 — a thread writes it
            await trio.sleep(0.01)
        assert trio.current_time() - began < bounds.STANDING_PAUSE
        nursery.cancel_scope.cancel()
    assert restarted(path).is_refused("bad", 0.0)


@pytest.mark.parametrize("data", [b"", b"garbage", bytes(bounds.STANDING_BYTES + 1)])
def test_a_damaged_file_is_set_aside(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "standing"
    path.write_bytes(data)
    assert not restarted(path).listed(0.0)
    assert not path.exists()
    assert (tmp_path / "standing.bad").read_bytes() == data


async def test_a_full_disk_ends_nothing_and_is_tried_again(tmp_path: Path) -> None:
    standing, path = Standing(), tmp_path / "missing"
    path.mkdir()  # a file cannot take its place
    standing.refuse("bad", trio.current_time())
    file = StandingFile(path, standing)
    file.save()
    path.rmdir()
    file.save()
    assert restarted(path).is_refused("bad", 0.0)


@settings(max_examples=30, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_file_is_read_or_set_aside(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("standing") / "standing"
    path.write_bytes(data)
    restarted(path).listed(0.0)


def test_the_fullest_file_is_within_its_bound(tmp_path: Path) -> None:
    async def fill() -> None:
        standing = Standing(lambda peer: f"2001:db8:{int(peer.split()[-1]) // bounds.RANGE_BANNED:x}::/48")
        for n in range(bounds.BUCKETS):
            standing.refuse(f"16Uiu2HAmPvjRiWjUqK4N1HrdzNQZGqDZ1gsJnPm {n}", trio.current_time(), rule="r" * 999)
        StandingFile(tmp_path / "standing", standing).save()

    trio.run(fill)
    assert len(restarted(tmp_path / "standing").listed(0.0)) > bounds.BUCKETS / 2
