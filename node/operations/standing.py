"""What a publisher's name record says of a model, as plain values: whether the name still means it, and until when."""

from __future__ import annotations

from typing import Any

from storage import Store
from wire.canonical import decode
from wire.cid import to_cid
from wire.manifest import Manifest
from wire.name import NameRecord


def known_record(store: Store, publisher: bytes, name: str) -> NameRecord | None:
    """The newest record that is known of a publisher's name, current or not."""
    signed = store.names.get(publisher, name)
    return None if signed is None else decode(signed.body, NameRecord)


def standing(record: NameRecord | None, manifest: Manifest, model: bytes, now_ms: int) -> dict[str, Any]:
    """How a model stands. `state`:

    - `withdrawn`, with the `reason` (it may be empty);
    - `replaced`: the version means another model now, `replaced_by`;
    - `current`: the name means it, `until_ms`;
    - `expired`: the name meant it `until_ms`, and its publisher has been silent since;
    - `unlisted`: its publisher's word on the name does not mention this version, or there is none.
    """
    named = None if record is None else record.of(manifest.version)
    if record is None or named is None:
        return {"state": "unlisted"}
    if named.model != model:
        return {"state": "replaced", "replaced_by": to_cid(named.model)}
    if named.withdrawn is not None:
        return {"state": "withdrawn", "reason": named.withdrawn}
    return {"state": "current" if now_ms < record.expires_ms else "expired", "until_ms": record.expires_ms}
