"""A peer's chain, and the account that pays from here. A peer starts, answers and proves without either."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from settle.chain import Chain, ChainError, Sender, open_chain, open_sender
from wire.keys import NodeKey

from ..errors import CommandError, Exit
from ..local import Local
from .wallets import account_file, no_account


class Purse(Protocol):
    """What an operation needs that deals with money and not with peers. A running `Peer` is one."""

    @property
    def local(self) -> Local: ...
    @property
    def chain(self) -> Chain | None: ...
    @property
    def sender(self) -> Sender | None: ...


@dataclass(frozen=True)
class OpenPurse:
    """The purse of a command that needs no peer."""

    local: Local
    chain: Chain | None
    sender: Sender | None


@asynccontextmanager
async def open_purse(local: Local, key: NodeKey | None) -> AsyncIterator[OpenPurse]:
    """The network's chain, where it has one, and the transactions of the account with this key.

    Opens although the chain is down; CommandError when its RPCs are none, or of another chain.
    """
    spec = local.network.chain
    if spec is None:
        yield OpenPurse(local, None, None)
        return
    async with AsyncExitStack() as opened:
        try:
            chain = await opened.enter_async_context(open_chain(spec, local.network.domain, local.config.rpcs))
        except ChainError as error:
            raise CommandError(Exit.CONFIG, str(error), "Correct `rpcs` (config.toml, or the network file).") from error
        sender = None
        if key is not None:
            sender = await opened.enter_async_context(open_sender(chain, key, local.store.transactions))
        yield OpenPurse(local, chain, sender)


def the_chain(purse: Purse) -> Chain:
    """The purse's chain; CommandError where its network has none."""
    if purse.chain is None:
        name = purse.local.network.name
        raise CommandError(
            Exit.CONFIG, f"network {name!r} has no chain: nothing is paid on it", "See: hallmark chain deploy --help"
        )
    return purse.chain


def the_sender(purse: Purse) -> Sender:
    """What sends from the purse's account; CommandError where none is unlocked here."""
    the_chain(purse)
    if purse.sender is not None:
        return purse.sender
    name = purse.local.config.account
    if not account_file(purse.local.directory, name).exists():
        raise no_account(name)
    raise CommandError(
        Exit.CONFIG,
        f"account {name!r} is locked in the node that runs here",
        "Start it with what unlocks it: hallmark serve --passphrase-file FILE",
    )
