"""A hub's mirroring, done: it looks through the catalogue, and fetches and drops what `node.mirroring` says."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from itertools import count
from typing import Any

import trio

from storage import ModelPinned, Store, StoreError
from wire.canonical import decode
from wire.cid import to_cid
from wire.errors import RecordError, RemoteError
from wire.manifest import Manifest, SignedManifest, read_manifest

from ..bounds import (
    MAX_MIRROR_WAITING,
    MIRROR_BREATH,
    MIRROR_FREE_DISK,
    MIRROR_GRACE,
    MIRROR_LOAD,
    MIRROR_LOOK,
    MIRROR_REST,
    MIRROR_SLOWEST,
)
from ..clock import now_ms
from ..fetching import fetch_model
from ..meaning import is_gone
from ..mirroring import ALL_HERE, Copy, Drop, Fetch, Mirror, Policy, Rest, Wanted, on_disk, read_policy
from ..peer import Peer
from ..petnames import load_petnames

log = logging.getLogger("hallmark.hub")


async def run_mirror(peer: Peer) -> None:
    """Keep copies as the hub's policy asks, for ever."""
    policy = read_policy(peer.local.config, load_petnames(peer.local.directory.petnames))
    await _Mirroring(peer, policy).run()


class _Mirroring:
    def __init__(self, peer: Peer, policy: Policy) -> None:
        self._peer, self._policy, self._store = peer, policy, peer.local.store
        self._mirror = Mirror("the quota" if self._store.quota else "the disk")
        self._look_at = -math.inf  # trio's clock
        self._litter = True  # what interrupted fetches left may be here

    async def run(self) -> None:
        while True:
            seen = self._peer.intake.kept.count
            if trio.current_time() >= self._look_at:
                await self._look()
            match action := self._mirror.next(*self._room(), now_ms()):
                case Fetch():
                    await self._fetch(action.model)
                case Drop():
                    await self._drop(action)
                case Rest() if action.crowded and self._litter:
                    await self._tidy()
                case Rest():
                    self._say(action.why)
                    await self._peer.intake.kept.wait(action.seconds, since=seen)
                    await trio.sleep_until(self._look_at)

    async def _look(self) -> None:
        """Look through the catalogue and the copies; not again before that has paid for itself."""
        began = time.perf_counter()
        later = self._mirror.failing(now_ms())
        found = await trio.to_thread.run_sync(survey, self._store, self._policy, self._peer.local.key.address, later)
        self._mirror.surveyed(*found)
        took = time.perf_counter() - began
        self._look_at = trio.current_time() + max(MIRROR_LOOK, took / MIRROR_LOAD)

    def _room(self) -> tuple[int, int]:
        """Bytes that everything takes, and may take."""
        used = self._store.blobs.statistics().chunk_bytes
        if self._store.quota:
            return used, self._store.quota
        free = shutil.disk_usage(self._peer.local.directory.store).free - MIRROR_FREE_DISK
        return used, max(used, self._store.disk_bytes) + max(0, free)  # what was freed in the file is used again

    async def _fetch(self, model: bytes) -> None:
        signed = self._store.catalogue.get(model)
        try:
            if signed is None:
                raise RecordError("the catalogue no longer has it")
            manifest = read_manifest(signed, self._peer.network.domain, model)
            size = sum(file.size for file in manifest.files)
            name = f"{manifest.name}@{manifest.version} {signed.cid}"
            self._say(f"fetching {name}")
            # A peer that trickles must not hold up all others.
            with trio.fail_after(MIRROR_GRACE + size / MIRROR_SLOWEST):
                fetched = await fetch_model(self._peer, signed, manifest, _silently, mirrored=True)
        except (RemoteError, RecordError, StoreError, trio.TooSlowError) as error:
            log.info("%s is not mirrored yet: %s", to_cid(model), error or "it came too slowly")
            self._mirror.failed(model, now_ms())
            self._litter = True
            return
        self._mirror.fetched(model, now_ms())
        log.info("mirrored %s: %d bytes in %.1f s", name, fetched.size, fetched.seconds)

    async def _drop(self, drop: Drop) -> None:
        if await self._tidy():
            return  # that alone may have made room; and where nothing can be freed, dropping would be in vain
        for model in drop.models:
            try:
                await self._store.in_thread(partial(self._store.models.remove, model, by_hand=False))
                log.info("the copy of %s is dropped: %s", to_cid(model), drop.why)
            except ModelPinned:
                pass  # by now somebody here wants it
            self._mirror.dropped(model)
        self._peer.local.models_changed.notify()
        await self._tidy()

    async def _tidy(self) -> bool:
        """Free what no model needs; whether that changed anything. Waits where it cannot be done."""
        self._litter = False
        try:
            return (await self._store.collect()).size > 0
        except StoreError as error:
            self._say(f"what was dropped cannot be freed: {error}")
            await trio.sleep(MIRROR_REST)
            return True

    def _say(self, text: str) -> None:
        before = self._peer.local.mirroring.text
        if text != before and (before or text != ALL_HERE):  # that there is nothing to do is no news at the start
            log.info("mirroring: %s", text)
        self._peer.local.mirroring.text = text


