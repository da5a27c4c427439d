"""Built engines on disk: what is read was written here, whole, under the same key, by this user; else nothing is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cache import EngineCache, EngineKey
from engine.messages import Platform, Sizes

PLATFORM = Platform(
    builder="tensorrt", version="11.4.0", device="NVIDIA H200", compute_capability="9.0", processors=132,
    driver="580.65", cuda="13.0",
)  # fmt: skip
KEY = EngineKey(
    adapter=1, files=(bytes(32), b"\1" * 32), platform=PLATFORM, tf32=False, memory=1 << 30,
    sizes=Sizes(rows=64, length=512),
)  # fmt: skip


@contextmanager
def holding(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("test")
    try:
        os.write(fd, content)
        yield fd
    finally:
        os.close(fd)


def write(cache: EngineCache, content: bytes, key: EngineKey = KEY) -> None:
    with holding(b"before" + content) as fd:
        cache.write(key, fd, 6, len(content))


def read(cache: EngineCache, key: EngineKey = KEY, room: int = 1 << 24) -> bytes:
    with holding(b"") as fd:
        size = cache.read(key, fd, 9, room)
        return os.pread(fd, size, 9) if size else b""


@settings(max_examples=20)
@given(content=st.binary(min_size=1, max_size=5000))
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    cache = EngineCache(tmp_path_factory.mktemp("data") / "engines")
    assert read(cache) == b""
    write(cache, b"an older one")
    write(cache, content)
    assert read(cache) == content
    cache.forget(KEY)
    assert read(cache) == b""


def test_it_is_for_its_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(EngineCache(tmp_path / "engines"), b"engine")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "engines").stat().st_mode) == 0o700
    (file,) = (tmp_path / "engines").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_everything_that_an_engine_rests_on_is_in_its_name() -> None:
    others: dict[str, Any] = {
        "adapter": 2, "files": (bytes(32),), "tf32": True, "memory": 1 << 31, "sizes": Sizes(rows=64, length=256),
    }  # fmt: skip
    changes: dict[str, Any] = {
        "builder": "tensorrt_rtx", "version": "11.5.0", "device": "NVIDIA H100", "compute_capability": "9.1",
        "processors": 114, "driver": "581.0", "cuda": "13.1",
    }  # fmt: skip
    assert set(changes) == set(PLATFORM.__struct_fields__)
    assert {*others, "platform"} == set(KEY.__struct_fields__)
    keys = [KEY, *(msgspec.structs.replace(KEY, **{n: v}) for n, v in others.items())]
    keys += [
        msgspec.structs.replace(KEY, platform=msgspec.structs.replace(PLATFORM, **{n: v})) for n, v in changes.items()
    ]
    keys += [msgspec.structs.replace(KEY, sizes=None), msgspec.structs.replace(KEY, sizes=Sizes(rows=1, length=512))]
    assert len({key.name() for key in keys}) == len(keys)


def spoil_bytes(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def plant(file: Path) -> None:
    file.unlink()
    stranger = file.parent.parent / "stranger"
    stranger.write_bytes(b"native code of another")
    file.symlink_to(stranger)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_bytes,
        lambda file: os.truncate(file, file.stat().st_size - 1),
        lambda file: os.truncate(file, 3),
        lambda file: file.write_bytes(b"an engine without our head, copied here by hand"),
        lambda file: file.chmod(0o620),
        lambda file: file.chmod(0o604),
        plant,
    ],
    ids=["a bit", "torn", "empty", "foreign", "writable by a group", "readable by all", "a link"],
)
def test_what_is_rotten_or_could_be_anothers_is_deleted(tmp_path: Path, spoil: Any) -> None:
    cache = EngineCache(tmp_path / "engines")
    write(cache, b"engine" * 100)
    (file,) = (tmp_path / "engines").iterdir()
    spoil(file)
    assert read(cache) == b""
    assert list((tmp_path / "engines").iterdir()) == []
    write(cache, b"built anew")
    assert read(cache) == b"built anew"


def test_one_that_there_is_no_room_for_stays(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines")
    write(cache, b"engine" * 100)
    assert read(cache, room=599) == b""
    assert read(cache, room=600) == b"engine" * 100


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "engines")
    write(cache, b"engine")
    with holding(b"short") as fd, pytest.raises(OSError, match="shorter"):
        cache.write(KEY, fd, 0, 100)
    assert read(cache) == b"engine"
    assert len(list((tmp_path / "engines").iterdir())) == 1


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    keys = [msgspec.structs.replace(KEY, adapter=number) for number in range(4)]
    cache = EngineCache(tmp_path / "engines", bound=3300)
    for age, key in enumerate(keys[:3]):
        write(cache, bytes(1000), key)
        os.utime(tmp_path / "engines" / key.name(), (age, age))
    assert read(cache, keys[0])  # now the last one used
    write(cache, bytes(1000), keys[3])
    assert [bool(read(cache, key)) for key in keys] == [True, False, True, True]
    write(cache, bytes(9000), keys[1])
    assert [bool(read(cache, key)) for key in keys] == [False, True, False, False], "one beyond the bound stays alone"
