"""Paid answers, made of nothing: receipt files that hold on any network whose verifiers have the keys of `scenes`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from tests.verify.scenes import Scene, key_of
from wire.canonical import Amount
from wire.eip712 import keccak256
from wire.inference import SignedReceipt, SignedRequest
from wire.keys import NodeKey
from wire.network import Network


@dataclass(frozen=True)
class Deal(Scene):
    """One answer of `who` on network `on`, finished at `at_ms`."""

    on: Network = field(kw_only=True)
    at_ms: int = field(kw_only=True)
    number: int = 0
    price: int = 10_000
    who: str = "provider"
    asker: str = "payer"

    @cached_property
    def network(self) -> Network:
        return self.on

    @property
    def provider(self) -> NodeKey:
        return key_of(self.who)

    @property
    def payer(self) -> NodeKey:
        return key_of(self.asker)

    @cached_property
    def request(self) -> SignedRequest:
        return self.ask(
            nonce=keccak256(b"nonce" + self.number.to_bytes(8, "big")),
            max_price=Amount(self.price),
            issued_ms=self.at_ms - 1_000,
            deadline_ms=self.at_ms + 60_000,
        )

    @cached_property
    def receipt(self) -> SignedReceipt:
        return self.answer(price=Amount(self.price), started_ms=self.at_ms - 10, finished_ms=self.at_ms)
