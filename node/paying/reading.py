"""What the chain says of payment channels, and of the prices around them."""

from __future__ import annotations

from collections.abc import Iterable

from settle.chain import Chain
from settle.replies import number
from wire.books import Deposit
from wire.canonical import Amount

EVENTS = ("Deposited", "Claimed", "WithdrawInitiated", "Withdrawn", "Refunded")


async def read_deposit(chain: Chain, channel: bytes, block: int | None = None) -> Deposit:
    """A channel as of a block, or of the newest that is relied on. ChainError."""
    if block is None:
        block = (await chain.head()).number
    place = chain.spec.channels, "Channels"
    state = await chain.call(*place, "channels", channel, block=block)
    pending = await chain.call(*place, "pendingWithdrawals", channel, block=block)
    return Deposit(
        balance=Amount(state["balance"]),
        claimed=Amount(state["totalClaimed"]),
        withdrawing=Amount(pending["amount"]),
        since=pending["initiatedAt"],
        block=block,
    )


async def changed_since(chain: Chain, since: int, until: int) -> Iterable[bytes]:
    """The channels that anything happened to in these blocks, both included. ChainError."""
    if since > until:
        return ()
    events = await chain.logs(chain.spec.channels, "Channels", EVENTS, since, until)
    return {bytes(event.values["channelId"]) for event in events}


async def read_till(chain: Chain, node: bytes) -> bytes:
    """Where a node's channels pay to. ChainError."""
    return bytes(await chain.call(chain.spec.epochs, "Epochs", "tillOf", node))


async def read_gas_price(chain: Chain) -> int:
    """Wei for one unit of gas now. ChainError."""
    return number(await chain.rpc.call("eth_gasPrice"), "eth_gasPrice")
