"""docs/storage.md says what the code does: its tables, its format, its bounds."""

from __future__ import annotations

import re
from pathlib import Path

import lmdb
import pytest

from storage import Store, bounds, open_store
from storage.environment import FORMAT, TABLES
from wire.bounds import CHUNK
from wire.cid import content_hash

from .made import piece

DOC = (Path(__file__).parents[2] / "docs" / "storage.md").read_text()


def test_its_list_of_tables_is_the_codes(path: Path) -> None:
    section = DOC.split("## The tables")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert listed == ["meta", *TABLES]
    with open_store(path):
        pass
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as txn:
        assert {bytes(name).decode() for name in txn.cursor().iternext(values=False)} == set(listed)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (f"{CHUNK:,}", r"a run of ([\d,]+) bytes of a file"),
        (str(FORMAT), r"The format is \*\*(\d+)\*\*"),
        (str(bounds.BATCH * CHUNK >> 20), r"batches of (\d+) MiB"),
        (str(bounds.START_MAP >> 30), r"map starts at (\d+) GiB"),
        (str(bounds.MAX_MAP >> 40), r"up to (\d+) TiB"),
        (str(bounds.DISK_RESERVE >> 20), r"the disk less (\d+) MiB"),
        (str(bounds.GC_BATCH), r"(\d+) at most in one transaction"),
        (str(bounds.ROOM_TO_FREE >> 20), r"may grow by (\d+) MiB"),
        (f"{bounds.MAX_NAMES_PER_PUBLISHER:,}", r"at ([\d,]+) of one publisher"),
        (f"{bounds.MAX_NAMES:,}", r"at ([\d,]+) in all"),
    ],
)
def test_its_numbers_are_the_codes(number: str, sentence: str) -> None:
    assert re.findall(sentence, re.sub(r"\s+", " ", DOC)) == [number]


def test_the_files_it_names_are_there(path: Path) -> None:
    section = DOC.split("## The directory")[1].split("\n## ")[0]
    with open_store(path):
        assert {p.name for p in path.iterdir()} == set(re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE))


def test_a_full_chunk_takes_what_it_says(store: Store) -> None:
    (said,) = re.findall(r"a full chunk takes ([\d,]+) bytes", DOC)
    store.blobs.put_chunks([(content_hash(piece(n)), piece(n)) for n in range(2)])
    one = store.blobs.statistics().chunk_bytes
    store.blobs.put_chunks([(content_hash(piece(9)), piece(9))])
    assert store.blobs.statistics().chunk_bytes - one == int(said.replace(",", ""))
