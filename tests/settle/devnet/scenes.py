"""A chain in this process without a port: a ledger over a disk, a clock that a test moves, and signed transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eth.vm.forks.cancun.transactions import CancunTransactionBuilder
from eth_keys.datatypes import PrivateKey
from eth_typing import Address

from settle.devnet.disk import Disk
from settle.devnet.faucet import SUPPLY, address_of
from settle.devnet.ledger import CHAIN_ID, Ledger

GWEI, ETHER = 10**9, 10**18
START = 1_800_000_000
FAUCET = 5  # the account that the faucet has here


class Clock:
    """Seconds since 1970, as a test has them."""

    def __init__(self) -> None:
        self.now = float(START)

    def __call__(self) -> float:
        return self.now


def secret(index: int) -> bytes:
    """An account's key; the first four have 100 ether."""
    return bytes([0x21 + index]) * 32


def address(index: int) -> bytes:
    """An account."""
    return address_of(secret(index))


@contextmanager
def chain(path: Path, clock: Clock | None = None) -> Iterator[Ledger]:
    """The chain in a directory, a new one where there is none."""
    disk = Disk(path)
    try:
        balances = {address(i): 100 * ETHER for i in range(4)} | {address(FAUCET): SUPPLY}
        yield Ledger(disk, clock or Clock(), balances)
    finally:
        disk.close()


def signed(
    ledger: Ledger, who: int, to: bytes = b"", *, value: int = 0, data: bytes = b"", nonce: int | None = None,
    gas: int = 200_000, fee: int = 5 * GWEI,
) -> bytes:  # fmt: skip
    """A transaction's bytes. `to` empty makes a contract of `data`."""
    unsigned = CancunTransactionBuilder.new_unsigned_dynamic_fee_transaction(
        chain_id=CHAIN_ID, nonce=ledger.nonce(address(who), pending=True) if nonce is None else nonce,
        max_priority_fee_per_gas=GWEI, max_fee_per_gas=fee, gas=gas, to=Address(to), value=value, data=data,
        access_list=[],
    )  # fmt: skip
    return unsigned.as_signed_transaction(PrivateKey(secret(who))).encode()


def deploy(ledger: Ledger, who: int, runtime: bytes) -> bytes:
    """A contract with this code, in a block; its address."""
    # CODECOPY all that follows these 12 bytes, RETURN it
    start = bytes.fromhex("61") + len(runtime).to_bytes(2, "big") + bytes.fromhex("80600c6000396000f3")
    name = ledger.submit(signed(ledger, who, data=start + runtime, gas=3_000_000))
    ledger.seal()
    receipt = ledger.receipt(name)
    assert receipt is not None
    assert receipt["status"] == "0x1", receipt
    return bytes.fromhex(receipt["contractAddress"][2:])
