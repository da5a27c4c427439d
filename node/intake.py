"""What is believed of names and models, on its way to disk: many in one transaction, and gossip waits for none."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import trio

from storage import Store, StoreError
from wire.canonical import decode
from wire.eip712 import Domain
from wire.manifest import SignedManifest
from wire.name import NameRecord, SignedName

from .bounds import INTAKE_BATCH, INTAKE_LINGER, MAX_NEWS, MAX_WANTED
from .naming import News, rule_on_announcement
from .noticeboard import ACCEPTED, Notice, Ruling
from .signal import Signal

log = logging.getLogger("hallmark.names")

Name = tuple[bytes, str]  # a publisher's address, and its name for a model


class Intake:
    """A bounded queue in front of the store. Whoever puts something in has asked whether it is believed."""

    def __init__(self, store: Store, domain: Domain) -> None:
        self._store, self._domain = store, domain
        self._waiting: dict[Name, tuple[News, str]] = {}  # the news, and who gossiped it
        self._come = Signal()
        self.wanted: dict[Name, str] = {}  # names whose model's manifest is not known yet, each with who announced it
        self.kept = Signal()  # something new is in the store, or what gossip brought was looked at

    def known(self, publisher: bytes, name: str) -> int:
        """See `naming.Known`."""
        waiting = self._waiting.get((publisher, name))
        signed = self._store.names.get(publisher, name)
        stored = decode(signed.body, NameRecord).sequence if signed else -1
        return max(stored, waiting[0].record.sequence if waiting else -1)

    def take(self, data: bytes, author: str, now_ms: int) -> Notice:
        """Judge, and keep when believed, an encoded `Announcement` that `author` gossips. Does not block."""
        news = rule_on_announcement(data, self._domain, now_ms, self.known)
        if isinstance(news, Notice):
            return news
        name = (news.record.publisher, news.record.name)
        if name not in self._waiting and len(self._waiting) >= MAX_NEWS:
            return Notice(Ruling.IGNORE, f"{MAX_NEWS} names wait for the disk already")
        self._waiting[name] = news, author
        self._come.notify()
        return ACCEPTED

    async def run(self) -> None:
        """Bring what gossip told into the store, until cancelled."""
        while True:
            seen = self._come.count
            while self._waiting:
                batch = [self._waiting.pop(name) for name in list(self._waiting)[:INTAKE_BATCH]]
                manifests = [signed for news, _ in batch for signed in news.manifests]
                await self.learn([news.signed for news, _ in batch], manifests)
                for news, author in batch:
                    if not self._is_complete(news.record) and len(self.wanted) < MAX_WANTED:
                        self.wanted[news.record.publisher, news.record.name] = author
                self.kept.notify()
            await self._come.wait(3600, since=seen)
            await trio.sleep(INTAKE_LINGER)  # what comes together is written together

    async def learn(self, names: Sequence[SignedName], manifests: Sequence[SignedManifest]) -> int:
        """Keep these, which are believed, at once; how many were news. A full disk is logged, and nothing is kept."""
        try:
            news = await self._store.in_thread(self._keep, names, manifests)
        except StoreError as error:
            log.warning("what others told of names is not kept: %s", error)
            return 0
        if news:
            self.kept.notify()
        return news

    def _keep(self, names: Sequence[SignedName], manifests: Sequence[SignedManifest]) -> int:
        news = 0
        for first in range(0, len(names), INTAKE_BATCH):  # records first: they decide who is in the catalogue
            news += self._store.names.put_all(names[first : first + INTAKE_BATCH])
        for first in range(0, len(manifests), INTAKE_BATCH):
            news += self._store.catalogue.put(manifests[first : first + INTAKE_BATCH])
        return news

    def _is_complete(self, record: NameRecord) -> bool:
        named = record.of()
        return named is None or self._store.catalogue.get(named.model) is not None
