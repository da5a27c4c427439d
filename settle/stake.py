"""Reading who has what at stake, and which epochs were opened: views of the registry and of epochs, at one block.

Views alone, no logs: the contracts keep what was at stake at each block, so a peer that was away for a month asks as
little as one that was away for an hour, and an RPC without old states can answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import trio

from wire.bounds import MAX_EPOCHS
from wire.errors import RecordError

from . import bounds
from .chain import Block, Chain
from .errors import Unavailable
from .registry import Opening, compressed

A = TypeVar("A")
B = TypeVar("B")

PROVIDER, VERIFIER, SETTLER, HUB = 1, 2, 4, 8
ROLE_BITS = {"provider": PROVIDER, "verifier": VERIFIER, "settler": SETTLER, "hub": HUB}


def role_names(bits: int) -> list[str]:
    """The roles in the registry's bits."""
    return [name for name, bit in ROLE_BITS.items() if bits & bit]


async def each(work: Callable[[A], Awaitable[B]], of: Sequence[A]) -> list[B]:
    """`work` of each, several at once, the results in their order. What one of them raises."""
    found: dict[int, B] = {}
    limit = trio.CapacityLimiter(bounds.RPC_CONNECTIONS)

    async def one(place: int, value: A) -> None:
        async with limit:
            found[place] = await work(value)

    failed: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            for place, value in enumerate(of):
                nursery.start_soon(one, place, value)
    except* Exception as errors:
        failed = _first(errors)
    if failed is not None:
        raise failed
    return [found[place] for place in range(len(of))]


def _first(errors: BaseException) -> Exception:
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    assert isinstance(errors, Exception)
    return errors


async def read_openings(chain: Chain, after: int, at: Block) -> list[Opening]:
    """The epochs after number `after` that were opened before block `at`, the oldest first: the newest of them, one
    more than a network file remembers. Epochs that nobody opened are none."""
    epochs = chain.spec.epochs
    newest = int(await chain.call(epochs, "Epochs", "current", block=at.number))

    async def block_of(epoch: int) -> int:
        return int(await chain.call(epochs, "Epochs", "openedBlock", epoch, block=at.number))

    opened: list[tuple[int, int]] = []
    after = max(after, newest - bounds.MAX_EPOCHS_LOOKED)
    for top in range(newest, after, -bounds.RPC_CONNECTIONS):
        some = range(top, max(after, top - bounds.RPC_CONNECTIONS), -1)
        blocks = await each(block_of, some)
        opened += [(epoch, block) for epoch, block in zip(some, blocks, strict=True) if 0 < block < at.number]
        if len(opened) > MAX_EPOCHS:
            break

    async def opening(found: tuple[int, int]) -> Opening:
        epoch, block = found
        beacon = await chain.call(epochs, "Epochs", "beaconOf", epoch, block=at.number)
        opened_at = await chain.call(epochs, "Epochs", "openedAt", epoch, block=at.number)
        return Opening(epoch, bytes(beacon), block, int(opened_at))

    return await each(opening, sorted(opened)[-MAX_EPOCHS - 1 :])


async def read_opening_at(chain: Chain, ms: int, at: Block) -> Opening | None:
    """The opening of the epoch that holds at a time (milliseconds UTC) for those who follow the chain; None where that
    is the network file's own first one, or was before it."""
    epochs = chain.spec.epochs

    async def ask(function: str, *args: Any) -> Any:
        return await chain.call(epochs, "Epochs", function, *args, block=at.number)

    seconds = ms // 1000 - chain.spec.lead
    number = (seconds - int(await ask("genesis"))) // int(await ask("epochSeconds"))
    for epoch in range(min(number, int(await ask("current"))), 0, -1):
        block, opened_at = int(await ask("openedBlock", epoch)), int(await ask("openedAt", epoch))
        if 0 < block < at.number and opened_at <= seconds:
            return Opening(epoch, bytes(await ask("beaconOf", epoch)), block, opened_at)
    return None


@dataclass(frozen=True)
class Operator:
    """One registered node at one block. Amounts in the token's smallest unit, times in seconds UTC.

    `stake` is all that counts behind it: `own`, its owner's, and what others delegated. `unbonding` counts no more, and
    can still be slashed. `active`: the roles whose minimum its own bond reaches, and that it is not jailed out of.
    """

    node: bytes
    owner: bytes
    key: bytes
    roles: int
    active: int
    stake: int
    own: int
    unbonding: int
    commission_bps: int
    jailed_until: int

    @property
    def delegated(self) -> int:
        return self.stake - self.own


