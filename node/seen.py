"""Pulls and calls as this peer sees them: counted in memory, written down every minute and at the end.

They are hints for people, and no more than this peer's own word. A pull is the outline of a model's graph asked for, by
one peer once an hour; a call is an answer that this peer gave, or got and found proved.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping

import trio

from storage import Store, StoreError
from wire.canonical import decode
from wire.manifest import Manifest

from .bounds import COUNT_EVERY, MAX_COUNTED_PULLS

log = logging.getLogger("hallmark.node")

_HOUR_MS = 60 * 60 * 1000


class Tally:
    """What was seen since it was last taken. A machine without I/O."""

    def __init__(self) -> None:
        self._pulls: Counter[bytes] = Counter()  # by blob: whoever asks for one does not say for which model
        self._calls: Counter[bytes] = Counter()  # by model
        self._pulled: set[tuple[bytes, str]] = set()  # in this hour
        self._hour = 0

    def pulled(self, blob: bytes, peer_id: str, now_ms: int) -> None:
        """A peer fetched the outline of a blob."""
        if now_ms // _HOUR_MS != self._hour:
            self._hour = now_ms // _HOUR_MS
            self._pulled.clear()
        if (blob, peer_id) not in self._pulled and len(self._pulled) < MAX_COUNTED_PULLS:
            self._pulled.add((blob, peer_id))
            self._pulls[blob] += 1

    def called(self, model: bytes) -> None:
        """An answer was given, or was proved."""
        self._calls[model] += 1

    def take(self) -> tuple[Counter[bytes], Counter[bytes]]:
        """Pulls by blob and calls by model since the last time."""
        taken = self._pulls, self._calls
        self._pulls, self._calls = Counter(), Counter()
        return taken


async def keep_counts(tally: Tally, store: Store) -> None:
    """Write down what was counted, every minute."""
    while True:
        await trio.sleep(COUNT_EVERY)
        await write_counts(tally, store)


async def write_counts(tally: Tally, store: Store) -> None:
    """Write down what was counted; what the disk does not take is lost, and logged."""
    pulls, calls = tally.take()
    if not pulls and not calls:
        return
    try:
        await store.in_thread(_write, store, pulls, calls)
    except StoreError as error:
        log.warning("pulls and calls were counted in vain: %s", error)


def _write(store: Store, pulls: Mapping[bytes, int], calls: Mapping[bytes, int]) -> None:
    by_model = Counter({model: pulls[graph] for model, graph in _graphs(store, pulls).items()})
    store.seen.add({model: (by_model[model], calls.get(model, 0)) for model in {*by_model, *calls}})


def _graphs(store: Store, blobs: Mapping[bytes, int]) -> dict[bytes, bytes]:
    """The model that each of these blobs is the graph of, with the blob; of several the one made last."""
    found: dict[bytes, tuple[int, bytes]] = {}
    for signed in filter(None, map(store.manifest, store.models.ids())) if blobs else ():
        manifest = decode(signed.body, Manifest)
        graph = manifest.files[0].blob
        if graph in blobs:
            found[graph] = max(found.get(graph, (0, b"")), (manifest.created_ms, signed.model))
    return {model: graph for graph, (_, model) in found.items()}
