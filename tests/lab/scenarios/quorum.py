"""A committee's answers where everybody is behind a router: over links that lose, and when a relay is cut."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Timer

import trio

from node.errors import CommandError, Exit
from node.keyfile import load_key
from node.networkfile import new_network
from tests.node.processes import made
from tests.node.processes.running import Ended, Node, eventually, settle
from tests.node.processes.town import add

from ..lean import wait_for
from ..routers import Kind
from ..table import Row
from ..whole import serving, standing, typed
from ..world import World

_VERIFIERS = (Kind.EASY, Kind.SYMMETRIC, Kind.CARRIER, Kind.NO_UDP)
_DEADLINE = 45.0  # seconds, as told to `hallmark infer`
_SLACK = 5.0  # seconds that the command itself may take, on cores that nine nodes share
_MIDDLE = 2.5  # seconds after the command was typed
_LONG = 2**20  # turns of the model's loop: some seconds, of the provider and then of its judges
_CLEAR = (Exit.NOT_FOUND, Exit.NO_PEERS, Exit.REMOTE, Exit.NOT_PROVED)


def run(quick: bool) -> Iterator[Row]:
    """A client, a provider and four verifiers, all behind routers, over relays: `infer --tier quorum`."""
    with World() as world, ExitStack() as ending:
        machines = world.add_public(3)
        client_router, provider_router = world.add_router(Kind.EASY), world.add_router(Kind.SYMMETRIC)
        routers = [world.add_router(kind) for kind in _VERIFIERS]
        world.start()
        places = [settle(world.folder / f"relay-{i}") for i in range(3)]
        seats = [settle(world.folder / f"verifier-{i}") for i in range(len(_VERIFIERS))]
        keys = [load_key(place.key) for place in places]
        whole = [f"{machine.address}/p2p/{key.peer_id}" for machine, key in zip(machines, keys, strict=True)]
        network = new_network("lab", [load_key(seat.key).peer_id for seat in seats], bootstraps=whole)
        relays = {
            key.peer_id: serving(machine, place, network, ("hub", "relay"), ending)
            for machine, place, key in zip(machines, places, keys, strict=True)
        }
        where = [provider_router.machines[0], *(router.machines[0] for router in routers), client_router.machines[0]]
        directories = [settle(world.folder / "provider"), *seats, settle(world.folder / "client")]
        roles = [("hub", "provider"), *(("verifier",) for _ in seats), ("hub",)]
        provider, *verifiers, client = [
            serving(machine, directory, network, role, ending, ready=False)
            for machine, directory, role in zip(where, directories, roles, strict=True)
        ]
        for node in (provider, *verifiers, client):
            node.wait_ready()
        for node in (provider, *verifiers, client):
            wait_for(lambda one=node: standing(one).get("relays"), f"a place at a relay: {node.words()}", 60)  # type: ignore[misc]
        cid = trio.run(_furnish, provider, verifiers, made.save(made.slow(), world.folder / "slow.onnx"))

        def infer(turns: int) -> tuple[Ended, float]:
            asked = (
                "--input",
                f"turns={turns}",
                "--input",
                "size=[1]",
                "--tier",
                "quorum",
                "--timeout",
                str(_DEADLINE),
            )
            began = time.monotonic()
            return typed(where[-1], directories[-1], "infer", cid, *asked, "--json"), time.monotonic() - began

        wait_for(lambda: infer(1)[0].code == 0, "a first answer", 90)
        yield _answers("hallmark infer --tier quorum, all behind NATs", [infer(1) for _ in range(2)])
        world.change(client_router, provider_router, *routers, delay=0.1, loss=0.05)
        yield _answers("… over links with 5% loss and 200 ms", [infer(1) for _ in range(2 if quick else 5)])
        world.change(delay=0.01, loss=0.0)
        infer(1)  # over the same way as the next
        used = _via(typed(where[-1], directories[-1], "peers", "--json"), provider)
        if used not in relays:
            yield Row("a relay is cut in the middle of an inference", "none was in use", "an answer", False)
            return
        cut = Timer(_MIDDLE, relays[used].kill)
        cut.start()
        ended, took = infer(_LONG)
        cut.join()
        yield _one_way_or_the_other(ended, took)
        yield _answers("… and the next question", [infer(1)])


async def _furnish(provider: Node, verifiers: list[Node], file: Path) -> str:
    cid = str((await add(provider, file))["cid"])
    async with trio.open_nursery() as nursery:
        for node in verifiers:
            nursery.start_soon(_pulled, node, cid)
    return cid


async def _pulled(node: Node, cid: str) -> None:
    """Fetch the model, whose offer may be on its way yet."""

    async def pulled() -> bool:
        try:
            return bool(await node.call("model.pull", model=cid))
        except CommandError as error:
            if error.exit_code is not Exit.NOT_FOUND:
                raise
            return False

    await eventually(pulled, "the model at a verifier")


def _answers(what: str, several: list[tuple[Ended, float]]) -> Row:
    times = ", ".join(f"{took:.1f}" for _, took in several)
    failed = [ended for ended, _ in several if ended.code]
    figure = f"{len(several) - len(failed)} of {len(several)} answered, {times} s"
    figure += f"; exit code {failed[0].code}: {failed[0].said[-1000:]}" if failed else ""
    return Row(what, figure, f"all, {_DEADLINE:.0f} s each", not failed)


def _via(peers: Ended, provider: Node) -> str:
    """The relay over which the client's node speaks with the provider; empty when there is none."""
    listed = {row["peer_id"]: row for row in peers.json["peers"]}
    return str(listed.get(provider.key.peer_id, {}).get("via") or "")


def _one_way_or_the_other(ended: Ended, took: float) -> Row:
    """An answer, or an error that says what was wrong, within the deadline."""
    if ended.code:
        figure = f"exit code {ended.code} after {took:.1f} s: {ended.json.get('message', ended.said[-500:])}"
    else:
        figure = f"the answer, after {took:.1f} s"
    held = ended.code in (0, *_CLEAR) and _MIDDLE < took < _DEADLINE + _SLACK
    aim = f"the answer or whose fault it is, {_DEADLINE:.0f} s"
    return Row("a relay is cut in the middle of an inference", figure, aim, held)
