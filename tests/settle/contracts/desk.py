"""Channels with a token, as their tests need it: configs, vouchers and claims in the forms that the contract takes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from settle.artefacts import Artefact
from tests.settle.evm import CHAIN_ID, Contract, Done, Evm
from wire.canonical import Amount
from wire.eip712 import StructType
from wire.keys import NodeKey
from wire.payment import MIN_WITHDRAW_DELAY, ChannelConfig, Voucher, payment_domain, sign_voucher

TEST_CONTRACTS = Path(__file__).parents[3] / "settle" / "contracts" / "test"
MOST = 2**128 - 1  # an amount's bound
DELAY = MIN_WITHDRAW_DELAY
LATER = 2_000_000_000  # seconds, beyond any block here
PERMIT = StructType(
    "Permit", ("address", "owner"), ("address", "spender"), ("uint256", "value"), ("uint256", "nonce"),
    ("uint256", "deadline"),
)  # fmt: skip
EMPTY = {"amount": 0, "initiatedAt": 0}  # no withdrawal


@cache
def for_tests(name: str) -> Artefact:
    """A contract that only tests deploy."""
    data = msgspec.json.decode((TEST_CONTRACTS / f"{name}.json").read_bytes())
    return Artefact(name, tuple(data["abi"]), bytes.fromhex(data["bytecode"][2:]), data["sources"])


def evm_signature(key: NodeKey, digest: bytes) -> bytes:
    """A signature as the EVM takes it: the recovery id counts from 27."""
    signature = key.sign(digest)
    return signature[:64] + bytes([signature[64] + 27])


def fields(config: ChannelConfig) -> tuple[Any, ...]:
    """The struct in its fields' order."""
    return msgspec.structs.astuple(config)


class Desk:
    """A fresh chain with Channels and a token. Account 0 has all tokens and pays, its vouchers are signed by account 1;
    account 2 is the receiver, 3 its authorizer, 4 anybody."""

    def __init__(self, token: str = "HallmarkToken") -> None:
        self.evm = Evm()
        self.payer, self.signer, self.receiver, self.authorizer, self.stranger = map(self.evm.account, range(5))
        if token == "HallmarkToken":
            self.token = self.evm.deploy(token, "Test", "TST", self.payer.address)
        else:
            self.token = self.evm.deploy(for_tests(token))
        self.channels: Contract = self.evm.deploy("Channels")
        self.domain = payment_domain(CHAIN_ID, self.channels.address)
        self.config = ChannelConfig(
            payer=self.payer.address,
            payer_authorizer=self.signer.address,
            receiver=self.receiver.address,
            receiver_authorizer=self.authorizer.address,
            token=self.token.address,
            withdraw_delay=DELAY,
            salt=bytes(32),
        )

    def other(self, **changes: Any) -> ChannelConfig:
        """Another channel: this one's config with some of it changed."""
        return msgspec.structs.replace(self.config, **changes)

    def approve(self, amount: int = MOST, by: NodeKey | None = None) -> None:
        """Lets Channels take tokens."""
        self.token.send("approve", self.channels.address, amount, by=by or self.payer)

    def deposit(self, amount: int, config: ChannelConfig | None = None, by: NodeKey | None = None) -> Done:
        """Into `config`'s channel, or the usual one, approved just before."""
        self.approve(by=by)
        return self.channels.send("deposit", fields(config or self.config), amount, by=by or self.payer)

    def entry(
        self, most: int, total: int | None = None, config: ChannelConfig | None = None, key: NodeKey | None = None
    ) -> tuple[Any, ...]:
        """One voucher with what is claimed of it, by default all."""
        at = config or self.config
        voucher = Voucher(channel=at.id(self.domain), amount=Amount(most))
        signature = sign_voucher(voucher, key or self.signer, self.domain).signature
        signature = signature[:64] + bytes([signature[64] + 27])
        return ((fields(at), most), signature, most if total is None else total)

    def claim(self, *entries: tuple[Any, ...], by: NodeKey | None = None) -> Done:
        """By the receiver's authorizer, unless it says who."""
        return self.channels.send("claim", list(entries), by=by or self.authorizer)

    def claim_signed(self, *entries: tuple[Any, ...], key: NodeKey | None = None) -> Done:
        """By a stranger, with the authorizer's signature over the batch."""
        digest = self.channels.call("getClaimBatchDigest", list(entries))
        signature = evm_signature(key or self.authorizer, digest)
        return self.channels.send("claimWithSignature", list(entries), signature, by=self.stranger)

    def state(self, config: ChannelConfig | None = None) -> tuple[int, int]:
        """What a channel's balance is, and what was claimed of it."""
        state = self.channels.call("channels", (config or self.config).id(self.domain))
        return state["balance"], state["totalClaimed"]

    def pending(self) -> dict[str, int]:
        """The withdrawal that is under way."""
        found: dict[str, int] = self.channels.call("pendingWithdrawals", self.config.id(self.domain))
        return found

    def has(self, address: bytes) -> int:
        """An account's tokens."""
        return int(self.token.call("balanceOf", address))
