"""A chain of this process's own, as far as payments ask one: channels, tills, gas, and times at which it is down."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from node.config import Config
from node.local import Local
from node.networkfile import new_network
from settle.abi import Event
from settle.chain import Block, Chain, Done, Refused, Sender, Unavailable
from storage import Store
from tests.settle.channel.scenes import CONFIG, DOMAIN, PROVIDER
from wire.books import Deposit
from wire.canonical import Amount
from wire.chain import ChainSpec
from wire.eip712 import Domain
from wire.keys import NodeKey

SPEC = ChainSpec(
    rpcs=("http://127.0.0.1:1",), token=CONFIG.token, channels=DOMAIN.contract, evidence=b"\1" * 20, split=b"\2" * 20,
    epochs=b"\3" * 20, confirmations=0, from_block=0, lead=1,
)  # fmt: skip
EMPTY = Deposit()


class FakeRpc:
    async def call(self, method: str) -> str:
        assert method == "eth_gasPrice"
        return "0x1"


@dataclass
class FakeChain:
    """`deposits` by channel; `down`: no RPC answers. What `happens` to a channel is in a block of its own."""

    spec: ChainSpec = SPEC
    domain: Domain = field(default_factory=lambda: Domain(chain_id=DOMAIN.chain_id, contract=b"\4" * 20))
    deposits: dict[bytes, Deposit] = field(default_factory=dict)
    down: bool = False
    number: int = 1
    asked: int = 0
    events: list[tuple[int, bytes]] = field(default_factory=list)
    rpc: FakeRpc = field(default_factory=FakeRpc)

    @property
    def as_chain(self) -> Chain:
        return cast(Chain, self)

    def happens(self, channel: bytes, **changes: int) -> None:
        self.number += 1
        was = self.deposits.get(channel, EMPTY)
        fields = {name: changes.get(name, getattr(was, name)) for name in ("balance", "claimed", "withdrawing")}
        amounts = {name: Amount(value) for name, value in fields.items()}
        self.deposits[channel] = Deposit(**amounts, since=int(fields["withdrawing"] > 0), block=self.number)
        self.events.append((self.number, channel))

    def _ask(self) -> None:
        self.asked += 1
        if self.down:
            raise Unavailable("The chain cannot be asked: it is down")

    async def head(self) -> Block:
        self._ask()
        return Block(self.number, self.number.to_bytes(32, "big"), self.number)

    async def call(self, _: bytes, __: str, function: str, *args: Any, block: int | None = None) -> Any:  # noqa: ARG002
        self._ask()
        if function == "tillOf":
            return CONFIG.receiver
        if function == "allowance":
            return 0
        if function == "receivers":
            return {"totalClaimed": 0, "totalSettled": 0}
        state = self.deposits.get(args[0], EMPTY)
        if function == "channels":
            return {"balance": int(state.balance), "totalClaimed": int(state.claimed)}
        assert function == "pendingWithdrawals"
        return {"amount": int(state.withdrawing), "initiatedAt": state.since}

    async def logs(self, _: bytes, __: str, ___: Any, since: int, until: int) -> list[Event]:
        self._ask()
        found = [(block, channel) for block, channel in self.events if since <= block <= until]
        return [Event("Deposited", b"", {"channelId": channel}, block) for block, channel in found]


@dataclass
class FakeSender:
    """An account on a `FakeChain`: its claims count at once, as far as the deposit goes, like the contract's."""

    chain: FakeChain
    address: bytes = CONFIG.payer
    sent: list[str] = field(default_factory=list)
    before: Any = None  # called before a transaction has its effect

    @property
    def as_sender(self) -> Sender:
        return cast(Sender, self)

    async def send(self, purpose: str, _: bytes, __: str, function: str, *args: Any) -> Done:
        if self.before is not None:
            self.before()
        self.chain._ask()
        self.sent.append(function)
        if function == "claimWithSignature":
            for claim in args[0]:
                config = claim["voucher"]["channel"]
                channel = next(c for c in self.chain.deposits if c == _id(config))
                if claim["totalClaimed"] > self.chain.deposits[channel].balance:
                    raise Refused("AboveBalance")
                self.chain.happens(channel, claimed=claim["totalClaimed"])
        if function == "deposit":
            channel = _id(args[0])
            self.chain.happens(channel, balance=self.chain.deposits.get(channel, EMPTY).balance + args[1])
        return Done(purpose.encode()[:32].ljust(32), self.chain.number, 21_000, 21_000, ())


def _id(config: dict[str, Any]) -> bytes:
    from wire.payment import ChannelConfig

    names = ChannelConfig.__struct_fields__
    return ChannelConfig(**dict(zip(names, config.values(), strict=True))).id(DOMAIN)


def local_of(store: Store, key: NodeKey = PROVIDER, **settings: Any) -> Local:
    """As much of a data directory as payments need: its key, its settings, a network with this chain, its store."""
    network = new_network("paid", [PROVIDER.peer_id])
    from msgspec.structs import replace

    network = replace(network, chain_id=DOMAIN.chain_id, chain=SPEC)
    config = Config(**{"withdraw_delay": CONFIG.withdraw_delay, "risk_limit": 100} | settings)
    return Local(cast(Any, Path("/nowhere")), config, key, network, store, cast(Any, None))
