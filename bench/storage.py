"""The store: adding 1 GiB, adding it again, reading, verifying, collecting; and searching 100,000 models.

Beside the add stands the floor: writing the same bytes to a file on the same disk and syncing it.

    python -m bench.storage [--mib 1024] [--models 100000] [--place DIR] [--json]
"""

from __future__ import annotations

import argparse
import io
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.figures import row, show
from bench.pull_peer import Memory
from storage import Store, open_store
from wire.canonical import decode, encode
from wire.cid import content_hash
from wire.manifest import File, Manifest, SignedManifest
from wire.name import Named, NameRecord, SignedName
from wire.tensors import TensorSpec

MIB = 1 << 20
Row = dict[str, Any]
TASKS = ("image-classification", "text-generation", "speech-recognition", "translation", "object-detection")
TAGS = (
    "image",
    "text",
    "audio",
    "quantised",
    "mobile",
    "multilingual",
    "fine-tuned",
    "distilled",
    "benchmark",
    "vision",
)
LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause", "CC-BY-4.0")


def rate(name: str, size: int, began: float, **more: Any) -> Row:
    """Megabytes a second since `began`."""
    seconds = time.perf_counter() - began
    return {"name": name, "MiB/s": round(size / MIB / seconds), "seconds": round(seconds, 2)} | more


