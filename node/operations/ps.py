"""`ps`: the models that this node executes, where each is, what it takes and what it does; and what it takes itself."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import trio

from wire.canonical import decode
from wire.cid import to_cid
from wire.manifest import Manifest

from ..clock import now_ms
from ..control import Emit
from ..errors import CommandError, Exit
from ..peer import Peer


async def list_loaded(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Loaded models first, the busiest on top; then those that are loaded when somebody asks; then what is refused."""
    if not peer.roles:
        raise CommandError(
            Exit.NOT_FOUND, "no node runs in this data directory", "Start one: hallmark serve --role provider"
        )
    engine, ready = peer.local.engine, peer.ready.all()
    rows = []
    for status in engine.loaded():
        rates = status.rates
        rows.append(
            _named(peer, status.model)
            | {
                "state": "loaded" if status.backend else "loading",
                "pid": status.pid,
                "backend": "" if status.backend is None else f"{status.backend.name} {status.backend.version}",
                "device": "" if status.backend is None else status.backend.device,
                "memory": status.memory,
                "queue": status.queue,
                "requests": status.requests,
                "runs": status.runs,
                "failures": status.failures,
                "requests_per_s": round(rates.requests, 2),
                "requests_per_run": round(rates.company, 2),
                "busy": round(rates.busy, 4),
                "joins": status.joins,
                "pinned": status.pinned,
                "building": status.building,
                "passed": [{"backend": kind, "reason": why} for kind, why in status.passed],
            }
        )
    rows.sort(key=lambda row: -row["busy"])
    loaded = {row["cid"] for row in rows}
    rows += [_named(peer, m) | {"state": "on demand"} for m in ready if to_cid(m) not in loaded]
    rows += [_named(peer, m) | {"state": "refused", "reason": why} for m, why in peer.ready.refused().items()]
    settings = engine.settings
    return {
        "models": rows,
        "node": _node(peer),
        "memory": sum(row.get("memory", 0) for row in rows),
        "memory_bound": settings.all_memory,
        "most_models": settings.max_models,
    }


def _node(peer: Peer) -> dict[str, Any]:
    """What the process of the node takes, its workers not counted; `memory` in bytes, 0 where the system tells none."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        pages = descriptors = 0
    return {
        "up_s": (now_ms() - peer.started_ms) // 1000,
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "descriptors": descriptors,
        "tasks": trio.lowlevel.current_statistics().tasks_living,
        "connections": len(peer.host.connected()),
        "streams": peer.host.streams(),
        "relaying": None if (relaying := peer.host.relaying()) is None else asdict(relaying),
    }


def _named(peer: Peer, model: bytes) -> dict[str, Any]:
    signed = peer.local.store.manifest(model)
    manifest = None if signed is None else decode(signed.body, Manifest)
    return {"cid": to_cid(model), "name": "" if manifest is None else f"{manifest.name}@{manifest.version}"}
