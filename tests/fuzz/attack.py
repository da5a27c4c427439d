"""The attack: every protocol that the target names, so many inputs each, under as many identities as that takes."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import trio
from libp2p.custom_types import TProtocol

from p2p import Host, open_host
from p2p.addresses import parse_peer
from p2p.netstream import NetByteStream
from wire.errors import RemoteError
from wire.keys import NodeKey
from wire.network import Network

from .mutations import Mutator
from .seeds import for_protocol

AT_ONCE = 32  # streams
LISTEN = 0.02  # seconds that an answer is waited for
PATIENCE = 20.0  # seconds for a connection or a stream
IDENTITIES = 2000  # used up on one protocol, at most: a target that refuses all of them takes nothing in any more


@dataclass(frozen=True)
class Fuzzed:
    """What became of one protocol."""

    protocol: str
    inputs: int  # for each of which the target opened a stream
    seconds: float
    identities: int  # that were refused on the way, and one


@dataclass
class Attack:
    """On one target."""

    network: Network
    address: str
    seed: int

    async def protocols(self) -> list[str]:
        """All that the target says it speaks."""
        async with open_host(NodeKey.generate(), self.network, listen=()) as host:
            target = parse_peer(await host.connect([self.address]))
            with trio.fail_after(PATIENCE):
                while not (said := list(map(str, _said(host, target)))):  # noqa: ASYNC110 — identify has no event
                    await trio.sleep(0.05)
            return sorted(said)

    async def on(self, protocol: str, inputs: int) -> Fuzzed:
        """Have so many inputs taken on one protocol. AssertionError when the target takes none any more."""
        mutator = Mutator(for_protocol(protocol, self.network.protocol), Random(f"{self.seed} {protocol}"))
        began, identities, taken = time.monotonic(), 0, 0
        while taken < inputs:
            identities += 1
            assert identities <= IDENTITIES, (
                f"{protocol}: {taken} of {inputs} inputs taken from {IDENTITIES} identities"
            )
            try:
                async with open_host(NodeKey.generate(), self.network, listen=()) as host:
                    await host.connect([self.address], timeout=PATIENCE)
                    taken += await self._until_refused(host, protocol, mutator, inputs - taken)
            except RemoteError:
                await trio.sleep(0.1)
        return Fuzzed(protocol, taken, time.monotonic() - began, identities)

    async def _until_refused(self, host: Host, protocol: str, mutator: Mutator, most: int) -> int:
        """Go on until so many were taken, or this identity is refused or over its rates; how many were taken."""
        target, begun, taken, refused = parse_peer(self.address.rpartition("/")[2]), 0, 0, 0

        async def work() -> None:
            nonlocal begun, taken, refused
            while host.connected() and begun < most and refused < AT_ONCE:
                begun += 1
                if await _say(host, target, protocol, mutator.next()):
                    taken, refused = taken + 1, 0
                else:
                    begun, refused = begun - 1, refused + 1

        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(work)
        return taken


async def _say(host: Host, target: object, protocol: str, data: bytes) -> bool:
    """One input on a stream of its own; whether the target opened one."""
    try:
        with trio.fail_after(PATIENCE):
            stream = NetByteStream(await host._host.new_stream(target, [TProtocol(protocol)]))  # type: ignore[arg-type]
    except Exception:  # the connection went, or the target has too many streams: it is the next one's turn
        await trio.sleep(0.01)
        return False
    try:
        with trio.move_on_after(LISTEN):
            await stream.write(data)
            await stream.close()
            while await stream.read(65536):
                pass
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # it was reset, which is an answer like another
    finally:
        scope = trio.CancelScope(shield=True, deadline=trio.current_time() + 1.0)
        with scope, suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.reset()
    return True


def _said(host: Host, target: object) -> list[str]:
    try:
        return list(host._host.get_peerstore().get_protocols(target))  # type: ignore[arg-type]
    except Exception:  # identify has not come yet
        return []
