"""A peer's network follows its chain while it runs: each epoch that is opened there becomes one of the network file's.

What is known goes on for as long as the chain is silent, or nobody opens an epoch. An epoch counts from a lead after
its opening, so that all peers have heard of it by then; what is in flight is judged by the epoch it began in. The file
in the data directory grows with it, so that a peer starts, and `hallmark verify` works, without the chain.
"""

from __future__ import annotations

import logging
import time

import trio

from settle.chain import Chain, ChainError
from settle.registry import advanced, registry_of
from settle.stake import Standing, read_openings
from wire.errors import RecordError

from ..bounds import CATCH_UP_CHAIN_SECONDS, FOLLOW_SECONDS
from ..errors import CommandError
from ..local import Local, keep_network

log = logging.getLogger("hallmark.chain")


class Following:
    """What is read of the chain for one peer. `run` never ends; `look` is one look."""

    def __init__(self, local: Local, chain: Chain) -> None:
        self._local, self._chain = local, chain
        self._standing = Standing(chain)
        self._silent = False  # whether the last look failed, which is told once

    async def look(self) -> int:
        """Take over the epochs that were opened since; how many there are. ChainError when it cannot be told."""
        network, head = self._local.network, await self._chain.head()
        if network.from_ms > 0:  # not the file's own first one: then the chain has to know it as we do
            await self._agree(head.number)
        openings = await read_openings(self._chain, network.epoch, head)
        if not openings:
            return 0
        lead = self._chain.spec.lead
        registries = [
            registry_of(network, opening, await self._standing.at(opening.block, head), lead) for opening in openings
        ]
        try:
            followed = advanced(network, registries)
        except RecordError as error:
            raise ChainError(f"the chain's epochs do not follow ours: {error}") from error
        if self._local.network is not network:  # a newer file came meanwhile: the next look goes on from that
            return 0
        self._local.follow(followed)
        try:
            await trio.to_thread.run_sync(keep_network, self._local.directory, followed)
        except CommandError as error:
            log.warning("epoch %d holds, and is not saved: %s", followed.epoch, error)
        standing = len(followed.verifiers)
        log.info("epoch %d begins %s with %d verifier(s)", followed.epoch, _when(followed.from_ms), standing)
        if not standing:
            log.warning("nobody has a bond as a verifier in epoch %d: no answer can be judged in it", followed.epoch)
        return len(registries)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        rest = min(FOLLOW_SECONDS[1], max(FOLLOW_SECONDS[0], self._chain.spec.lead / 4))
        while True:
            try:
                await self.look()
            except ChainError as error:
                if not self._silent:
                    log.warning("epoch %d goes on, the chain does not say more: %s", self._local.network.epoch, error)
                self._silent = True
            else:
                if self._silent:
                    log.info("the chain answers again")
                self._silent = False
            await trio.sleep(rest)

    async def catch_up(self) -> None:
        """One look for a command that stays a moment; where the chain is slow or silent, what is known will do."""
        with trio.move_on_after(CATCH_UP_CHAIN_SECONDS):
            try:
                await self.look()
            except ChainError as error:
                log.info("the chain was not asked for epochs: %s", error)

    async def _agree(self, block: int) -> None:
        network = self._local.network
        beacon = bytes(
            await self._chain.call(self._chain.spec.epochs, "Epochs", "beaconOf", network.epoch, block=block)
        )
        if beacon == bytes(32):
            raise ChainError(f"the RPC has not seen epoch {network.epoch} yet, or its chain is another one")
        if beacon != network.beacon:
            raise ChainError(
                f"the chain has another beacon for epoch {network.epoch} than this peer's network file: one of them is "
                f"of another history. If the chain is right, remove networks/{network.name}.toml in the data directory "
                "and start with the file that the network began with"
            )


def _when(ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ms / 1000))
