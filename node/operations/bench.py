"""`bench`: measure peers side by side, or this machine alone; every answer compared before it counts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from engine import EngineError
from storage import StoreError
from wire.canonical import Amount, encode
from wire.errors import RecordError, RemoteError
from wire.keys import peer_id_of
from wire.manifest import Manifest, SignedManifest, read_manifest
from wire.offer import Offer

from ..attempt import Question
from ..benching import bounds
from ..benching.backend import show_backend
from ..benching.choosing import choose
from ..benching.load import Load
from ..benching.records import ask_countersignature, make_file
from ..benching.suite import SUITES, obtain
from ..control import Emit
from ..errors import CommandError, Exit
from ..finding import find_model
from ..local import Local
from ..peer import Peer

if TYPE_CHECKING:
    from ..benching.driving import Step
    from ..benching.reference import Pool

Row = dict[str, Any]


async def bench(peer: Peer, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Each model at each of its chosen peers, one number of clients after another. See `_model_row` for the result.

    One model that fails ends it; of a suite it is left out, with the reason.
    """

    async def one(signed: SignedManifest, manifest: Manifest) -> Row:
        return await _bench_model(peer, signed, manifest, params, emit)

    if params["suite"]:
        return {"models": await _bench_suite(peer.local, params["suite"], one, emit)}
    return {"models": [await one(*await find_model(peer, params["model"], emit))]}


