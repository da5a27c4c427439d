from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from storage import Store, StoreBusy, StoreDamaged, StoreError, StoreFull, bounds, open_store
from storage.gate import Gate
from wire.blob import outline_of
from wire.cid import content_hash

from .made import piece


def test_only_the_owner_may_look(path: Path) -> None:
    before = os.umask(0)  # the store does not rely on it
    try:
        with open_store(path):
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()}
            assert modes == {"data.mdb": 0o600, "lock.mdb": 0o600, "lock": 0o600}
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_one_process_at_a_time(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", f"from tests.storage.test_store import hold; hold({str(path)!r})"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(StoreBusy, match=f"process {holder.pid}. Stop"), open_store(path):
            pass
    finally:
        holder.kill()  # no time to clean up: the lock must vanish with it
        holder.communicate()
    with open_store(path):
        pass


def hold(path: str) -> None:
    with open_store(Path(path)):
        print("open", flush=True)  # noqa: T201  # the parent waits for it
        sys.stdin.read()


def test_not_twice_in_one_process_either(path: Path) -> None:
    with open_store(path):
        with pytest.raises(StoreBusy, match=str(os.getpid())), open_store(path):
            pass
        with pytest.raises(StoreBusy), open_store(path):
            pass
    with open_store(path):
        pass


def _lmdb(path: Path, work: str) -> None:
    """Touch the database by itself, as another release or program would."""
    path.mkdir(exist_ok=True)
    with lmdb.open(str(path), max_dbs=2) as environment:
        table = environment.open_db(b"meta" if work != "foreign" else b"theirs")
        with environment.begin(write=True) as txn:
            txn.put(b"format", work.encode(), db=table)


def test_a_newer_format_is_refused_and_left_alone(path: Path) -> None:
    with open_store(path):
        pass
    _lmdb(path, "3")
    before = (path / "data.mdb").read_bytes()
    with pytest.raises(StoreError, match=r"format 3; this release knows only format 2\. Update"), open_store(path):
        pass
    assert (path / "data.mdb").read_bytes() == before
    _lmdb(path, "2")
    with open_store(path):
        pass


def test_an_older_format_is_refused_and_left_alone(path: Path) -> None:
    _lmdb(path, "1")
    before = (path / "data.mdb").read_bytes()
    with (
        pytest.raises(StoreError, match=r"format 1; this release knows only format 2\. An earlier release made it"),
        open_store(path),
    ):
        pass
    assert (path / "data.mdb").read_bytes() == before


def test_another_programs_database_is_refused(path: Path) -> None:
    _lmdb(path, "foreign")
    with pytest.raises(StoreDamaged, match="another program"), open_store(path):
        pass


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.mkdir()
    (path / "data.mdb").write_bytes(b"no database at all" * 1000)
    with pytest.raises(StoreDamaged, match="Move the directory away"), open_store(path):
        pass


def test_a_place_where_nothing_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="another data directory"), open_store(tmp_path / "file" / "store"):
        pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "hallmark-test", str(disk)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("a file system of its own takes root, and leave to mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_read_only_disk_is_a_sentence_and_loses_nothing(small_disk: Path) -> None:
    with open_store(small_disk / "store") as store:
        store.blobs.put_chunks([(content_hash(piece(1)), piece(1))])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match=r"Read-only file system\. Choose another"), open_store(small_disk / "store"):
        pass
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    with open_store(small_disk / "store") as store:
        assert store.chunk(content_hash(piece(1))) == piece(1)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_disk_that_became_read_only_in_use_is_a_sentence(store: Store, code: int) -> None:
    failure = lmdb.Error("mdb_txn_commit", code)
    failure.code = code

    def fail(_: object) -> None:
        raise failure

    with pytest.raises(StoreError, match=r"the disk is read-only.*Nothing was lost"):
        store._environment.write(fail)
    store.blobs.put_chunks([(content_hash(piece(1)), piece(1))])


def test_a_damaged_first_page_is_a_damaged_store(path: Path) -> None:
    with open_store(path):
        pass
    with (path / "data.mdb").open("r+b") as file:
        file.write(os.urandom(2 * 4096))
    with pytest.raises(StoreDamaged, match="fetch the models again"), open_store(path):
        pass


