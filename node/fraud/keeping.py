"""Keeping a fraud: on disk, once, and in the log. It is told to nobody: its file convinces by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from storage import StoreError
from storage.frauds import Kept
from verify.fraud import file_of, holds
from wire.canonical import encode
from wire.errors import RecordError
from wire.fraud import KIND, MAX_FRAUD_FILE, Fraud, culprit_of, fraud_digest
from wire.keys import show_address

from ..clock import now_ms
from ..local import Local

log = logging.getLogger("hallmark.fraud")


async def keep(local: Local, fraud: Fraud) -> None:
    """Keep a fraud that holds; anything else is dropped in silence. A full disk is logged, and nothing else happens."""
    if not holds(fraud, local.network):
        return
    digest, culprit = fraud_digest(fraud, local.network.domain), culprit_of(fraud)
    data = encode(file_of(fraud, local.network))
    if len(data) > MAX_FRAUD_FILE:
        log.warning("a fraud of %s is larger than a fraud file may be", show_address(culprit))
        return
    kept = Kept(digest, int(KIND[type(fraud)]), culprit, now_ms())
    try:
        if await local.store.in_thread(local.store.frauds.put, kept, data):
            log.warning(
                "%s: %s. It is kept: hallmark fraud export %s FILE", show_address(culprit),
                KIND[type(fraud)].name.lower().replace("_", " "), digest.hex()[:16],
            )  # fmt: skip
            local.frauds_changed.notify()
    except (StoreError, RecordError) as error:
        log.warning("a fraud of %s is not kept: %s", show_address(culprit), error)


async def keep_all(local: Local, frauds: Iterable[Fraud]) -> None:
    """Keep each of these."""
    for fraud in frauds:
        await keep(local, fraud)
