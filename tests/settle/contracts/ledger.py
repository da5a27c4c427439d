"""All contracts of a network, with settlers, hubs and providers, and the epochs that they settle, rightly or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from settle.lines import Claimed, Settlement, Shares, lines_of
from settle.tree import Tree
from tests.settle.evm import ENGINE, ETHER, Contract, Done
from wire.canonical import Amount
from wire.chain import EPOCH_ROOT
from wire.eip712 import keccak256
from wire.inference import Backend, Receipt, Runtime, SignedReceipt, Usage, sign_receipt
from wire.keys import NodeKey
from wire.payment import ChannelConfig, Voucher, payment_domain, sign_voucher
from wire.settlement import SettlementLine, Share

from .bonds import HUB, PROVIDER, SETTLER, VERIFIER, Bonds, judged
from .court import receipt_of
from .desk import evm_signature, fields

EPOCH, WINDOW, ANSWER = 3600, 1800, 600  # seconds
SLASH = 5_000
DEMAND = 10 * ETHER
SPLIT = {"publisherMax": 2_000, "verifiers": 1_500, "hubs": 500, "treasury": 1_000, "unreceipted": 4_000}
SETTLERS, HUBS, PROVIDERS = (0, 1, 2, 3), (4, 5), (6, 7)  # nodes' numbers
PUBLISHER, TREASURY, CHALLENGER, STRANGER, PAYER = 40, 41, 42, 43, 44  # accounts'
RUNTIME = Runtime(
    profile="exact",
    backend=Backend(name="onnxruntime", version="1", device="cpu", compute_capability=""),
    together=1,
)

Proof = tuple[bytes, ...]


@dataclass(frozen=True)
class Root:
    """Lines, rightly made or not, as a root is posted over them."""

    epoch: int
    lines: tuple[SettlementLine, ...]
    total: int
    receipts: bytes
    count: int

    @cached_property
    def tree(self) -> Tree:
        return Tree.of(self.lines)

    @property
    def values(self) -> tuple[int, bytes, int, int, bytes]:
        """EpochRoot's fields."""
        return self.epoch, self.tree.root, self.count, self.total, self.receipts

    def shown(self, place: int) -> tuple[dict[str, Any], Proof]:
        """The line at this place of the tree, with its proof."""
        return struct(self.lines[place]), self.tree.proof(place)

    def of(self, account: bytes, role: Share) -> list[int]:
        """The places of an account's lines."""
        return [i for i, line in enumerate(self.lines) if (line.account, line.role) == (account, role)]

    def role(self, role: Share) -> list[int]:
        return [i for i, line in enumerate(self.lines) if line.role == role]


def struct(line: SettlementLine) -> dict[str, Any]:
    """The line as contracts take it."""
    return {
        "index": line.index, "account": line.account, "role": line.role, "receipt": line.receipt,
        "amount": line.amount, "sumBefore": line.sum_before,
    }  # fmt: skip


def fit(entries: Iterable[tuple[bytes, Share, bytes, int]]) -> tuple[SettlementLine, ...]:
    """Lines of these entries, in the order given, their sums right."""
    lines, before = [], 0
    for index, (account, role, receipt, amount) in enumerate(entries):
        lines.append(
            SettlementLine(
                index=index, account=account, role=role, receipt=receipt, amount=Amount(amount),
                sum_before=Amount(before),
            )
        )  # fmt: skip
        before += amount
    return tuple(lines)