def files(place: Path, size: int) -> Iterator[Row]:
    """Adding, reading and collecting one file of random bytes."""
    source, copy = place / "source", place / "copy"
    with source.open("wb") as stream:
        for _ in range(size // MIB):
            stream.write(os.urandom(MIB))
    began = time.perf_counter()
    with source.open("rb") as stream, copy.open("wb") as written:
        shutil.copyfileobj(stream, written, 16 * MIB)
        os.fsync(written.fileno())
    yield rate("floor: copy the file, and sync", size, began)
    copy.unlink()
    with open_store(place / "store") as store:
        before, memory = Memory.now(), Memory()
        began = time.perf_counter()
        outline = store.blobs.add(source)
        yield rate("add a new file", size, began, grew_own_mib=round((memory.own - before) / 1024))
        began = time.perf_counter()
        store.blobs.add(source)
        yield rate("add it again", size, began)
        began = time.perf_counter()
        for index in range(outline.count):
            if store.chunk(outline.chunk(index)) is None:
                raise SystemExit("a chunk is missing: these figures would mean nothing")
        yield rate("read all chunks, checked", size, began)
        began = time.perf_counter()
        list(store.verification())
        yield rate("verify the store", size, began)
        began = time.perf_counter()
        freed = list(store.collection())[-1]
        collecting = rate("collect it as garbage", size, began)
        yield collecting | {"longest_ms": _longest_step(store)}
        if freed.size != size:
            raise SystemExit("not all was collected: these figures would mean nothing")
        began = time.perf_counter()
        store.blobs.add(source)
        yield rate("add it into the freed space", size, began)
    source.unlink()


def _longest_step(store: Store) -> float:
    """How long a writer waits for one step of a collection at most, with 256 MiB of garbage in chunks of their own."""
    store.blobs.add(io.BytesIO(os.urandom(256 * MIB)))
    longest, began = 0.0, time.perf_counter()
    for _ in store.collection():
        longest, began = max(longest, time.perf_counter() - began), time.perf_counter()
    return round(longest * 1000, 1)


def searches(place: Path, count: int) -> Iterator[Row]:
    """Searching a catalogue of `count` made-up models."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnoprstuvwyz", k=draw.randint(4, 9))) for _ in range(3000)]
    frequency = [1 / (rank + 3) for rank in range(len(words))]  # as in any language

    def say(number: int) -> list[str]:
        return draw.choices(words, frequency, k=number)

    with open_store(place / "catalogue") as store:
        began = time.perf_counter()
        names: list[NameRecord] = []
        for at in range(0, count, 256):
            models = [_model(draw, say, n) for n in range(at, min(at + 256, count))]
            records = [_name(signed) for signed in models]
            store.names.put_all(records)  # the records first, as whoever hears of them does
            store.catalogue.put(models)
            names += [decode(signed.body, NameRecord) for signed in records[:1]]
        seconds = time.perf_counter() - began
        yield {
            "name": f"take {count} named models",
            "seconds": round(seconds, 1),
            "disk_mib": store.disk_bytes // MIB,
        }
        kinds: dict[str, Any] = {
            "one word": lambda: store.catalogue.search(say(1)[0], limit=50),
            "two words": lambda: store.catalogue.search(" ".join(say(2)), limit=50),
            "three words, most find nothing": lambda: store.catalogue.search(" ".join(say(3)), limit=50),
            "the beginning of a name": lambda: store.catalogue.search(say(1)[0][:3], limit=50),
            "a word, a task and a licence": lambda: store.catalogue.search(
                say(1)[0], task=draw.choice(TASKS), licence=draw.choice(LICENCES), limit=50
            ),
            "a tag": lambda: store.catalogue.search(tag=draw.choice(TAGS), limit=50),
            "two words and a tag": lambda: store.catalogue.search(" ".join(say(2)), tag=draw.choice(TAGS), limit=50),
            "a name": lambda: store.catalogue.search(name=draw.choice(names).name, limit=50),
            "the newest": lambda: store.catalogue.search(limit=50),
        }
        for name, search in kinds.items():
            times, results = [], 0
            for _ in range(300):
                began = time.perf_counter()
                results += len(search().models)
                times.append((time.perf_counter() - began) * 1000)
            yield row(f"search: {name}", times, models=round(results / 300, 1))
        times = []
        for _ in range(300):
            sought = draw.choice(names)
            began = time.perf_counter()
            if store.names.get(sought.publisher, sought.name) is None:
                raise SystemExit("a name is missing: these figures would mean nothing")
            times.append((time.perf_counter() - began) * 1000)
        yield row("look up a name record", times)
    for name, folder in (("an empty store", place / "none"), (f"one that knows {count}", place / "catalogue")):
        times = []
        for _ in range(20):
            began = time.perf_counter()
            with open_store(folder):
                times.append((time.perf_counter() - began) * 1000)
        yield row(f"open {name}", times)


def _model(draw: random.Random, say: Any, number: int) -> SignedManifest:
    """A manifest with the words of a real one. Nobody signed it: the store asks nobody."""
    manifest = Manifest(
        name="-".join([*say(2), str(number)])[:60],
        version="1.0.0",
        publisher=content_hash(b"%d" % (number % 5000))[:20],
        files=(File(path="model.onnx", blob=content_hash(b"f%d" % number), size=1, media_type="application/onnx"),),
        interface="tensors",
        inputs=(TensorSpec(name="x", datatype="FP32", shape=("n", 224)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=("n", 10)),),
        task=draw.choice(TASKS),
        tags=tuple(sorted(draw.sample(TAGS, 3))),
        licence=draw.choice(LICENCES),
        royalty_bps=0,
        opset=17,
        profile="fp32",
        description=" ".join(say(25)),
        previous=None,
        created_ms=1_700_000_000_000 + number,
    )
    return SignedManifest(body=encode(manifest), signature=bytes(65))


def _name(signed: SignedManifest) -> SignedName:
    """The record that lets this one stand."""
    manifest = decode(signed.body, Manifest)
    record = NameRecord(
        publisher=manifest.publisher,
        name=manifest.name,
        versions=(Named(version=manifest.version, model=signed.model, withdrawn=None),),
        sequence=1,
        issued_ms=manifest.created_ms,
        expires_ms=manifest.created_ms + 1,
    )
    return SignedName(body=encode(record), signature=bytes(65))


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="the size of the file; 0 leaves files out")
    parser.add_argument("--models", type=int, default=100_000, help="in the catalogue; 0 leaves searches out")
    parser.add_argument("--place", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.place) as place:
        if arguments.mib:
            show("Files", list(files(Path(place), arguments.mib * MIB)), arguments.json)
        if arguments.models:
            show("The catalogue", list(searches(Path(place), arguments.models)), arguments.json)


if __name__ == "__main__":
    main()
