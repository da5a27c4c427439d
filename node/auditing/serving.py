"""A verifier's side of checks after the answer: executes, says whether it agrees, and tells everybody.

It is told to everybody by the verifier, and not by who asked: so a payer that likes its provider keeps nothing back.
"""

from __future__ import annotations

import logging
from collections import OrderedDict

import trio

from p2p import Channel
from storage import StoreError
from verify.agreement import to_execute
from verify.auditor import check_summons, judge
from wire.auditing import AskAudit, Audited, AuditNews
from wire.canonical import encode
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import address_of, public_of
from wire.tensors import Tensor, check_headers, tensor_set

from ..bounds import (
    AUDIT_SECONDS,
    LOADING_SECONDS,
    MAX_AUDITS_SAID,
    MAX_OPEN_AUDITS,
    REST_MS,
    TENSOR_SECONDS,
)
from ..clock import now_ms
from ..peer import Peer
from .news import word_of

log = logging.getLogger("hallmark.audits")


class AuditDesk:
    """Serves `AskAudit`. An answer is checked once, and the same is said whenever its payer asks again."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._said: OrderedDict[bytes, Audited] = OrderedDict()  # by the receipt's digest
        self._open: set[bytes] = set()

    async def answer(self, channel: Channel, asked: AskAudit) -> None:
        """One payer's exchange; RemoteError says why this verifier has no say."""
        peer, request = self._peer, asked.request.request
        if address_of(public_of(channel.peer)) != request.payer:
            raise RemoteError(ErrorCode.REFUSED, "only who asked has its answer checked", retry=False)
        check_summons(peer.network, peer.local.key.public, asked, now_ms())
        digest = asked.receipt.receipt.digest(peer.network.domain)
        if digest not in self._said and (digest in self._open or len(self._open) >= MAX_OPEN_AUDITS):
            raise RemoteError(ErrorCode.OVERLOADED, "this verifier checks other answers now", after_ms=REST_MS)
        with peer.work(), peer.held.inputs(channel.peer, (*asked.inputs, *asked.outputs)):
            self._open.add(digest)
            try:
                inputs = await channel.receive_tensors(asked.inputs, timeout=TENSOR_SECONDS)
                outputs = await channel.receive_tensors(asked.outputs, timeout=TENSOR_SECONDS)
                if tensor_set(inputs).hash() != request.inputs:
                    raise RemoteError(ErrorCode.REFUSED, "the inputs are not those that the request was signed for")
                if tensor_set(outputs).hash() != asked.receipt.receipt.outputs:
                    raise RemoteError(ErrorCode.WRONG_DATA, "the outputs are not those that the provider signed")
                if digest not in self._said:
                    self._say(digest, await self._check(asked, inputs, outputs))
                    await self._tell(asked, self._said[digest])
            finally:
                self._open.discard(digest)
        await channel.send(self._said[digest])

    async def _check(self, asked: AskAudit, inputs: list[Tensor], outputs: list[Tensor]) -> Audited:
        peer, model = self._peer, asked.request.request.model
        ready = await peer.ready.soon(model, LOADING_SECONDS)
        if ready is None:
            raise RemoteError(ErrorCode.NOT_FOUND, "this verifier does not have that model")
        try:
            check_headers([t.header for t in inputs], ready.manifest.inputs, "inputs")
            given = to_execute(ready.manifest, inputs, outputs)
        except RecordError as error:
            raise RemoteError(ErrorCode.BAD_RECORD, str(error), retry=False) from error
        # Who asked may leave meanwhile, as a command does: the check is for everybody.
        execution = await peer.ready.execute(model, given, AUDIT_SECONDS)
        return await trio.to_thread.run_sync(
            judge, peer.network, peer.local.key, ready.manifest, asked, execution.outputs, outputs, now_ms()
        )

    def _say(self, digest: bytes, audited: Audited) -> None:
        self._said[digest] = audited
        if len(self._said) > MAX_AUDITS_SAID:
            self._said.popitem(last=False)

    async def _tell(self, asked: AskAudit, audited: Audited) -> None:
        news = AuditNews(request=asked.request, receipt=asked.receipt, secret=asked.secret, audit=audited.audit)
        store = self._peer.local.store
        try:
            await store.in_thread(store.audits.put, [word_of(news)])
        except StoreError as error:
            log.warning("a check of ours is not kept: %s", error)
        await self._peer.host.publish("audits", encode(news))
