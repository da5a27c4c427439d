"""The devnet as it runs: a directory, a port on loopback, and a sequencer that makes a block when there is a reason.

One task at a time touches the chain, and none of them waits while it does, so nothing here needs a lock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmdb
import trio
from eth.exceptions import HeaderNotFound

from . import jsonrpc
from .disk import Disk
from .errors import DevnetError, RpcError, Unstorable
from .faucet import GIFT, SUPPLY, Faucet, address_of, faucet_key
from .http import serve_http
from .ledger import CHAIN_ID, Ledger
from .methods import Methods

if TYPE_CHECKING:
    from trio_typing import TaskStatus

log = logging.getLogger("hallmark.devnet")

HOST = "127.0.0.1"
WARNING = "A single sequencer without consensus, for demos and tests: its ether and tokens are worth nothing."
_AGAIN = 1.0  # seconds until a block is tried again that the disk did not take


@dataclass(frozen=True)
class Settings:
    """How a devnet runs. `port` 0 takes a free one; `block_time`: seconds between blocks at least, while there are
    transactions; `idle`: seconds after which an empty one comes, so that time passes; `fund`: accounts that have
    ether from the start; `cheats`: what only tests may (methods.py); `behind`: seconds by which its clock is late, so
    that time may be turned forward and is not ahead of everybody else's."""

    directory: Path
    port: int = 0
    block_time: float = 0.2
    idle: float = 5.0
    fund: tuple[bytes, ...] = ()
    cheats: bool = False
    behind: int = 0


@dataclass(frozen=True)
class Running:
    """A devnet that answers."""

    url: str
    chain_id: int
    faucet: bytes
    block: int


async def serve(settings: Settings, *, task_status: TaskStatus[Running] = trio.TASK_STATUS_IGNORED) -> None:
    """Run until cancelled. DevnetError when the directory or the port cannot be had."""
    secret = faucet_key(settings.directory)
    disk = Disk(settings.directory)
    try:
        ledger, faucet = _open(settings, disk, secret)
        methods = Methods(ledger, faucet, cheats=settings.cheats)
        listener = await _listen(settings.port)
        sequencer = _Sequencer(ledger, methods, settings)

        def call(name: str, given: Sequence[Any]) -> Any:
            result = methods.call(name, given)
            sequencer.look()
            return result

        async def answer(body: bytes) -> bytes:
            return await jsonrpc.answer(body, call)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_http, listener, answer)
            nursery.start_soon(sequencer.run)
            port = listener.socket.getsockname()[1]
            task_status.started(Running(f"http://{HOST}:{port}", CHAIN_ID, faucet.address, ledger.number))
    finally:
        disk.close()


@asynccontextmanager
async def devnet_here(settings: Settings) -> AsyncIterator[Running]:
    """A devnet inside this process, for tests: it starts in a tenth of the time, and waits while they compute."""
    failed: Exception | None = None
    async with trio.open_nursery() as nursery:
        running = await nursery.start(serve, settings)
        try:
            yield running
        except Exception as error:  # the block's own, which a group would hide
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


class _Sequencer:
    """Makes blocks: `block_time` after the last when a transaction waits, `idle` after it when none does."""

    def __init__(self, ledger: Ledger, methods: Methods, settings: Settings) -> None:
        self._ledger, self._methods, self._settings = ledger, methods, settings
        self._came = trio.Event()
        self._seen = 0

    def look(self) -> None:
        """Something was called: perhaps a transaction came."""
        if self._ledger.pool.came != self._seen:
            self._seen = self._ledger.pool.came
            self._came.set()

    async def run(self) -> None:
        """Until cancelled."""
        last = trio.current_time()
        while True:
            due = self._methods.automatic and self._ledger.due()
            wait = last + (self._settings.block_time if due else self._settings.idle) - trio.current_time()
            if wait > 0:
                await self._wait(wait, due)
                continue
            if self._methods.automatic and not self._seal():
                await trio.sleep(_AGAIN)
                continue
            last = trio.current_time()
            await trio.lowlevel.checkpoint()

    async def _wait(self, seconds: float, due: bool) -> None:
        if due:
            await trio.sleep(seconds)
            return
        with trio.move_on_after(seconds):
            await self._came.wait()
        self._came = trio.Event()

    def _seal(self) -> bool:
        before = self._ledger.broken
        try:
            self._ledger.seal()
        except Unstorable as error:
            if not before:
                log.error("No block could be written. %s", error)
            return False
        except Exception:  # whatever it was, what is there can still be read
            log.exception("No block could be made.")
            return False
        if before:
            log.warning("Blocks can be written again.")
        return True


def _open(settings: Settings, disk: Disk, secret: bytes) -> tuple[Ledger, Faucet]:
    try:
        balances = dict.fromkeys(settings.fund, GIFT) | {address_of(secret): SUPPLY}
        ledger = Ledger(disk, lambda: time.time() - settings.behind, balances)
        faucet = Faucet(secret, ledger)
        for account in settings.fund:
            if ledger.balance(account) == 0:
                faucet.give(account)
        while ledger.due():
            ledger.seal()
    except (Unstorable, lmdb.Error, HeaderNotFound, RpcError) as error:
        raise DevnetError(
            f"The chain in {settings.directory} cannot be opened: {error}. Move the directory away to start anew."
        ) from error
    return ledger, faucet


async def _listen(port: int) -> trio.SocketListener:
    try:
        (listener,) = await trio.open_tcp_listeners(port, host=HOST)
    except OSError as error:
        raise DevnetError(f"Port {port} on {HOST} cannot be had: {error.strerror}. Choose another one.") from error
    return listener
