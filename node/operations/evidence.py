"""`fraud ls | export | scan`, `receipt ls | export`: the evidence that this peer keeps. No other peer is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import trio

from storage import StoreDamaged
from storage.frauds import Kept
from verify.fraud import verify_fraud
from verify.fraud.finding import lazy_votes
from wire.canonical import decode
from wire.cid import to_cid
from wire.errors import RecordError
from wire.fraud import FraudKind
from wire.keys import show_address
from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile

from ..control import Emit
from ..errors import CommandError, Exit
from ..fraud.keeping import keep_all
from ..local import Local


async def list_frauds(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Every fraud file of the store, newest first."""
    frauds = sorted(local.store.frauds.all(), key=lambda kept: -kept.kept_ms)
    return {"frauds": await trio.to_thread.run_sync(lambda: [_describe(local, kept) for kept in frauds])}


def _describe(local: Local, kept: Kept) -> dict[str, Any]:
    row = {
        "digest": kept.digest.hex(),
        "kind": FraudKind(kept.kind).name.lower(),
        "culprit": show_address(kept.culprit),
        "kept_ms": kept.kept_ms,
    }
    try:
        data = local.store.frauds.get(kept.digest)
        report = None if data is None else verify_fraud(data, local.network)
    except (StoreDamaged, RecordError) as error:
        return row | {"valid": False, "settles": False, "says": str(error)}
    if report is None:
        return row | {"valid": False, "settles": False, "says": "its file was removed meanwhile"}
    return row | {"valid": report.valid, "settles": report.settles, "says": report.says}


async def export_fraud(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """A fraud file's bytes, to `path`. CommandError when none fits `digest`, or it cannot be written."""
    known = [kept.digest for kept in local.store.frauds.all()]
    digest = the_one(params["digest"], known, "fraud file", "hallmark fraud ls")
    data = local.store.frauds.get(digest)
    assert data is not None
    _write(Path(params["path"]), data)
    return {"digest": digest.hex(), "path": params["path"]}


async def scan_receipts(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Look through the ballots of the receipts here for members who look lazy; reports are kept beside the frauds."""
    found = await trio.to_thread.run_sync(lambda: lazy_votes(local.network, _receipts(local)))
    await keep_all(local, found)
    return {"receipts": local.store.receipts.count, "reports": len(found)}


def _receipts(local: Local) -> Iterator[ReceiptFile]:
    for summary in local.store.receipts.all():
        try:
            data = local.store.receipts.get(summary.digest)
            if data is not None and "quorum" in summary.tier:
                yield decode(data, ReceiptFile, limit=MAX_RECEIPT_FILE)
        except (StoreDamaged, RecordError):
            continue  # `store verify` names it


async def list_receipts(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """The receipts of the store, the one stored last first."""
    rows = [
        {
            "digest": summary.digest.hex(),
            "model": to_cid(summary.model),
            "provider": show_address(summary.provider),
            "tier": summary.tier,
            "price": int(summary.price),
            "finished_ms": summary.finished_ms,
            "size": summary.size,
            "settled_in": local.store.settling.settled_in(summary.digest),
        }
        for summary in local.store.receipts.all(params["limit"])
    ]
    return {"receipts": rows}


async def export_receipt(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """A receipt file's bytes as the store has them now, with all evidence that came later, to `path`."""
    known = [summary.digest for summary in local.store.receipts.all()]
    digest = the_one(params["digest"], known, "receipt", "hallmark receipt ls")
    data = local.store.receipts.get(digest)
    assert data is not None
    _write(Path(params["path"]), data)
    return {"digest": digest.hex(), "path": params["path"]}


def the_one(beginning: str, known: list[bytes], what: str, listing: str) -> bytes:
    """The digest that begins so; CommandError when none does, or several."""
    fitting = [digest for digest in known if beginning and digest.hex().startswith(beginning.lower())]
    if len(fitting) != 1:
        count = f"{len(fitting)} {what}s begin" if fitting else f"no {what} here begins"
        raise CommandError(Exit.NOT_FOUND, f"{count} with {beginning!r}", f"See them: {listing}")
    return fitting[0]


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise CommandError(Exit.STORAGE, f"{path} cannot be written: {error.strerror}", "Choose another.") from error
