"""Which circuits a model has: asked of peers, checked as the publisher's word, kept; and their files, by hash."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import trio

from p2p import Channel, fetch_blob
from storage import Store, StoreDamaged, StoreError
from wire.circuit import AskCircuits, Circuit, CircuitFile, Circuits, SignedCircuit, read_circuit
from wire.errors import RecordError, RemoteError
from wire.manifest import Manifest

from ..bounds import CIRCUIT_PEERS, CIRCUIT_SECONDS
from ..finding import holders
from ..peer import Peer

Known = tuple[SignedCircuit, Circuit]


async def serve_circuits(channel: Channel, store: Store) -> None:
    """Answer one request of the protocol `circuits`."""
    asked = await channel.receive(AskCircuits, timeout=CIRCUIT_SECONDS)
    await channel.send(Circuits(circuits=tuple(store.circuits.of(asked.model))))


def known(peer: Peer, model: bytes, manifest: Manifest) -> list[Known]:
    """The model's circuits in the store, newest first."""
    return _read(peer, peer.local.store.circuits.of(model), model, manifest)


async def learn(peer: Peer, model: bytes, manifest: Manifest, peers: Sequence[str] = ()) -> list[Known]:
    """The model's circuits, newest first, after a few peers were asked for others: `peers`, or who has the model.

    Never fails for what peers do.
    """
    store = peer.local.store
    try:
        peers = (peers or await holders(peer, model))[:CIRCUIT_PEERS]
    except RemoteError:
        peers = []
    told: list[SignedCircuit] = []

    async def ask(peer_id: str) -> None:
        try:
            async with peer.host.exchange(peer_id, "circuits") as channel:
                await channel.send(AskCircuits(model=model))
                told.extend((await channel.receive(Circuits, timeout=CIRCUIT_SECONDS)).circuits)
        except RemoteError:
            return  # another one may know

    with trio.move_on_after(CIRCUIT_SECONDS):
        async with trio.open_nursery() as nursery:
            for peer_id in peers:
                nursery.start_soon(ask, peer_id)
    here = {circuit.hash for circuit in store.circuits.of(model)}
    for circuit, _ in _read(peer, told, model, manifest):
        if circuit.hash not in here:
            here.add(circuit.hash)
            await store.in_thread(store.circuits.put, circuit)
            peer.local.circuits_changed.notify()
    return known(peer, model, manifest)


def _read(peer: Peer, circuits: list[SignedCircuit], model: bytes, manifest: Manifest) -> list[Known]:
    found = []
    for signed in circuits:
        try:
            found.append((signed, read_circuit(signed, peer.network.domain, manifest, model)))
        except RecordError:
            continue  # not the publisher's word, so nobody's
    return found


async def fetch_files(peer: Peer, model: bytes, files: tuple[CircuitFile, ...]) -> list[bytes]:
    """The files' bytes, from the store or from peers. RemoteError when nobody has one; StoreError."""
    store = peer.local.store
    async with store.holding(file.blob for file in files):
        for file in files:
            if not store.blobs.complete(file.blob):
                await fetch_blob(peer.host, await holders(peer, model), file.blob, store, lambda *_: None)
        return [await trio.to_thread.run_sync(read_file, store, file) for file in files]


async def fetch_circuits(peer: Peer, model: bytes, manifest: Manifest, peers: Sequence[str]) -> None:
    """What belongs to a model that was fetched: its circuits with all files, as far as these peers have them."""
    with suppress(RemoteError, StoreError):  # the model is whole without them
        for _, circuit in await learn(peer, model, manifest, peers):
            await fetch_files(peer, model, (circuit.settings, circuit.key, circuit.srs))


def read_file(store: Store, file: CircuitFile) -> bytes:
    """A file that is in the store. RecordError when it is not as large as its circuit says; StoreDamaged. Blocks."""
    outline = store.outline(file.blob)
    if outline is None:
        raise StoreDamaged("A circuit's file is not in the store, or damaged. Pull its model again.")
    if outline.size != file.size:
        raise RecordError(f"Circuit: a file of {file.size} bytes has {outline.size}")
    pieces = []
    for index in range(outline.count):
        if (piece := store.chunk(outline.chunk(index))) is None:
            raise StoreDamaged("A circuit's file is damaged on disk. Pull its model again.")
        pieces.append(piece)
    return b"".join(pieces)
