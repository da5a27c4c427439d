"""What gossip says of checks: judged by what proves that the check was drawn, then kept, a bounded number of them.

The rules stand in docs/protocol.md. Whoever is believed holds a receipt that the provider signed, and the payer's
secret: so nobody is praised or smeared without an answer that was really given.
"""

from __future__ import annotations

import logging

import trio

from p2p.rates import Rates
from storage import Store, StoreError
from storage.audits import Checked
from verify.sampling import check_asked_and_answered, draw_fault, word_fault
from wire.auditing import AuditNews
from wire.bounds import CLOCK_SKEW_MS
from wire.canonical import decode
from wire.errors import RecordError
from wire.network import Network
from wire.vote import Verdict

from ..bounds import AUDIT_NEWS_MS, AUDITOR_BURST, AUDITOR_RATE, INTAKE_LINGER, MAX_AUDIT_NEWS
from ..noticeboard import ACCEPTED, Notice, Ruling
from ..signal import Signal

log = logging.getLogger("hallmark.audits")


def word_of(news: AuditNews) -> Checked:
    """What is kept of a check. Whoever refused its own very outputs blames the model, and not the provider."""
    audit, receipt = news.audit.audit, news.receipt.receipt
    same = audit.outputs == receipt.outputs
    return Checked(
        provider=receipt.provider,
        model=receipt.model,
        receipt=audit.receipt,
        auditor=audit.auditor,
        agreed=audit.verdict == Verdict.ACCEPT or same,
        checked_ms=audit.checked_ms,
    )


def fault_of(news: AuditNews, network: Network) -> str | None:
    """Why this is no check of a sampled answer, or None: both signatures, the secret, the verifier's word."""
    try:
        check_asked_and_answered(network, news.request, news.receipt, news.secret)
    except RecordError as error:
        return str(error)
    return word_fault(network, news.request.request, news.receipt.receipt, news.audit)


class AuditIntake:
    """A bounded queue of checks in front of the store."""

    def __init__(self, store: Store, network: Network) -> None:
        self._store, self._network = store, network
        self._waiting: dict[bytes, Checked] = {}
        self._rates = Rates(AUDITOR_RATE, AUDITOR_BURST)
        self._come = Signal()

    def follow(self, network: Network) -> None:
        """From now on checks are judged under this: the same network with further epochs."""
        self._network = network

    def take(self, data: bytes, now_ms: int) -> Notice:
        """Judge, and keep when believed, an encoded `AuditNews`. Does not block."""
        try:
            news = decode(data, AuditNews)
        except RecordError as error:
            return Notice(Ruling.REJECT, f"malformed: {error}")
        word = word_of(news)
        if not now_ms - AUDIT_NEWS_MS <= word.checked_ms <= now_ms + CLOCK_SKEW_MS:
            return Notice(Ruling.IGNORE, "too old to be news, or from the future")
        if word.key in self._waiting or self._store.audits.known(word):
            return Notice(Ruling.IGNORE, "known already (a duplicate or a replay)")
        if wrong := fault_of(news, self._network):
            return Notice(Ruling.REJECT, f"no check of a sampled answer: {wrong}")
        asked, said = news.request.request, news.receipt.receipt
        if wrong := draw_fault(self._network, asked, said, news.secret, news.audit):
            # Who forwarded it may have a network file of another epoch, and is no offender.
            return Notice(Ruling.IGNORE, f"no check that was drawn: {wrong}")
        if not self._rates.take(word.auditor.hex(), now_ms / 1000):
            return Notice(Ruling.IGNORE, "its verifier says more than it may in a second")
        if len(self._waiting) >= MAX_AUDIT_NEWS:
            return Notice(Ruling.IGNORE, f"{MAX_AUDIT_NEWS} checks wait for the disk already")
        self._waiting[word.key] = word
        self._come.notify()
        return ACCEPTED

    async def run(self) -> None:
        """Bring what gossip told into the store, until cancelled."""
        while True:
            seen = self._come.count
            if self._waiting:
                words, self._waiting = list(self._waiting.values()), {}
                try:
                    await self._store.in_thread(self._store.audits.put, words)
                except StoreError as error:
                    log.warning("checks of others' answers are not kept: %s", error)
            await self._come.wait(3600, since=seen)
            await trio.sleep(INTAKE_LINGER)  # what comes together is written together