def test_a_file_cut_short_is_an_error_and_not_a_crash(path: Path) -> None:
    chunks = [piece(n) for n in range(8)]
    with open_store(path) as store:
        store.blobs.put_chunks([(content_hash(c), c) for c in chunks])
    size = (path / "data.mdb").stat().st_size
    os.truncate(path / "data.mdb", size // 2)
    script = f"from tests.storage.test_store import read_all; read_all({str(path)!r})"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result  # a negative one is the signal that reading beyond the end gives
    assert result.stdout == "damage found\n"


def read_all(path: str) -> None:
    try:
        with open_store(Path(path)) as store:
            outline = outline_of(piece(n) for n in range(8))
            found = [store.chunk(outline.chunk(i)) for i in range(outline.count)]
            assert all(data in (None, piece(n)) for n, data in enumerate(found))
            assert None in found
    except StoreDamaged:
        pass
    print("damage found")  # noqa: T201  # the parent reads it


def test_a_flipped_byte_on_disk_is_found(path: Path) -> None:
    chunk = piece(0x5EED)
    with open_store(path) as store:
        store.blobs.put_chunks([(content_hash(chunk), chunk)])
    raw = bytearray((path / "data.mdb").read_bytes())
    at = raw.find(chunk[:64])
    assert at > 0
    raw[at + 70_000] ^= 1
    (path / "data.mdb").write_bytes(raw)
    with open_store(path) as store:
        assert store.chunk(content_hash(chunk)) is None
        assert store.missing(outline_of([chunk])) == [0]


def test_a_closed_store_says_so(path: Path) -> None:
    with open_store(path) as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        store.chunk(bytes(32))
    with pytest.raises(StoreError, match="closed"):
        store.blobs.put_chunks([])


def test_the_map_grows_while_others_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "START_MAP", 1 << 20)
    wanted = piece(0)
    done = threading.Event()
    wrong: list[bytes | None] = []

    with open_store(path) as store:
        store.blobs.put_chunks([(content_hash(wanted), wanted)])

        def read() -> None:
            while not done.is_set():
                if (found := store.chunk(content_hash(wanted))) != wanted:
                    wrong.append(found)
                    return

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        try:
            for n in range(1, 60):
                store.blobs.put_chunks([(content_hash(piece(n)), piece(n))])
        finally:
            done.set()
            for reader in readers:
                reader.join()
        assert wrong == []
        assert store.blobs.statistics().chunks == 60
        assert store.disk_bytes > 60 * len(wanted)


def test_the_map_does_not_move_under_a_reader(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "START_MAP", 1 << 20)
    written = threading.Event()
    with open_store(path) as store:

        def write() -> None:
            store.blobs.put_chunks([(content_hash(piece(n)), piece(n)) for n in range(8)])
            written.set()

        writer = threading.Thread(target=write)
        with store._environment.read():
            writer.start()
            assert not written.wait(0.2)
        writer.join()
        assert written.is_set()


def test_the_gate_lets_the_remapper_in_only_alone() -> None:
    gate, inside, left = Gate(), threading.Event(), []

    def remap() -> None:
        with gate.alone():
            left.append("remapped")
        inside.set()

    with gate.reading(), gate.reading():
        thread = threading.Thread(target=remap)
        thread.start()
        assert not inside.wait(0.05)
        left.append("readers left")
    assert inside.wait(10)
    thread.join()
    assert left == ["readers left", "remapped"]
    with gate.reading():
        pass


def test_a_bounded_map_is_full_and_readable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "START_MAP", 1 << 20)
    monkeypatch.setattr(bounds, "MAX_MAP", 4 << 20)
    kept: list[int] = []

    def fill() -> None:
        for n in range(100):
            store.blobs.put_chunks([(content_hash(piece(n)), piece(n))])
            kept.append(n)

    with open_store(path) as store:
        with pytest.raises(StoreFull, match=r"its bound is reached\. Nothing was lost"):
            fill()
        assert 8 <= len(kept) < 16
        _all_there(store, kept)
        store.ballots.put(bytes(32), b"small things still fit", 1)
    with open_store(path) as store:
        _all_there(store, kept)
        assert store.blobs.statistics().chunks == len(kept)


def test_a_map_leaves_the_disk_some_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "START_MAP", 1 << 20)
    monkeypatch.setattr(bounds, "DISK_RESERVE", 1 << 60)
    with open_store(path) as store, pytest.raises(StoreFull, match="disk is nearly full"):
        store.blobs.put_chunks([(content_hash(piece(n)), piece(n)) for n in range(8)])


def _all_there(store: Store, numbers: list[int]) -> None:
    for n in numbers:
        assert store.chunk(content_hash(piece(n))) == piece(n)


async def test_writes_wait_their_turn_and_readers_do_not(store: Store) -> None:
    order: list[str] = []
    running, finish = threading.Event(), threading.Event()

    def slow() -> None:
        running.set()
        finish.wait(10)
        order.append("slow")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.in_thread, slow)
        await trio.to_thread.run_sync(running.wait)
        nursery.start_soon(store.in_thread, order.append, "quick")
        nursery.start_soon(store.put_chunks, [(content_hash(b"x"), b"x")])
        await wait_all_tasks_blocked()
        assert store.chunk(content_hash(b"x")) is None  # answers while a writer works
        assert order == []
        finish.set()
    assert order == ["slow", "quick"]
    assert store.chunk(content_hash(b"x")) == b"x"


async def test_a_cancelled_write_is_all_there_or_was_never_begun(store: Store) -> None:
    outline = outline_of([piece(1)])
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.put_outline(outline)
    assert scope.cancelled_caught
    assert store.outline(outline.hash()) is None
    running = threading.Event()

    def write() -> None:
        running.set()
        store.blobs.put_outline(outline)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.in_thread, write)
        await trio.to_thread.run_sync(running.wait)
        nursery.cancel_scope.cancel()
    assert store.outline(outline.hash()) == outline


async def test_what_a_serving_peer_needs(store: Store) -> None:
    outline = outline_of([piece(1), piece(2)])
    await store.put_outline(outline)
    assert store.outline(outline.hash()) == outline
    await store.put_chunks([(outline.chunk(1), piece(2))])
    assert store.missing(outline) == [0]
    await store.put_chunks([(outline.chunk(0), piece(1))])
    fd = await store.open_sealed(outline.hash())
    try:
        assert os.pread(fd, 1 << 20, 0) == piece(1) + piece(2)
    finally:
        os.close(fd)
