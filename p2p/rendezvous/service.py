"""Meeting peers of this network through a public one: going there when it is due, and getting to know who is found."""

from __future__ import annotations

import logging
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import trio

from wire.errors import RemoteError
from wire.keys import NodeKey
from wire.network import Network

from .. import bounds
from ..addresses import read_address
from ..joining.seeds import is_name, resolve
from ..reach.places import Places, Scope, scope_of, tellable
from ..standing.ranges import Ranges
from .amino import open_amino
from .place import cid_of, key_of, usable_seed
from .schedule import Errand, Schedule

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rendezvoused:
    """What came of the last errand to the public network."""

    cid: str  # where this network's peers meet there
    at_ms: int
    answered: int  # peers of the public network that answered
    found: int  # peers that said they are of this network
    met: int  # those of them that are, and were not connected before
    told: int  # peers of the public network that took this one's addresses, 0 when none were said
    failure: str  # why nobody answered, empty where somebody did


class Rendezvous:
    """Goes to the public network now and then.

    `connect` connects to the one peer that addresses are of. `is_ours` says whether a peer that was identified is of
    this network; `expel` ends the connections of one that is not. `connected` gives peer ids, `addresses` our own.
    """

    def __init__(
        self,
        key: NodeKey,
        network: Network,
        ranges: Ranges,
        seeds: Sequence[str],
        connect: Callable[[Sequence[str]], Awaitable[str]],
        is_ours: Callable[[str], bool],
        expel: Callable[[str], None],
        connected: Callable[[], Collection[str]],
        addresses: Callable[[], Sequence[str]],
    ) -> None:
        self._node, self._ranges, self._seeds = key, ranges, tuple(seeds)
        self._connect, self._is_ours, self._expel = connect, is_ours, expel
        self._connected, self._addresses = connected, addresses
        self._identified: dict[str, trio.Event] = {}  # peers that are being met
        self._key = key_of(network)
        self._places = Places(ranges.wide)
        # What means anything there: by default the world; less where the seeds are of this machine or LAN themselves.
        self._scope = min((scope_of(seed, self._places) for seed in self._seeds), default=Scope.GLOBAL)
        self._schedule = Schedule(random.Random())
        self._in_vain: OrderedDict[str, float] = OrderedDict()  # peers that were not of use, and since when
        self.last: Rendezvoused | None = None

    def heard_of(self, peer_id: str) -> None:
        """A peer has connected and was identified."""
        if (event := self._identified.get(peer_id)) is not None:
            event.set()

    async def run(self) -> None:
        """Go whenever it is due, for ever."""
        while True:
            addresses = tellable(self._addresses(), self._places, self._scope)
            errand = self._schedule.due(trio.current_time(), len(self._connected()), addresses)
            if errand is None:
                await trio.sleep(bounds.RENDEZVOUS_PULSE)
            else:
                await self._go(errand, addresses)

    async def _go(self, errand: Errand, addresses: Sequence[str]) -> None:
        answered = taken = 0
        found: dict[str, tuple[str, ...]] = {}
        seeds, failure = await self._resolved()
        if seeds:
            async with open_amino(self._node, self._ranges) as amino:
                walk = await amino.walk(self._key, seeds)
                answered, found = walk.answered, walk.providers
                found.pop(self._node.peer_id, None)
                if errand is Errand.PROVIDE:
                    taken = await amino.provide(self._key, walk.nearest, addresses)
            failure = "" if answered else f"none of {len(seeds)} seeds of the public network answered"
        if failure:
            log.info("rendezvous: %s", failure)
        self._schedule.went(trio.current_time(), errand, answered, taken, addresses)
        met = await self._get_to_know(found)
        at_ms = time.time_ns() // 1_000_000
        self.last = Rendezvoused(cid_of(self._key), at_ms, answered, len(found), met, taken, failure)

    async def _resolved(self) -> tuple[list[str], str]:
        """Whole addresses of seeds, and where there are none why."""
        seeds, failure = list[str](), "the public network has no seeds"
        for seed in self._seeds:
            if is_name(seed):
                behind = await resolve(seed, dialled=usable_seed)
                seeds += behind.addresses
                failure = behind.failure or failure
            elif usable_seed(seed, None):
                seeds.append(seed)
            else:
                failure = f"the seed {seed} cannot be dialled"
        return seeds, "" if seeds else failure

    async def _get_to_know(self, found: dict[str, tuple[str, ...]]) -> int:
        now = trio.current_time()
        while self._in_vain and now - next(iter(self._in_vain.values())) > bounds.RENDEZVOUS_REST:
            self._in_vain.popitem(last=False)
        known = {self._node.peer_id, *self._connected(), *self._in_vain}
        new = {p: good for p, said in found.items() if p not in known and (good := _readable(p, said))}
        met, turns = 0, trio.Semaphore(bounds.RENDEZVOUS_AT_ONCE)

        async def dial(peer: str) -> None:
            nonlocal met
            async with turns:
                try:
                    if await self._meet(peer, new[peer]):
                        met += 1
                        return
                    log.info("rendezvous: %s is not of this network", peer)
                except RemoteError as error:
                    log.debug("rendezvous: %s", error)
                self._in_vain[peer] = now
                while len(self._in_vain) > bounds.RENDEZVOUS_KNOWN:
                    self._in_vain.popitem(last=False)

        async with trio.open_nursery() as nursery:
            for peer in list(new)[: bounds.RENDEZVOUS_DIALLED]:
                nursery.start_soon(dial, peer)
        return met

    async def _meet(self, peer: str, addresses: Sequence[str]) -> bool:
        """Connect, and stay connected if the peer is of this network."""
        event = self._identified.setdefault(peer, trio.Event())
        try:
            await self._connect(addresses)
            with trio.move_on_after(bounds.RENDEZVOUS_PATIENCE):
                if not self._is_ours(peer):
                    await event.wait()
        finally:
            del self._identified[peer]
        if not self._is_ours(peer):
            self._expel(peer)
        return self._is_ours(peer)


def _readable(peer: str, said: Iterable[str]) -> list[str]:
    """The addresses that can be dialled, whole."""
    found = []
    for text in said:
        whole = text if text.endswith(f"/p2p/{peer}") else f"{text}/p2p/{peer}"
        try:
            read_address(whole, peer)
        except RemoteError:  # another transport's, or the peer's key is none of ours
            continue
        found.append(whole)
    return found
