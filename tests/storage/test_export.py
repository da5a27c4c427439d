"""A model leaves as a folder and comes back the same, or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from storage import Store, StoreDamaged, StoreError, export_model, import_files, open_store, read_exported
from wire.bounds import CHUNK
from wire.canonical import encode
from wire.cid import content_hash
from wire.errors import RecordError
from wire.manifest import File, SignedManifest

from .made import manifest, piece
from .test_blobs import spoil

CONTENT = {"model.onnx": piece(1) + piece(2, 100), "data/weights.bin": piece(3), "data/empty": b""}


def model(store: Store, content: dict[str, bytes]) -> SignedManifest:
    files = []
    for path, data in content.items():
        blob = store.blobs.add(io.BytesIO(data)).hash()
        files.append(File(path=path, blob=blob, size=len(data), media_type="application/onnx"))
    signed = manifest(files=tuple(files))
    store.models.put(signed)
    return signed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out" / "folder"


def test_a_model_comes_back_byte_for_byte(store: Store, folder: Path, tmp_path: Path) -> None:
    signed = model(store, CONTENT)
    seen: list[int] = []
    export_model(store.blobs, signed, folder, seen.append)
    assert seen[-1] == sum(map(len, CONTENT.values()))
    assert {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == {
        **CONTENT,
        "manifest.hallmark": encode(signed),
    }
    with open_store(tmp_path / "other") as other:
        again = read_exported(folder)
        assert (again, again.cid, again.signature) == (signed, signed.cid, signed.signature)
        hold = other.blobs.hold([])
        seen.clear()
        import_files(other.blobs, again, folder, hold, seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == 2 * sum(map(len, CONTENT.values()))
        assert list(other.collection())[-1].chunks == 0  # held until the manifest is there
        other.models.put(again)
        hold.release()
        assert list(other.collection())[-1].chunks == 0
        assert other.states()[0].blobs == ()


@pytest.mark.parametrize(
    ("spoilt", "data", "says"),
    [
        ("data/weights.bin", piece(4), "its content is"),
        ("data/weights.bin", piece(3) + b"x", f"it has {CHUNK + 1} bytes, the manifest says {CHUNK}"),
        ("data/empty", b"x", "it has 1 bytes"),
        ("model.onnx", None, "model.onnx cannot be read: No such file"),
    ],
)
def test_a_folder_that_differs_is_refused_and_nothing_is_stored(
    store: Store, folder: Path, tmp_path: Path, spoilt: str, data: bytes | None, says: str
) -> None:
    export_model(store.blobs, model(store, CONTENT), folder)
    (folder / spoilt).unlink() if data is None else (folder / spoilt).write_bytes(data)
    with open_store(tmp_path / "other") as other:
        with pytest.raises(StoreError, match=says):
            import_files(other.blobs, read_exported(folder), folder, other.blobs.hold([]))
        assert other.blobs.statistics().chunks == 0


def test_a_folder_without_a_manifest_or_with_a_bad_one(store: Store, folder: Path) -> None:
    with pytest.raises(StoreError, match="hallmark model export"):
        read_exported(folder)
    export_model(store.blobs, model(store, CONTENT), folder)
    for bad in (b"", b"x" * 1_000_000, encode(manifest())[:-1]):
        (folder / "manifest.hallmark").write_bytes(bad)
        with pytest.raises(RecordError):
            read_exported(folder)


def test_only_into_a_folder_that_is_empty(store: Store, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "mine").write_bytes(b"precious")
    with pytest.raises(StoreError, match="is not empty"):
        export_model(store.blobs, model(store, CONTENT), folder)
    assert [p.name for p in folder.iterdir()] == ["mine"]
    with pytest.raises(StoreError, match="Choose another folder"):
        export_model(store.blobs, model(store, CONTENT), folder / "mine" / "below")


def test_a_model_that_is_not_whole_is_not_exported(store: Store, folder: Path) -> None:
    signed = model(store, CONTENT)
    spoil(store, content_hash(piece(3)))
    with pytest.raises(StoreDamaged, match=r"data/weights\.bin"):
        export_model(store.blobs, signed, folder)
    assert not (folder / "manifest.hallmark").exists()
    with pytest.raises(StoreError, match="Pull the model first"):
        export_model(store.blobs, signed, folder.parent / "second")
    assert not (folder.parent / "second").exists()


@pytest.mark.parametrize("content", [{"manifest.hallmark": b"x"}, {"a": b"x", "a/b": b"y"}])
def test_names_that_cannot_stand_beside_each_other(store: Store, folder: Path, content: dict[str, bytes]) -> None:
    with pytest.raises(StoreError):
        export_model(store.blobs, model(store, content), folder)
    assert not (folder / "manifest.hallmark").exists()
