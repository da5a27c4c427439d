"""An epoch that a network file no longer remembers, read from its chain again: the contracts keep who stood when."""

from __future__ import annotations

import msgspec
import trio

from settle.chain import Chain, open_chain
from settle.registry import registry_of
from settle.stake import Standing, read_opening_at
from wire.network import Network, Registry

from ..errors import CommandError, Exit


async def recall(network: Network, chain: Chain, ms: int) -> Network:
    """The network as of a time (milliseconds UTC), by what the chain says of it alone. CommandError for a time before
    the chain's first epoch, ChainError when it does not answer."""
    head = await chain.head()
    opening = await read_opening_at(chain, ms, head)
    if opening is None:
        raise CommandError(
            Exit.CONFIG,
            f"that was in the epoch that network {network.name!r} began with, which is not the chain's",
            "Use the file that it began with: --network FILE",
        )
    stakes = await Standing(chain).at(opening.block, head)
    registry = registry_of(network, opening, stakes, chain.spec.lead)
    changes = {name: getattr(registry, name) for name in Registry.__struct_fields__}
    return msgspec.structs.replace(network, past=(), **changes)


def recalled(network: Network, rpcs: tuple[str, ...], ms: int) -> Network:
    """The same, with the chain opened for it."""
    spec = network.chain
    if spec is None:
        raise CommandError(Exit.USAGE, f"network {network.name!r} has no chain", "Leave out --chain.")

    async def work() -> Network:
        async with open_chain(spec, network.domain, rpcs) as chain:
            return await recall(network, chain, ms)

    return trio.run(work)
