"""What an account earned and spent, and what a network's fees are worth: a machine from the chain's events alone.

Whoever reads the same events comes to the same figures. Fees are what channels paid to providers' tills. What an owner
pays to its own node is self-dealing, and kept apart; incentives are what is not paid by users, and there are none yet.
What a node is rewarded with goes to its owner's account (the commission) and to all who stand behind it: the owner's
part of that, and a delegator's, is earned and stays at stake.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wire.settlement import Share

from .abi import Event

EVENTS = {  # what has to be read of each contract, from the network's first block on
    "Registry": ("Registered", "Bonded", "Unbonding", "Withdrawn", "Slashed", "Rewarded"),
    "Channels": ("Deposited", "Claimed"),
    "Epochs": ("Opened", "Paid", "Finalised", "Swept"),
}
SOURCES = ("provider", "publisher", "verifier", "settler", "hub", "delegation", "treasury", "reports", "gifts")
_OF_ROLE = {
    Share.PROVIDER: "provider", Share.UNRECEIPTED: "provider", Share.PUBLISHER: "publisher",
    Share.VERIFIER: "verifier", Share.HUB: "hub", Share.SETTLER: "settler",
}  # fmt: skip

Place = tuple[str, int]  # a source and an epoch


@dataclass
class Pool:
    """What stands behind one node, in shares by holder: those that earn, and those that are leaving."""

    staying: Counter[bytes] = field(default_factory=Counter)
    leaving: Counter[bytes] = field(default_factory=Counter)

    def part(self, amount: int, holder: bytes) -> int:
        """The holder's part of a reward."""
        return _part(amount, self.staying[holder], self.staying.total())

    def loss(self, amount: int, holder: bytes) -> int:
        """The holder's part of what was slashed."""
        shares = self.staying[holder] + self.leaving[holder]
        return _part(amount, shares, self.staying.total() + self.leaving.total())


