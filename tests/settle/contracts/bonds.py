"""A registry with a token, as tests of bonds need them: nodes, their owners, and two accounts that may slash."""

from __future__ import annotations

from typing import Any

from coincurve import PublicKey

from settle.artefacts import Artefact
from tests.settle.evm import CHAIN_ID, ETHER, Contract, Done, Evm
from wire.chain import BIND
from wire.eip712 import Domain
from wire.keys import NodeKey

PROVIDER, VERIFIER, SETTLER, HUB = ROLES = (1, 2, 4, 8)
DAY = 86_400
PARAMETERS: dict[str, Any] = {
    "unbondingSeconds": 7 * DAY, "jailSeconds": DAY, "reporterBps": 2_000, "rest": bytes(20),
    "providerBond": 100 * ETHER, "verifierBond": 200 * ETHER, "settlerBond": 300 * ETHER, "hubBond": 50 * ETHER,
}  # fmt: skip
BURNED = bytes.fromhex("000000000000000000000000000000000000dead")


def bind(node: NodeKey, owner: bytes, deadline: int, domain: Domain) -> bytes:
    """The node's word that this is its owner."""
    return node.sign(BIND.digest(domain, node.address, owner, deadline))


def uncompressed(public: bytes) -> bytes:
    """x and y, 64 bytes."""
    return PublicKey(public).format(compressed=False)[1:]


class Bonds:
    """A fresh chain. Account 0 deploys and has all tokens; node i is account 100 + i and belongs to account 10 + i."""

    def __init__(self, hostile: Artefact | None = None, **changes: Any) -> None:
        """`hostile`: another token, which anybody mints."""
        self.evm = Evm()
        self.deployer = self.evm.account(0)
        if hostile:
            self.token: Contract = self.evm.deploy(hostile)
            self.token.send("mint", self.deployer.address, 10**9 * ETHER)
        else:
            self.token = self.evm.deploy("HallmarkToken", "Test", "TST", self.deployer.address)
        parameters = PARAMETERS | changes
        self.registry = self.evm.deploy("Registry", self.token.address, parameters, self.deployer.address)
        self.domain = Domain(chain_id=CHAIN_ID, contract=self.registry.address)

    def slashers(self, evidence: bytes, epochs: bytes) -> None:
        self.registry.send("setSlashers", evidence, epochs)

    def owner(self, index: int) -> NodeKey:
        return self.evm.account(10 + index)

    def node(self, index: int) -> NodeKey:
        return self.evm.account(100 + index)

    def register(self, index: int, roles: int = PROVIDER, commission: int = 1_000) -> bytes:
        """Node `index` by its owner; the node's address."""
        return self.enter(self.node(index), self.owner(index), roles, commission)

    def enter(self, node: NodeKey, owner: NodeKey, roles: int, commission: int = 0) -> bytes:
        """This key, registered by this owner; the node's address."""
        deadline = self.evm.now + DAY
        signature = bind(node, owner.address, deadline, self.domain)
        key = uncompressed(node.public)
        self.registry.send("register", key, roles, commission, deadline, signature, by=owner)
        return node.address

    def give(self, to: NodeKey, amount: int) -> None:
        """Tokens, which the registry may take."""
        self.token.send("transfer", to.address, amount)
        self.token.send("approve", self.registry.address, 2**256 - 1, by=to)

    def bond(self, node: bytes, amount: int, by: NodeKey) -> Done:
        """Given to `by` just before."""
        self.give(by, amount)
        return self.registry.send("bond", node, amount, by=by)

    def joined(self, index: int, amount: int = 1_000 * ETHER, roles: int = PROVIDER, commission: int = 1_000) -> bytes:
        """A registered node with its owner's bond."""
        node = self.register(index, roles, commission)
        self.bond(node, amount, self.owner(index))
        return node

    def has(self, address: bytes) -> int:
        """An account's tokens."""
        return int(self.token.call("balanceOf", address))

    def stake(self, node: bytes, role: int) -> int:
        """What counts now."""
        self.evm.mine()
        return int(self.registry.call("stakeAt", node, role, self.evm.block - 1))

    def total(self, role: int) -> int:
        self.evm.mine()
        return int(self.registry.call("totalAt", role, self.evm.block - 1))


RULES: dict[str, Any] = {
    "twoVotesBps": 2_000, "twoCommitsBps": 1_000, "twoReceiptsBps": 3_000, "twoRootsBps": 4_000,
    "wrongAnswerBps": 5_000, "minMembers": 3, "contestSeconds": DAY, "rulingSeconds": 2 * DAY,
}  # fmt: skip


def judged(bonds: Bonds, **changes: Any) -> Contract:
    """Evidence over this registry's nodes. Who may slash is still to be set."""
    return bonds.evm.deploy("Evidence", bonds.registry.address, RULES | changes, bonds.deployer.address)


SOME = b"\x77" * 32  # an evidence's name


def with_slashers() -> Bonds:
    """Accounts 1 and 2 may slash."""
    made = Bonds()
    made.slashers(made.evm.account(1).address, made.evm.account(2).address)
    return made


def slash(bonds: Bonds, node: bytes, bps: int, reporter: int = 50, by: int = 1) -> Any:
    """What the event says of a slash for some evidence."""
    to = bonds.evm.account(reporter).address
    return bonds.registry.send("slash", node, bps, SOME, to, by=bonds.evm.account(by)).event("Slashed").values
