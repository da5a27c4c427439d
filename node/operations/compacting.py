"""`receipt compact`: a receipt's certificate made small, by asking its signers to sign together."""

from __future__ import annotations

from typing import Any

from verify import verify_file
from wire.canonical import decode, encode
from wire.errors import RecordError, RemoteError
from wire.receiptfile import MAX_RECEIPT_FILE, ReceiptFile

from ..catalogue import ask_presences
from ..control import Emit
from ..cosigning import compact
from ..errors import CommandError, Exit
from ..joining import wait_for_peers
from ..peer import Peer
from ..policyfile import load_policy


async def compact_receipt(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """The file with the small certificate, checked, also in the store where the receipt is there. CommandError:
    NOT_PROVED for a file that does not hold, NOT_FOUND for one without a committee, REMOTE when a signer is missing."""
    try:
        file = decode(params["receipt"], ReceiptFile, limit=MAX_RECEIPT_FILE)
        _require(params["receipt"], peer)
        before = file.certificate.quorum
        if before is not None and before.form == "musig2":
            return {"receipt": params["receipt"], "before": len(before.aggregate), "after": len(before.aggregate)}
        await wait_for_peers(peer, emit)
        await _get_acquainted(peer)
        emit({"event": "asking", "text": "asking every signer to sign once more, together"})
        done = await compact(peer, file)
    except RecordError as error:
        raise CommandError(Exit.NOT_FOUND, str(error)) from error
    if done.file is None or done.file.certificate.quorum is None or before is None:
        missing = "\n".join(f"  {name}: {why}" for name, why in done.missing.items())
        raise CommandError(
            Exit.REMOTE,
            f"not every signer took part:\n{missing}",
            "The receipt is as good as it was. Try again when they are up.",
        )
    data = encode(done.file)
    _require(data, peer)
    store, digest = peer.local.store, file.certificate.receipt
    if store.receipts.get(digest) is not None:
        await store.in_thread(store.receipts.put, digest, data)
    return {"receipt": data, "before": len(before.aggregate), "after": len(done.file.certificate.quorum.aggregate)}


def _require(data: bytes, peer: Peer) -> None:
    report = verify_file(data, peer.network, None, load_policy(peer.local.directory))
    if not report.valid:
        wrong = next(check for check in report.checks if not check.ok)
        raise CommandError(Exit.NOT_PROVED, f"the receipt does not hold: {wrong.name}: {wrong.detail}")


async def _get_acquainted(peer: Peer) -> None:
    """Where the signers are: what those who are connected know of others."""
    for status in peer.host.connected():
        try:
            await ask_presences(peer, status.peer_id)
        except RemoteError:
            continue  # another one may tell