class Income:
    """`take` every event of `EVENTS` in the chain's order; the sums are of those from block `since` on.

    `tills`: the node whose till an address is. Amounts in the token's smallest unit.
    """

    def __init__(self, owner: bytes, tills: Mapping[bytes, bytes], treasury: bytes, since: int = 0) -> None:
        self._owner, self._tills, self._treasury, self._since = owner, tills, treasury, since
        self._owners: dict[bytes, bytes] = {}
        self._pools: dict[bytes, Pool] = defaultdict(Pool)
        self._unbondings: dict[int, tuple[bytes, bytes, int]] = {}  # node, holder and shares, by number
        self._payers: dict[bytes, bytes] = {}  # of channels
        self._last_paid: Event | None = None
        self.epoch = 0
        self.paid = Counter[Place]()  # to the account
        self.bonded = Counter[Place]()  # added to what it has at stake
        self.spent = Counter[tuple[bytes, int]]()  # claimed of its channels, by provider's node and epoch
        self.self_dealt = Counter[int]()  # of that, what its own nodes got, by epoch
        self.fees = Counter[int]()  # of the whole network
        self.self_dealing = Counter[int]()  # of that, what owners paid to themselves
        self.slashed = 0  # of the account's own, its delegations counted in

    @property
    def nodes(self) -> list[bytes]:
        """The account's."""
        return sorted(node for node, owner in self._owners.items() if owner == self._owner)

    def earned(self, place: Place) -> int:
        """Of one source in one epoch."""
        return self.paid[place] + self.bonded[place]

    def take(self, contract: str, event: Event) -> None:
        """One event of the contract of this name."""
        if take := getattr(self, f"_{contract}_{event.name}".lower(), None):
            take(event.values, event.block >= self._since, event)

    def _registry_registered(self, values: dict[str, Any], _: bool, __: Event) -> None:
        self._owners[values["node"]] = values["owner"]

    def _registry_bonded(self, values: dict[str, Any], _: bool, __: Event) -> None:
        self._pools[values["node"]].staying[values["holder"]] += values["shares"]

    def _registry_unbonding(self, values: dict[str, Any], _: bool, __: Event) -> None:
        node, holder, shares = values["node"], values["holder"], values["shares"]
        self._pools[node].staying[holder] -= shares
        self._pools[node].leaving[holder] += shares
        self._unbondings[values["id"]] = node, holder, shares

    def _registry_withdrawn(self, values: dict[str, Any], _: bool, __: Event) -> None:
        if left := self._unbondings.pop(values["id"], None):
            node, holder, shares = left
            self._pools[node].leaving[holder] -= shares

    def _registry_slashed(self, values: dict[str, Any], counts: bool, _: Event) -> None:
        if not counts:
            return
        if values["reporter"] == self._owner:
            self.paid["reports", self.epoch] += values["reported"]
        self.slashed += self._pools[values["node"]].loss(values["amount"], self._owner)

    def _registry_rewarded(self, values: dict[str, Any], counts: bool, event: Event) -> None:
        place, node = self._reason(values, event), values["node"]
        if not counts:
            return
        source, epoch = place
        if self._owners.get(node) == self._owner:
            self.paid[place] += values["commission"]
        else:
            source = "delegation"
        rest = values["amount"] - values["commission"]
        self.bonded[source, epoch] += self._pools[node].part(rest, self._owner)

    def _reason(self, values: dict[str, Any], event: Event) -> Place:
        """Why a node was rewarded: the payment in the same transaction; a gift where there is none."""
        paid, self._last_paid = self._last_paid, None
        if paid is None or paid.transaction != event.transaction or paid.values["account"] != values["node"]:
            return "gifts", self.epoch
        return _OF_ROLE[Share(paid.values["role"])], paid.values["epoch"]

    def _channels_deposited(self, values: dict[str, Any], _: bool, __: Event) -> None:
        self._payers[values["channelId"]] = values["payer"]

    def _channels_claimed(self, values: dict[str, Any], counts: bool, _: Event) -> None:
        node = self._tills.get(values["receiver"])
        if node is None or not counts:
            return  # a channel of the same contract that is not this network's
        payer, amount = self._payers.get(values["channelId"]), values["amount"]
        own = payer is not None and payer == self._owners.get(node)
        self.fees[self.epoch] += amount
        self.self_dealing[self.epoch] += amount if own else 0
        if payer == self._owner:
            self.spent[node, self.epoch] += amount
            self.self_dealt[self.epoch] += amount if own else 0

    def _epochs_opened(self, values: dict[str, Any], _: bool, __: Event) -> None:
        self.epoch = max(self.epoch, values["epoch"])

    def _epochs_paid(self, values: dict[str, Any], counts: bool, event: Event) -> None:
        self._last_paid = event
        if counts and values["to"] == self._owner:
            self.paid[_OF_ROLE[Share(values["role"])], values["epoch"]] += values["amount"]

    def _epochs_finalised(self, values: dict[str, Any], counts: bool, _: Event) -> None:
        self._to_treasury(values["epoch"], values["treasury"], counts)

    def _epochs_swept(self, values: dict[str, Any], counts: bool, _: Event) -> None:
        self._to_treasury(values["epoch"], values["amount"], counts)

    def _to_treasury(self, epoch: int, amount: int, counts: bool) -> None:
        if counts and self._treasury == self._owner:
            self.paid["treasury", epoch] += amount


def _part(amount: int, shares: int, of: int) -> int:
    return amount * shares // of if of else 0


@dataclass(frozen=True)
class Health:
    """How much of a network's fees would be there without anybody's help. `external` is F_ext: fees without
    self-dealing and subsidies; `durable` is its share of all fees and of what is emitted besides."""

    fees: int
    self_dealing: int
    subsidised: int
    emitted: int

    @property
    def external(self) -> int:
        return self.fees - self.self_dealing - self.subsidised

    @property
    def durable(self) -> float:
        return self.external / (self.fees + self.emitted) if self.fees + self.emitted else 0.0


def health_of(income: Income) -> Health:
    """The network's, over what was taken. Nothing is subsidised or emitted yet: there is no contract that does."""
    return Health(sum(income.fees.values()), sum(income.self_dealing.values()), 0, 0)