async def read_operator(chain: Chain, node: bytes, at: Block) -> Operator | None:
    """One node as it stands at a block; None where it is not registered."""

    async def ask(function: str, *args: Any) -> Any:
        return await chain.call(chain.domain.contract, "Registry", function, *args, block=at.number)

    owner = bytes(await ask("ownerOf", node))
    if owner == bytes(20):
        return None
    bits = list(ROLE_BITS.values())
    active = await each(lambda bit: ask("isActive", node, bit), bits)
    pool = await ask("poolOf", node)
    stake = int(await ask("stakeOf", node))
    try:
        key = compressed(node, bytes(await ask("keyOf", node)))
    except RecordError as error:
        raise Unavailable(str(error)) from error
    return Operator(
        node=node,
        owner=owner,
        key=key,
        roles=int(await ask("rolesOf", node)),
        active=sum(bit for bit, yes in zip(bits, active, strict=True) if yes),
        stake=stake,
        own=int(await ask("worthOf", node, owner)),
        unbonding=int(pool["assets"]) - stake if pool["shares"] else 0,
        commission_bps=int(await ask("commissionOf", node)),
        jailed_until=int(await ask("jailedUntil", node)),
    )


async def read_operators(chain: Chain, at: Block) -> list[Operator]:
    """All that are registered, those with the most at stake first; the first `MAX_OPERATORS` that registered."""
    registry = chain.domain.contract
    count = min(bounds.MAX_OPERATORS, int(await chain.call(registry, "Registry", "nodeCount", block=at.number)))
    nodes = await each(lambda i: chain.call(registry, "Registry", "nodeAt", i, block=at.number), range(count))
    found = await each(lambda node: read_operator(chain, node, at), nodes)
    return sorted((one for one in found if one), key=lambda one: (-one.stake, one.node))


class Standing:
    """Reads the stakes of a role. It remembers nodes and keys, which never change, from one epoch to the next."""

    def __init__(self, chain: Chain, role: int = VERIFIER) -> None:
        self._chain, self._role = chain, role
        self._nodes: list[bytes] = []  # as they registered
        self._stood: dict[bytes, None] = {}  # those that stood when last asked
        self._keys: dict[bytes, bytes] = {}

    async def at(self, block: int, head: Block) -> dict[bytes, int]:
        """What each that stood at the end of `block` had at stake, by 33-byte key, as `head` knows it.

        Once those that stand make up the total, nobody else is asked about: who registers and stakes nothing costs
        others little. Unavailable when they do not make it up.
        """
        total = int(await self._ask(head, "totalAt", self._role, block))
        stakes: dict[bytes, int] = {}
        count, known = int(await self._ask(head, "nodeCount")), 0
        some = list(self._stood)
        while True:
            found = await each(lambda node: self._ask(head, "stakeAt", node, self._role, block), some)
            stakes |= {node: stake for node, stake in zip(some, found, strict=True) if stake > 0}
            if sum(stakes.values()) >= total or known == count:
                break
            first, known = known, min(count, known + bounds.RPC_CONNECTIONS)
            some = [node for node in await self._between(head, first, known) if node not in self._stood]
        if sum(stakes.values()) != total:
            raise Unavailable(f"the stakes at block {block} do not make up their total: the RPC contradicts itself")
        self._stood = dict.fromkeys(stakes)
        keys = await each(lambda node: self._key(head, node), list(stakes))
        return dict(zip(keys, stakes.values(), strict=True))

    async def _between(self, head: Block, first: int, last: int) -> list[bytes]:
        """The nodes from the one that registered as number `first` to before number `last`."""
        new = range(len(self._nodes), last)
        self._nodes += await each(lambda index: self._ask(head, "nodeAt", index), new)
        return self._nodes[first:last]

    async def _key(self, head: Block, node: bytes) -> bytes:
        if node not in self._keys:
            try:
                self._keys[node] = compressed(node, await self._ask(head, "keyOf", node))
            except RecordError as error:
                raise Unavailable(str(error)) from error
        return self._keys[node]

    async def _ask(self, head: Block, function: str, *args: Any) -> Any:
        return await self._chain.call(self._chain.domain.contract, "Registry", function, *args, block=head.number)
