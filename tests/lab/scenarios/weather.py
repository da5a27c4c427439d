"""Links that fail for a while under peers that are talking: they talk again, and nothing hangs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ..crew import crew, introduce, reserved
from ..lean import Lean, Silent, Trouble, wait_for
from ..routers import Kind
from ..table import Row
from ..world import Router, World

_BACK = 30.0  # seconds
_HUNG = 90.0  # of dialling, opening, waiting for an answer, and once more after a stream that was pooled
_BLOB = 2 << 20


def run(quick: bool) -> Iterator[Row]:
    """A router that forgets, a link that is down, 5% loss with 200 ms: recovered within 30 s each."""
    with World() as world, crew(world) as peers:
        machines = world.add_public(3)
        easy, symmetric = world.add_router(Kind.EASY), world.add_router(Kind.SYMMETRIC)
        world.start()
        peers.add_relays(machines)
        a, b = peers.add(easy.machines[0], holds=_BLOB), peers.add(symmetric.machines[0])
        peers.wait()
        for peer in (a, b):
            reserved(peer)
        pairs = [(a, b), (a, peers.relays[0]), (b, peers.relays[0])]
        for asker, asked in pairs:
            introduce(asker, asked)
            asker.ask("echo", peer=asked.peer_id)
        for router, name in ((easy, "endpoint-independent"), (symmetric, "symmetric")):
            yield _disturbed(f"a router forgets its mappings ({name})", pairs, lambda r=router: r.forget())  # type: ignore[misc]
        down = 5.0 if quick else 45.0
        yield _disturbed(f"a link is down for {down:.0f} s", pairs, lambda: _down(world, easy, down))
        world.change(easy, symmetric, delay=0.1, loss=0.05)
        yield from _lossy(pairs, 5 if quick else 20)


def _down(world: World, router: Router, seconds: float) -> None:
    world.change(router, down=True)
    time.sleep(seconds)
    world.change(router, down=False)


def _disturbed(what: str, pairs: list[tuple[Lean, Lean]], disturb: Callable[[], None]) -> Row:
    """What was asked before hangs no longer than after, and every pair talks again in time."""
    waiting = [asker.begin("echo", peer=asked.peer_id) for asker, asked in pairs]
    disturb()
    began = time.monotonic()
    try:
        for asker, asked in pairs:
            wait_for(lambda one=asker, two=asked: _talk(one, two), "an answer", 2 * _BACK)  # type: ignore[misc]
        took = time.monotonic() - began
        hung = [
            f"{asker.machine.name} to {asked.machine.name}"
            for (asker, asked), answer in zip(pairs, waiting, strict=True)
            if not _ended(answer)
        ]
        ended = time.monotonic() - began
    except Trouble as error:
        return Row(what, str(error), f"{_BACK:.0f} s", False)
    figure = f"all pairs talk after {took:.1f} s; "
    figure += f"hung: {', '.join(hung)}" if hung else f"what was under way ended within {ended:.0f} s"
    return Row(what, figure, f"{_BACK:.0f} s, nothing hangs", took <= _BACK and not hung)


def _talk(asker: Lean, asked: Lean) -> bool:
    try:
        asker.ask("echo", peer=asked.peer_id, within=_BACK)
    except Trouble:
        return False
    return True


def _ended(answer: Callable[[float], object]) -> bool:
    """Whether what was asked ended, with whatever result: each of its steps may take its own time, but not for ever."""
    try:
        answer(_HUNG)
    except Silent:
        return False
    except Trouble:
        return True
    return True


def _lossy(pairs: list[tuple[Lean, Lean]], times: int) -> Iterator[Row]:
    took = []
    for asker, asked in pairs:
        try:
            took += asker.ask("echo", peer=asked.peer_id, times=times, within=120)["took"]
        except Trouble as error:
            yield Row("5% loss with 200 ms: exchanges", str(error), "all end", False)
            return
    worst = max(took)
    what = f"5% loss with 200 ms: the slowest of {len(took)} exchanges"
    yield Row(what, f"{worst:.1f} s", f"{_BACK:.0f} s", worst <= _BACK)
    a, b = pairs[0]
    try:
        got = b.ask("fetch", peers=[a.peer_id], size=_BLOB, within=120)
    except Trouble as error:
        yield Row("5% loss with 200 ms: 2 MiB over a relay", str(error), "right", False)
        return
    figure = f"{got['took']:.1f} s, {'right' if got['right'] else 'wrong'}"
    yield Row("5% loss with 200 ms: 2 MiB over a relay", figure, "right", bool(got["right"]))