class Ledger(Bonds):
    """Nodes 0 to 3 are settlers of one stake, 4 and 5 hubs, 6 and 7 providers. Accounts 42 and 43 have tokens."""

    def __init__(self, split: Mapping[str, int] = SPLIT) -> None:
        super().__init__()
        self.channels: Contract = self.evm.deploy("Channels")
        self.evidence = judged(self)
        self.treasury = self.evm.account(TREASURY).address
        self.split = self.evm.deploy("Split", split, self.treasury, self.deployer.address)
        self.terms = (EPOCH, WINDOW, ANSWER, SLASH, DEMAND)
        places = (self.token, self.channels, self.registry, self.evidence, self.split)
        self.epochs = self.evm.deploy("Epochs", *(place.address for place in places), self.terms)
        self.slashers(self.evidence.address, self.epochs.address)
        self.split.send("setEpochs", self.epochs.address)
        for node in SETTLERS:
            self.joined(node, roles=SETTLER | VERIFIER)
        for node in HUBS:
            self.joined(node, roles=HUB)
        for node in PROVIDERS:
            self.register(node, PROVIDER)
        for account in (CHALLENGER, STRANGER):
            key = self.evm.account(account)
            self.token.send("transfer", key.address, 1_000 * ETHER)
            self.token.send("approve", self.epochs.address, 2**256 - 1, by=key)

    def copy(self) -> Ledger:
        """Another one with the same past."""
        other = copy(self)
        other.evm = self.evm.copy()
        for name, value in vars(self).items():
            if isinstance(value, Contract):
                setattr(other, name, Contract(other.evm, value.address, value.interface))
        return other

    @property
    def publisher(self) -> bytes:
        return self.evm.account(PUBLISHER).address

    @property
    def challenger(self) -> NodeKey:
        return self.evm.account(CHALLENGER)

    @property
    def stranger(self) -> NodeKey:
        return self.evm.account(STRANGER)

    # Time and revenue

    def next_epoch(self, by: int = 1) -> int:
        """Goes to the epoch after the current one (or `by` on) and opens it."""
        now = self.epochs.call("current")
        self.evm.forward((now + by) * EPOCH + self.epochs.call("genesis") - self.evm.now - 1)
        self.epochs.send("open")
        return int(self.epochs.call("current"))

    def earn(self, node: int, amount: int) -> int:
        """Brings so much into a node's till and collects it: the epoch that it is counted in."""
        address = self.node(node).address
        self.token.send("transfer", self.epochs.call("tillOf", address), amount)
        return int(self.epochs.send("collect", address).event("Collected").values["epoch"])

    def channel(self, node: int) -> ChannelConfig:
        """The payer's channel to a provider."""
        return ChannelConfig(
            payer=self.evm.account(PAYER).address,
            payer_authorizer=self.node(50).address,
            receiver=self.epochs.call("tillOf", self.node(node).address),
            receiver_authorizer=self.node(node).address,
            token=self.token.address,
            withdraw_delay=3600,
            salt=bytes(32),
        )

    def pay(self, node: int, amount: int) -> None:
        """The whole way: a deposit, a voucher over all of it, and the provider's claim. It is not collected yet."""
        config, payer = self.channel(node), self.evm.account(PAYER)
        domain = payment_domain(self.domain.chain_id, self.channels.address)
        before = self.channels.call("channels", config.id(domain))["totalClaimed"]
        self.token.send("transfer", payer.address, amount)
        self.token.send("approve", self.channels.address, amount, by=payer)
        self.channels.send("deposit", fields(config), amount, by=payer)
        total = before + amount
        voucher = Voucher(channel=config.id(domain), amount=Amount(total))
        signed = sign_voucher(voucher, self.node(50), domain).signature
        entry = ((fields(config), total), signed[:64] + bytes([27 + signed[64]]), total)
        batch = evm_signature(self.node(node), self.channels.call("getClaimBatchDigest", [entry]))
        self.channels.send("claimWithSignature", [entry], batch, by=self.stranger)

    # Receipts

    def receipt(self, node: int, price: int, number: int = 0) -> SignedReceipt:
        """What a provider signed for one answer; `number` makes it another's."""
        name = keccak256(bytes([node]) + number.to_bytes(8, "big"))
        receipt = Receipt(
            chain_id=self.domain.chain_id, request=name, nonce=name, payer=self.node(50).address,
            provider=self.node(node).address, model=name, inputs=name, outputs=name, runtime=RUNTIME, tier="quorum",
            usage=Usage(units=1, tokens_in=2, tokens_out=3, compute_us=4), price=Amount(price), started_ms=number,
            finished_ms=number + 1,
        )  # fmt: skip
        return sign_receipt(receipt, self.node(node), self.domain)

    def claimed(self, signed: SignedReceipt, verifiers: Sequence[int] = (0, 1, 2), royalty: int = 1_000) -> Claimed:
        receipt = signed.receipt
        certified = tuple(self.node(i).address for i in verifiers)
        return Claimed(
            receipt.digest(self.domain), receipt.provider, receipt.price, receipt.finished_ms, self.publisher, royalty,
            certified,
        )  # fmt: skip

    def on_chain(self, signed: SignedReceipt) -> dict[str, Any]:
        """The receipt as contracts take it."""
        return receipt_of(signed.receipt)

    # Roots

    def settlement(self, epoch: int, claims: Iterable[Claimed]) -> Settlement:
        """What honest settlers find, from the chain's own state."""
        at = self.epochs.call("closingOf", epoch)
        nodes = [self.registry.call("nodeAt", i) for i in range(self.registry.call("nodeCount"))]

        def stakes(role: int) -> dict[bytes, int]:
            found = {node: self.registry.call("stakeAt", node, role, at["blockNumber"]) for node in nodes}
            return {node: stake for node, stake in found.items() if stake}

        shares = Shares(*self.split.call("sharesOf", epoch).values())
        revenue = {node: self.epochs.call("revenueOf", epoch, node) for node in nodes}
        beacon = self.epochs.call("beaconOf", at["next"])
        return lines_of(claims, revenue, shares, stakes(SETTLER), stakes(HUB), beacon)

    def honest(self, epoch: int, claims: Iterable[Claimed]) -> Root:
        found = self.settlement(epoch, claims)
        return Root(epoch, found.lines, found.total, found.receipts, len(found.lines))

    def post(self, root: Root, signers: Sequence[int] = SETTLERS) -> Done:
        """By anybody, with these settlers' signatures."""
        return self.post_signed(root, {self.node(i).address: self.sign(root, i) for i in signers})

    def post_signed(self, root: Root, signatures: Mapping[bytes, bytes]) -> Done:
        order = sorted(signatures)
        return self.epochs.send("post", *root.values, order, [signatures[node] for node in order], by=self.stranger)

    def sign(self, root: Root, node: int) -> bytes:
        return self.node(node).sign(EPOCH_ROOT.digest(self.domain, *root.values))

    def forged(
        self, epoch: int, lines: Sequence[SettlementLine], count: int | None = None, total: int | None = None
    ) -> Root:
        """A root over any lines; all settlers sign it, and it is posted."""
        sum_ = lines[-1].sum_before + lines[-1].amount
        root = Root(
            epoch, tuple(lines), sum_ if total is None else total, bytes(32), len(lines) if count is None else count
        )
        self.post(root)
        return root

    def finalise(self, epoch: int) -> Done:
        self.evm.forward(WINDOW + 1)
        return self.epochs.send("finalise", epoch)

    def challenge(self, name: str, *args: Any, by: NodeKey | None = None) -> Done:
        return self.epochs.send(f"challenge{name}", *args, by=by or self.challenger)

    def claim(self, root: Root, first: int, last: int, by: NodeKey) -> Done:
        """The lines from place to place."""
        return self.epochs.send("claim", root.epoch, *root.shown(first), *root.shown(last), by=by)

    def status(self, epoch: int) -> int:
        return int(self.epochs.call("rootOf", epoch)["status"])


@cache
def _made() -> Ledger:
    return Ledger()


def fresh() -> Ledger:
    """As `Ledger()`, and sooner: a copy of one, where the engine can."""
    return _made().copy() if ENGINE == "devnet" else Ledger()
