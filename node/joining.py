"""Joining: the first peer, and what to say when there is none."""

from __future__ import annotations

import trio

from .bounds import COMPANY_SECONDS
from .control import Emit
from .errors import CommandError, Exit
from .peer import Peer

JOIN_SECONDS = 10.0  # to reach a first peer
SHOWN = 8  # peers met before whose failures are told one by one


async def wait_for_peers(peer: Peer, emit: Emit) -> None:
    """Return once somebody is connected; CommandError that names each address tried and why it failed."""
    if peer.host.connected():
        return
    if peer.host.is_joining():
        emit({"event": "joining", "text": "looking for a first peer"})
    with trio.move_on_after(JOIN_SECONDS):
        while not peer.host.connected():
            if not peer.host.is_joining():
                break
            await trio.sleep(0.05)
        else:
            return
    report = [attempt for attempt in peer.host.bootstrap_report() if attempt.failure]
    met = [attempt for attempt in report if attempt.source != "bootstrap"]
    failures = [f"  {attempt.failure}" for attempt in report if attempt not in met]
    failures += [f"  {attempt.failure} (met before)" for attempt in met[:SHOWN]]
    if len(met) > SHOWN:
        failures.append(f"  and {len(met) - SHOWN} more that were met before")
    if not failures and peer.host.addresses:
        join = f"Let others join it: hallmark serve --bootstrap {peer.host.addresses[0]}"
        raise CommandError(Exit.NO_PEERS, "this peer is alone: nobody is connected", join)
    if not failures:
        raise CommandError(
            Exit.NO_PEERS,
            "there are no peers, and no address to find one at",
            "Give one: --bootstrap ADDRESS (the line that `hallmark serve` prints), or start a node: hallmark serve",
        )
    raise CommandError(
        Exit.NO_PEERS,
        "no peer could be reached:\n" + "\n".join(failures),
        "Check that a peer runs there, or give another address: --bootstrap ADDRESS",
    )


async def until_connected(peer: Peer) -> None:
    """Return once somebody is connected, or if there is no address to begin with; for callers with a time limit."""
    while (peer.bootstraps or peer.host.is_joining()) and not peer.host.connected():  # noqa: ASYNC110 — the host tells nobody
        await trio.sleep(0.05)


async def has_company(peer: Peer, emit: Emit) -> bool:
    """Whether anybody is connected, after a moment in which somebody may come; for what can do without."""
    with trio.move_on_after(COMPANY_SECONDS):
        try:
            await wait_for_peers(peer, emit)
        except CommandError:
            return False
    return bool(peer.host.connected())
