"""The devnet's faucet: the account that all ether begins with, and who asks it gets some.

Its key is made at the first start, in the devnet's directory (0600). Beside ether it hands out one token, once it was
told which (`hallmark_token`) and holds some of it: whoever deploys the contracts gives it a part of the supply.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from eth.vm.forks.cancun.transactions import CancunTransactionBuilder
from eth_keys.datatypes import PrivateKey
from eth_typing import Address

from wire.files import replace_file

from ..abi import Interface
from .engine import Call
from .errors import SERVER, DevnetError, RpcError
from .ledger import CHAIN_ID, Ledger

ETHER = 10**18
SUPPLY = 10**9 * ETHER  # wei, in the first block
GIFT = 100 * ETHER  # wei to who asks
TOKENS = 10_000 * 10**18  # of the token, in its smallest unit
TIP = 10**9


def faucet_key(directory: Path) -> bytes:
    """The faucet's secret key, 32 bytes, made where there is none. DevnetError for a file that holds none."""
    file = directory / "faucet.key"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            secret = secrets.token_bytes(32)
            replace_file(file, f"{secret.hex()}\n".encode())
        secret = bytes.fromhex(file.read_text().strip())
    except (OSError, ValueError) as error:
        raise DevnetError(f"{file} cannot be used: {error}. Move {directory} away to start anew.") from error
    if len(secret) != 32:
        raise DevnetError(f"{file} holds no key. Move {directory} away to start anew.")
    return secret


def address_of(secret: bytes) -> bytes:
    """A secret key's account."""
    return bytes(PrivateKey(secret).public_key.to_canonical_address())


class Faucet:
    """Sends from its account, like anybody else: by transactions that wait for the next block."""

    def __init__(self, secret: bytes, ledger: Ledger) -> None:
        self.address = address_of(secret)
        self._key = PrivateKey(secret)
        self._ledger = ledger

    @property
    def token(self) -> bytes | None:
        """The token that it hands out, if it was told."""
        return self._ledger.noted("token")

    def give(self, to: bytes) -> list[bytes]:
        """Ether, and tokens where it has some, to an account; the transactions' hashes."""
        sent = [self._send(to, GIFT, b"", 21_000)]
        token = self.token
        if token is not None and self._holds(token) >= TOKENS:
            data = Interface.of("HallmarkToken").call("transfer", to, TOKENS)
            sent.append(self._send(token, 0, data, 300_000))
        return sent

    def hand_out(self, token: bytes) -> None:
        """From now on give this token too. RpcError when the faucet holds none of it."""
        if self._holds(token) < TOKENS:
            raise RpcError(SERVER, f"send the faucet, 0x{self.address.hex()}, some of this token first")
        self._ledger.note("token", token)

    def _holds(self, token: bytes) -> int:
        call = Call(to=token, data=Interface.of("HallmarkToken").call("balanceOf", self.address))
        return int.from_bytes(self._ledger.ask(self._ledger.number, call)[:32], "big")

    def _send(self, to: bytes, value: int, data: bytes, gas: int) -> bytes:
        unsigned = CancunTransactionBuilder.new_unsigned_dynamic_fee_transaction(
            chain_id=CHAIN_ID, nonce=self._ledger.nonce(self.address, pending=True), max_priority_fee_per_gas=TIP,
            max_fee_per_gas=2 * self._ledger.base_fee + TIP, gas=gas, to=Address(to), value=value, data=data,
            access_list=[],
        )  # fmt: skip
        return self._ledger.submit(unsigned.as_signed_transaction(self._key).encode())
