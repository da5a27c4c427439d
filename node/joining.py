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
    raise lonely(peer)


def lonely(peer: Peer) -> CommandError:
    """What to say of a peer that nobody is connected to."""
    failures = [f"  {failure}" for failure in failures_of(peer)]
    if not failures and peer.roles and peer.host.addresses:  # and stays up
        return CommandError(
            Exit.NO_PEERS, "this peer is alone: nobody is connected", f"Let others join: {invite(peer)}"
        )
    if not failures:
        return CommandError(
            Exit.NO_PEERS,
            "there are no peers, and no address to find one at",
            "Give one: --bootstrap ADDRESS (the line that `hallmark serve` prints), or start a node: hallmark serve",
        )
    return CommandError(
        Exit.NO_PEERS,
        "no peer could be reached:\n" + "\n".join(failures),
        "Check that a peer runs there, or give another address: --bootstrap ADDRESS",
    )


def failures_of(peer: Peer) -> list[str]:
    """Who was tried in vain: seeds first, each with its addresses and why each failed; then peers met before."""
    report = [attempt for attempt in peer.host.bootstrap_report() if attempt.failure]
    met = [f"met before: {attempt.failure}" for attempt in report if attempt.source != "bootstrap"]
    more = [f"and {len(met) - SHOWN} more that were met before"] if len(met) > SHOWN else []
    seeds = [attempt.failure or "" for attempt in report if attempt.source == "bootstrap"]
    return seeds + peer.host.awaited() + met[:SHOWN] + more


def has_fellows(peer: Peer) -> bool:
    """Whether somebody is connected who is of this network, as it said."""
    return any(peer.host.is_fellow(one.peer_id) for one in peer.host.connected())


def strangers(peer: Peer) -> list[str]:
    """The networks of those who are connected, where all have said which, and none is ours."""
    served = [peer.host.networks_of(one.peer_id) for one in peer.host.connected()]
    return sorted({name for names in served for name in names}) if all(served) and not has_fellows(peer) else []


def invite(peer: Peer) -> str:
    """The command with which another peer joins by this one; it has to be one that has addresses."""
    network = peer.local.directory.networks / f"{peer.network.name}.toml"
    return f"hallmark serve --data-dir ./another --network {network} --bootstrap {peer.host.addresses[0]}"


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
