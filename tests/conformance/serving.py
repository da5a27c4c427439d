"""A provider in a process of its own and a client beside it: a case is published, offered, asked, proved, compared."""

from __future__ import annotations

import gc
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import trio

from node.asking import ask
from node.attempt import Question
from node.config import Config
from node.errors import CommandError, Exit
from node.finding import find_model, find_offers
from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from node.opening import open_peer
from node.peer import Peer
from tests.node.processes.running import Node, settle
from verify import verify_file
from wire.canonical import Amount
from wire.errors import RemoteError
from wire.keys import peer_id_of

from .cases import Case, arrays_of

AT_ONCE = 3  # cases side by side: one loads while another waits for its offer
BATCH = 48  # cases of one provider: 64 offers of one may be current at once
SECONDS = 60.0
_ABOUT = {"licence": "MIT", "version": "1.0.0", "task": "", "description": "", "royalty_bps": 0}


@dataclass(frozen=True)
class Verdict:
    """What became of a case: why it does not pass, if it does not; whether its model needed an example."""

    why: str | None
    with_example: bool = False


class Stand:
    """One provider, one client, and where the models of its cases are put."""

    def __init__(self, place: Path, node: Node, client: Peer) -> None:
        self._place, self._node, self._client = place, node, client
        self._numbers = count()

    async def serve(self, case: Case) -> Verdict:
        """What became of the case. One with an obstacle passes when its publisher is told so."""
        name = f"case-{next(self._numbers)}"
        path = self._place / f"{name}.onnx"
        path.write_bytes(case.model)
        try:
            cid, needed = await self._publish(case, path, name)
        except CommandError as error:
            refused = case.obstacle is not None and error.exit_code is Exit.MODEL
            return Verdict(None if refused else f"not taken: {error}")
        finally:
            path.unlink()
        if case.obstacle is not None:
            return Verdict(f"taken, in spite of: {case.obstacle}")
        try:
            return Verdict(await self._ask(case, cid), needed)
        finally:
            await self._node.call("model.rm", model=cid)

    async def _publish(self, case: Case, path: Path, name: str) -> tuple[str, bool]:
        """The model's CID, and whether it had to be published with an example, since it takes no made-up input."""
        try:
            return (await self._node.call("model.add", path=str(path), name=name, **_ABOUT))["cid"], False
        except CommandError as error:
            if "--example" not in str(error):
                raise
        example = {info.name: _given(value) for info, value in zip(case.inputs, case.given, strict=True)}
        added = await self._node.call("model.add", path=str(path), name=name, example=example, **_ABOUT)
        return added["cid"], True

    async def _ask(self, case: Case, cid: str) -> str | None:
        peer, tensors = self._client, case.tensors()
        try:
            signed, manifest = await find_model(peer, cid, lambda _: None)
            await find_offers(peer, signed.model, lambda _: None, SECONDS)
            question = Question(signed, manifest, tensors, "signed", Amount(0), SECONDS)
            answer = await ask(peer, question, lambda _: None)
        except (CommandError, RemoteError) as error:
            return f"not answered: {error}"
        report = verify_file(answer.encoded, peer.network, tensors)
        if not report.valid:
            return f"its receipt is not valid: {[check for check in report.checks if not check.ok]}"
        backend = answer.file.receipt.receipt.runtime.backend
        if (report.provider_peer, report.model, backend.name) != (peer_id_of(answer.provider), cid, "onnxruntime"):
            return "its receipt is about something else"
        try:
            case.check(arrays_of(answer.outputs))
        except AssertionError as error:
            return f"other outputs: {' '.join(str(error).split())[:300]}"
        return None


@asynccontextmanager
async def open_stand(place: Path) -> AsyncIterator[Stand]:
    """A stand under `place`, an empty folder; its process ends with it."""
    directory = settle(place / "provider")
    key = load_key(directory.key)
    network = new_network("conformance", [key.peer_id])
    keep_network(directory, network)
    node = Node(directory, key, ("hub", "provider"))
    try:
        node.launch()
        await trio.to_thread.run_sync(node.wait_ready)
        config = Config(bootstraps=(node.address,))
        async with open_peer(settle(place / "client", network), config, serving=False) as client:
            yield Stand(place, node, client)
    finally:
        node.kill()
        gc.collect()  # the library leaves sockets of closed connections to it


def _given(value: Any) -> list[Any]:
    """A value as `model add --example` takes it."""
    if value.dtype == object:
        return ["json", json.dumps(value.tolist()).encode()]
    file = io.BytesIO()
    np.save(file, value.view(np.uint16) if value.dtype.name == "bfloat16" else value)
    return ["npy", file.getvalue()]


async def serve_all(stand: Stand, cases: Sequence[Case], tell: Callable[[Case, Verdict], None]) -> None:
    """Serve the cases, `AT_ONCE` side by side; `tell` hears of each as it ends."""
    left = iter(cases)

    async def lane() -> None:
        for case in left:
            tell(case, await stand.serve(case))

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(lane)
