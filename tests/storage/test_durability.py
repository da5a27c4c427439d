"""What was acknowledged is there: after a kill in the middle of a write, and on a disk that is full."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import Store, StoreFull, open_store
from wire.cid import content_hash

from .made import manifest, piece

BATCH = 8


def batch(number: int) -> list[tuple[bytes, bytes]]:
    return [(content_hash(p), p) for p in (piece(BATCH * number + i) for i in range(BATCH))]


def child(call: str, path: Path) -> list[str]:
    return [sys.executable, "-c", f"from tests.storage import test_durability as t; t.{call}({str(path)!r})"]


def write_for_ever(path: str) -> None:
    with open_store(Path(path)) as store:
        for number in range(10_000):
            store.blobs.put_chunks(batch(number))
            print(number, flush=True)  # noqa: T201  # the acknowledgement


@pytest.mark.parametrize("acknowledged", [1, 3, 7])
def test_a_killed_writer_loses_nothing_it_acknowledged(path: Path, acknowledged: int) -> None:
    writer = subprocess.Popen(child("write_for_ever", path), stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(acknowledged):
        assert writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)  # it is in the middle of a later batch
    said = acknowledged + len(writer.stdout.readlines())
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    with open_store(path) as store:
        for number in range(said):
            for digest, data in batch(number):
                assert store.chunk(digest) == data
        # and a batch is there whole or not at all
        count = store.blobs.statistics().chunks
        assert count in (BATCH * said, BATCH * (said + 1))
        read = list(store.verification())[-1]
        assert (read.chunks, read.damaged) == (count, 0)  # what it says it has, it has
        store.blobs.put_chunks(batch(said))
        assert store.blobs.statistics().chunks == BATCH * (said + 1)


def fill_under_a_limit(path: str) -> None:
    """Write until the limit on the size of files stops it: to LMDB that is a full disk, with its writes cut short."""
    with open_store(Path(path)) as store:
        store.models.put(manifest())
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, resource.RLIM_INFINITY))
        kept = fill(store)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.blobs.put_chunks(batch(kept))  # room again: no need to open it anew
        print(kept)  # noqa: T201  # for the parent


def fill(store: Store) -> int:
    """Put batches until one does not fit, which leaves nothing of itself and everything before it; how many fitted."""
    for number in range(1000):
        try:
            store.blobs.put_chunks(batch(number))
        except StoreFull:
            for kept in range(number):
                assert all(store.chunk(digest) == data for digest, data in batch(kept))
            assert not any(store.chunk(digest) for digest, _ in batch(number))
            return number
    raise AssertionError("never full")


def test_a_limit_on_files_is_a_full_store(path: Path) -> None:
    done = subprocess.run(child("fill_under_a_limit", path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = int(done.stdout)
    assert kept >= 1
    with open_store(path) as store:
        for number in range(kept + 1):
            assert all(store.chunk(digest) == data for digest, data in batch(number))
        assert store.manifest(manifest().model) == manifest()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "hallmark-test", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a file system of its own takes root, and leave to mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_a_full_store(small_disk: Path) -> None:
    path = small_disk / "store"
    with open_store(path) as store:
        kept = fill(store)
        assert kept >= 1
    with open_store(path) as store:
        for number in range(kept):
            assert all(store.chunk(digest) == data for digest, data in batch(number))
