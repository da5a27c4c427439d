"""A provider that answered one request twice: two receipts of its own, which differ.

An honest one never does, crashes included: it takes each request once, and none that is older than its own start.
"""

from __future__ import annotations

from wire.fraud import TwoReceipts
from wire.keys import show_address
from wire.network import Network

from ..checks import Check, equal


def check(fraud: TwoReceipts, network: Network) -> list[Check]:
    """One request, one provider, two receipts, both signed."""
    first, second = fraud.first.receipt, fraud.second.receipt
    differ = first != second
    checks = [
        equal("request", second.request, first.request, "the two receipts answer different requests"),
        equal("provider", second.provider, first.provider, "the two receipts are of different providers"),
        Check("differ", differ, "the two receipts say different things" if differ else "both receipts are the same"),
    ]
    for name, said in (("first signature", fraud.first), ("second signature", fraud.second)):
        ok = said.is_signed(network.domain)
        wrong = "not the provider's, or not for this network"
        checks.append(Check(name, ok, "the provider's" if ok else wrong))
    return checks


def tell(fraud: TwoReceipts) -> str:
    """What it shows."""
    return f"provider {show_address(fraud.first.receipt.provider)} signed two receipts for one request"
