"""The faucet: ether for everybody, tokens once it was told of some and holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from settle.abi import Interface
from settle.artefacts import artefact
from settle.devnet import DevnetError, bounds
from settle.devnet.errors import RpcError
from settle.devnet.faucet import GIFT, TOKENS, Faucet, faucet_key
from settle.devnet.ledger import Ledger
from settle.devnet.methods import Methods

from .scenes import FAUCET, address, chain, secret, signed

TOKEN = Interface.of("HallmarkToken")
NOBODY = bytes.fromhex("77" * 20)


@dataclass
class Street:
    """A chain whose faucet is account 5, and a token whose supply is account 1's."""

    ledger: Ledger
    methods: Methods
    token: bytes

    def call(self, name: str, *given: Any) -> Any:
        """A method's result."""
        return self.methods.call(name, given)

    def tokens(self, of: bytes) -> int:
        """An account's."""
        question = {"to": "0x" + self.token.hex(), "data": "0x" + TOKEN.call("balanceOf", of).hex()}
        return int(self.call("eth_call", question), 16)


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    with chain(tmp_path) as ledger:
        code = artefact("HallmarkToken").bytecode + TOKEN.constructor("OPG", "OPG", address(1))
        name = ledger.submit(signed(ledger, 1, data=code, gas=5_000_000))
        ledger.seal()
        receipt = ledger.receipt(name)
        assert receipt is not None
        token = bytes.fromhex(receipt["contractAddress"][2:])
        yield Street(ledger, Methods(ledger, Faucet(secret(FAUCET), ledger), cheats=False), token)


def test_ether_for_who_asks(street: Street) -> None:
    (name,) = street.call("hallmark_fund", "0x" + NOBODY.hex())
    street.ledger.seal()
    assert street.call("eth_getTransactionReceipt", name)["status"] == "0x1"
    assert street.ledger.balance(NOBODY) == GIFT


def test_several_in_one_block(street: Street) -> None:
    for other in range(10):
        street.call("hallmark_fund", "0x" + bytes([other + 1] * 20).hex())
    street.ledger.seal()
    assert all(street.ledger.balance(bytes([other + 1] * 20)) == GIFT for other in range(10))


def test_tokens_too_once_it_has_some(street: Street) -> None:
    token = "0x" + street.token.hex()
    with pytest.raises(RpcError, match="send the faucet"):
        street.call("hallmark_token", token)
    assert street.call("hallmark_faucet")["token"] is None
    gift = TOKEN.call("transfer", address(FAUCET), TOKENS)
    street.ledger.submit(signed(street.ledger, 1, street.token, data=gift))
    street.ledger.seal()
    assert street.call("hallmark_token", token) is True
    assert street.call("hallmark_faucet") == {
        "address": "0x" + address(FAUCET).hex(), "ether": hex(GIFT), "token": token, "tokens": hex(TOKENS),
    }  # fmt: skip
    for name in street.call("hallmark_fund", "0x" + NOBODY.hex()):
        assert name
    street.ledger.seal()
    assert (street.tokens(NOBODY), street.ledger.balance(NOBODY)) == (TOKENS, GIFT)
    assert len(street.call("hallmark_fund", "0x" + NOBODY.hex())) == 1  # it has no more tokens: ether alone


def test_the_token_is_remembered(tmp_path: Path) -> None:
    with chain(tmp_path) as ledger:
        ledger.note("token", NOBODY)
    with chain(tmp_path) as ledger:
        assert Faucet(secret(FAUCET), ledger).token == NOBODY


@pytest.mark.parametrize("written", ["", "abc", "00" * 31, "zz" * 32])
def test_a_key_that_is_none_is_told(tmp_path: Path, written: str) -> None:
    (tmp_path / "faucet.key").write_text(written)
    with pytest.raises(DevnetError, match="start anew"):
        faucet_key(tmp_path)


def test_logs_have_a_bound(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        street.ledger.submit(signed(street.ledger, 1, street.token, data=TOKEN.call("transfer", address(2), 1)))
    street.ledger.seal()
    every = {"fromBlock": "0x0", "toBlock": "latest"}
    assert len(street.call("eth_getLogs", every)) == 4
    monkeypatch.setattr(bounds, "MAX_LOGS", 3)
    with pytest.raises(RpcError, match="more than 3 results"):
        street.call("eth_getLogs", every)
    monkeypatch.setattr(bounds, "MAX_LOG_BLOCKS", 2)
    with pytest.raises(RpcError, match="max block range 2"):
        street.call("eth_getLogs", every)