async def bench_here(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Each model in a direct loop on this machine: no network, no node."""

    async def one(signed: SignedManifest, manifest: Manifest) -> Row:
        from ..benching.reference import own_pool

        pool = await own_pool(local, signed, manifest, params["dims"])
        return _model_row(signed, manifest, pool) | {"direct": await _direct(local, pool, params, emit)}

    if params["suite"]:
        return {"models": await _bench_suite(local, params["suite"], one, emit)}
    signed = local.store.models.find(params["model"])
    if signed is None:
        raise CommandError(
            Exit.NOT_FOUND, f"no model {params['model']!r} is in this store", "Pull it: hallmark model pull MODEL"
        )
    return {"models": [await one(signed, read_manifest(signed, local.network.domain))]}


async def _bench_suite(local: Local, suite: str, one: Any, emit: Emit) -> list[Row]:
    rows = []
    for entry in SUITES[suite]:
        try:
            signed = await obtain(local, entry, emit)
            if signed is None:
                row: Row = {"name": entry.name, "left_out": f"its file is not on this machine: {entry.how}"}
            else:
                row = await one(signed, read_manifest(signed, local.network.domain))
        except CommandError as error:
            row = {"name": entry.name, "left_out": f"{error.message}. {error.next_step}".strip()}
        except (EngineError, StoreError, RemoteError) as error:
            row = {"name": entry.name, "left_out": str(error)}
        if "left_out" in row:
            emit({"event": "left_out", "text": f"{entry.name}: left out: {row['left_out']}"})
        rows.append(row)
    return rows


async def _bench_model(
    peer: Peer, signed: SignedManifest, manifest: Manifest, params: dict[str, Any], emit: Emit
) -> Row:
    from ..benching.reference import make_pool

    offers = await choose(peer, signed, params, emit)
    pool = await make_pool(peer, signed, manifest, params["dims"], params["max_price"], emit)
    row = _model_row(signed, manifest, pool) | {"tier": params["tier"], "steps": []}
    if params["direct"]:
        row["direct"] = await _direct(peer.local, pool, params, emit)
    question = Question(
        signed,
        manifest,
        (),
        params["tier"],
        Amount(params["max_price"]),
        params["timeout"],
        committee=params["committee"],
    )
    run = _Run(peer, question, pool, params["duration"], row, emit)
    for clients in params["clients"]:
        offers = await run.step(offers, clients)
    return row


@dataclass
class _Run:
    """One model's steps: what they share."""

    peer: Peer
    question: Question
    pool: Pool
    duration: float
    row: Row
    emit: Emit

    async def step(self, offers: Sequence[Offer], clients: int) -> list[Offer]:
        """One number of clients at all peers, side by side; those that are worth asking again."""
        from ..benching.driving import Step, drive

        now, worked = trio.current_time(), time.process_time()
        steps = [Step(offer, Load(clients, self.duration, now)) for offer in offers]
        async with trio.open_nursery() as showing:
            showing.start_soon(self._show, steps)
            async with trio.open_nursery() as nursery:
                for step in steps:
                    nursery.start_soon(drive, self.peer, self.question, self.pool, step)
            showing.cancel_scope.cancel()
        busy = (time.process_time() - worked) / (trio.current_time() - now)
        for step in steps:
            figures = self._figures(step) | {"measurer_cpu": round(busy, 3)} | await self._sign(step)
            self.row["steps"].append(figures)
            self.emit({"event": "step"} | {k: v for k, v in figures.items() if k != "benchmark"})
        return [step.offer for step in steps if not step.load.given_up]

    async def _show(self, steps: Sequence[Step]) -> None:
        while True:
            await trio.sleep(bounds.EMIT_EVERY)
            now = trio.current_time()
            self.emit({"event": "live", "model": self.row["name"], "rows": [_live(step, now) for step in steps]})

    def _figures(self, step: Step) -> Row:
        figures = step.samples.figures(step.duration)
        floor = _floor(self.row.get("direct", ()), step.load.clients)
        share = round(float(str(figures["items_per_s"])) / floor, 4) if floor and figures["requests"] else None
        return {
            "model": self.row["model"],
            "name": self.row["name"],
            "peer": peer_id_of(step.offer.peer),
            "tier": self.question.tier,
            "clients": step.load.clients,
            "offered": show_backend(step.offer.backend),
            "given_up": step.load.given_up,
            "share_of_direct": share,
        } | figures

    async def _sign(self, step: Step) -> Row:
        """The signed benchmark of a step, kept in the store; and why it is not countersigned, where it is not."""
        local = self.peer.local
        try:
            file = make_file(local, self.question.manifest, self.question.tier, self.pool.hash, step)
        except RecordError as error:
            return {"benchmark": None, "countersigned": False, "unsigned": str(error)}
        why = ""
        try:
            signature = await ask_countersignature(self.peer, step.offer.peer, file)
            file = msgspec.structs.replace(file, countersignature=signature)
        except RemoteError as error:
            why = str(error)
        data = encode(file)
        await local.store.in_thread(local.store.benchmarks.put, data)
        return {"benchmark": data, "countersigned": not why, "unsigned": why}


async def _direct(local: Local, pool: Pool, params: dict[str, Any], emit: Emit) -> list[Row]:
    from ..benching.floor import run_direct

    if pool.loadable is None:
        raise CommandError(
            Exit.NOT_FOUND, "the direct loop needs the model on this machine", "Pull it: hallmark model pull MODEL"
        )
    threads = local.config.threads
    rows = await run_direct(local.engine, pool.loadable, pool.inputs, params["duration"], emit)
    for row in rows:
        emit({"event": "direct", "threads": threads} | row)
    return rows


def _model_row(signed: SignedManifest, manifest: Manifest, pool: Pool) -> Row:
    """What was measured: model, inputs, and what right answers were compared with. `steps` and `direct` come in."""
    shapes = [f"{t.name} {t.header.datatype} {list(t.header.shape)}" for t in pool.inputs[0]]
    return {
        "model": signed.cid,
        "name": f"{manifest.name}@{manifest.version}",
        "profile": manifest.profile,
        "inputs": len(pool.inputs),
        "shapes": shapes,
        "reference": pool.source,
    }


def _floor(direct: Sequence[Row], clients: int) -> float | None:
    """The direct loop's rate at the largest batch that so many clients could fill."""
    rates = [row["items_per_s"] for row in direct if row["batch"] <= clients and row["items_per_s"]]
    return rates[-1] if rates else None


def _live(step: Step, now: float) -> Row:
    since = step.load.counts_from
    latest = sorted(step.samples.latencies[-200:])
    return {
        "peer": peer_id_of(step.offer.peer),
        "clients": step.load.clients,
        "left": max(0.0, round(step.load.ends_at - now, 1)) if since is not None else None,
        "items": sum(step.samples.items),
        "items_per_s": sum(step.samples.items) / (now - since) if since is not None and now > since else None,
        "p50_us": latest[len(latest) // 2] if latest else None,
        "failed": step.samples.failed,
        "wrong": step.samples.wrong,
    }
