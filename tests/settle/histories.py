"""Histories of a chain: which epochs were opened in which block, and who had what at stake when. And a `Chain` that
answers from one, as far as some block: what the contracts' views would say there."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from coincurve import PublicKey
from hypothesis import strategies as st

from settle.chain import Block, Unavailable
from wire.chain import ChainSpec
from wire.eip712 import Domain, keccak256
from wire.keys import NodeKey
from wire.network import Network, Verifier

EPOCH = 10  # blocks
SECONDS = 2  # a block
START = 1_800_000_000
ETHER = 10**18

SPEC = ChainSpec(
    rpcs=("http://127.0.0.1:1",), token=b"\x01" * 20, channels=b"\x02" * 20, evidence=b"\x03" * 20,
    split=b"\x04" * 20, epochs=b"\x05" * 20, confirmations=2, from_block=0, lead=6,
)  # fmt: skip
DOMAIN = Domain(chain_id=31337, contract=b"\x06" * 20)


@cache
def key(index: int) -> NodeKey:
    return NodeKey(keccak256(b"an operator" + index.to_bytes(4, "big")))


GENESIS = Network(
    name="town", chain_id=DOMAIN.chain_id, contract=DOMAIN.contract, epoch=0, beacon=b"\x11" * 32, committee_size=3,
    quorum_numerator=2, quorum_denominator=3, verifiers=(Verifier(key=key(0).public, weight=1),), chain=SPEC,
)  # fmt: skip


@dataclass
class History:
    """`opened`: epochs' blocks. `stakes`: in the order of blocks, (block, operator, its stake as a verifier from then
    on). `nodes`: operators in the order in which they registered, each with its block."""

    opened: dict[int, int]
    stakes: list[tuple[int, int, int]]
    nodes: list[tuple[int, int]]
    beacons: dict[int, bytes] = field(default_factory=dict)

    def beacon(self, epoch: int) -> bytes:
        return self.beacons.get(epoch, keccak256(b"beacon" + epoch.to_bytes(8, "big")))

    def at(self, block: int) -> dict[int, int]:
        """Who stood at the end of a block."""
        found: dict[int, int] = {}
        for since, operator, stake in self.stakes:
            if since <= block:
                found[operator] = stake
        return {operator: stake for operator, stake in found.items() if stake}


@dataclass
class Told:
    """A `Chain` over a history; `newest` is its newest block, `down` makes every call fail."""

    history: History
    newest: int = 0
    down: bool = False
    calls: int = 0
    spec: ChainSpec = SPEC
    domain: Domain = DOMAIN

    async def head(self) -> Block:
        return await self.block(max(0, self.newest - self.spec.confirmations))

    async def block(self, number: int) -> Block:
        self._ask(number)
        return Block(number, keccak256(number.to_bytes(8, "big")), START + number * SECONDS)

    async def call(self, contract: bytes, interface: str, function: str, *args: Any, block: int | None = None) -> Any:
        assert block is not None
        self._ask(block)
        history = self.history
        if interface == "Epochs":
            assert contract == SPEC.epochs
            match function:
                case "current":
                    return block // EPOCH
                case "genesis":
                    return START
                case "epochSeconds":
                    return EPOCH * SECONDS
            (epoch,) = args
            opened = history.opened.get(epoch, 0)
            opened = opened if opened <= block else 0
            match function:
                case "openedBlock":
                    return opened
                case "openedAt":
                    return START + opened * SECONDS if opened else 0
                case "beaconOf":
                    return history.beacon(epoch) if opened else bytes(32)
        assert contract == DOMAIN.contract
        nodes = [key(operator) for operator, since in history.nodes if since <= block]
        match function, *args:
            case "nodeCount", *_:
                return len(nodes)
            case "nodeAt", index:
                return nodes[index].address
            case "keyOf", address:
                return next(n.public[1:] for n in nodes if n.address == address)
            case "totalAt", 2, past:
                assert past < block, "a block is past only when another one stands on it"
                return sum(history.at(past).values())
            case "stakeAt", address, 2, past:
                assert past < block
                return next((s for o, s in history.at(past).items() if key(o).address == address), 0)
        raise AssertionError(function)

    def _ask(self, block: int) -> None:
        self.calls += 1
        if self.down or block > self.newest:
            raise Unavailable("no RPC answers")


@st.composite
def histories(draw: st.DrawFn, epochs: int = 8) -> History:
    """Up to `epochs` epochs, some of which nobody opened, and operators that come, grow, shrink and go."""
    opened = {
        epoch: epoch * EPOCH + draw(st.integers(0, EPOCH - 1))
        for epoch in range(1, epochs + 1)
        if draw(st.booleans()) or epoch == 1
    }
    operators = draw(st.permutations(range(6)))
    nodes = sorted(((o, draw(st.integers(1, 4 * EPOCH))) for o in operators), key=lambda n: n[1])
    since = dict(nodes)
    stake = st.one_of(st.just(0), st.integers(1, ETHER), st.integers(1, 2**60 * ETHER))
    changes = draw(st.lists(st.tuples(st.integers(0, epochs * EPOCH), st.integers(0, 5), stake), max_size=20))
    stakes = sorted((max(block, since[o]), o, s) for block, o, s in changes)
    return History(opened, stakes, nodes)


def compressed_points(node: NodeKey) -> tuple[bytes, bytes]:
    """A node's key as the registry has it: x, and its address."""
    point = PublicKey(node.public).format(compressed=False)
    return point[1:33], keccak256(point[1:])[12:]