def _silently(_: Mapping[str, Any]) -> None:
    """Nobody watches a mirror's pulls; what comes of them is logged."""


def survey(store: Store, policy: Policy, own: bytes, later: Collection[bytes]) -> tuple[list[Wanted], list[Copy]]:
    """What the policy asks for and is not here, and the copies that are. Reads for long: call it in a worker thread.

    Publishers take turns, so that one who announces a thousand models does not hold up the others. `own` is this peer's
    address; `later` are models that come last.
    """
    here, refused, pinned = set(store.models.ids()), store.mirrored.refused(), store.pins.all()
    turns: Counter[bytes] = Counter()
    found: list[tuple[bool, int, int, Wanted]] = []
    order = count()
    for signed in _asked_for(store, policy):
        model = signed.model
        if model in here or model in refused:
            continue
        manifest = decode(signed.body, Manifest)
        if manifest.publisher == own or is_gone(store, manifest, model):
            continue  # what this peer published and no longer has, its user removed
        turns[manifest.publisher] += 1
        if turns[manifest.publisher] <= MAX_MIRROR_WAITING:
            size = on_disk([file.size for file in manifest.files if not store.blobs.complete(file.blob)])
            turn = (model in later, turns[manifest.publisher], next(order))
            found.append((*turn, Wanted(model, size, manifest.created_ms)))
    copies = [
        copy
        for model, since_ms in store.mirrored.copies().items()
        if model not in pinned and (copy := _copy(store, policy, model, since_ms)) is not None
    ]
    return [wanted for *_, wanted in sorted(found, key=lambda entry: entry[:3])[:MAX_MIRROR_WAITING]], copies


def _copy(store: Store, policy: Policy, model: bytes, since_ms: int) -> Copy | None:
    signed = store.manifest(model)
    if signed is None:
        return None  # damaged, or just removed: no part of it could be told apart
    manifest = decode(signed.body, Manifest)
    return Copy(
        model=model,
        size=on_disk([file.size for file in manifest.files]),
        since_ms=since_ms,
        pulls=store.seen.get(model).pulls,
        wanted=policy.wants(manifest),
        stands=not is_gone(store, manifest, model),
    )


def _asked_for(store: Store, policy: Policy) -> Iterator[SignedManifest]:
    """The catalogue's models that the policy asks for, newest word first under each publisher or tag."""
    match policy.kind:
        case "everything":
            searches: list[dict[str, Any]] = [{}]
        case "publishers":
            searches = [{"publisher": publisher} for publisher in sorted(policy.publishers)]
        case "tags":
            searches = [{"tag": tag} for tag in sorted(policy.tags)]
        case "pinned":
            searches = []
    for terms in searches:
        page = store.catalogue.search(**terms)
        yield from page.models
        while page.cursor is not None:
            time.sleep(MIRROR_BREATH)  # this thread holds the interpreter, and others have answers to give
            page = store.catalogue.search(**terms, cursor=page.cursor)
            yield from page.models
