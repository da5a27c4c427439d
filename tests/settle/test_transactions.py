"""A transaction's bytes, hash and contract are those that an independent implementation makes."""

from __future__ import annotations

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from settle.transactions import Transaction, created_by, hash_of
from wire.keys import NodeKey

uint = st.integers(0, 2**64 - 1)


@given(
    st.binary(min_size=32, max_size=32).filter(lambda b: 0 < int.from_bytes(b, "big") < 2**255),
    st.builds(
        Transaction,
        chain_id=st.integers(1, 2**63 - 1),
        nonce=uint,
        to=st.just(b"") | st.binary(min_size=20, max_size=20),
        value=st.integers(0, 2**128 - 1),
        data=st.binary(max_size=300),
        gas=uint,
        cap=uint,
        tip=uint,
    ),
)
def test_it_is_what_eth_account_signs(secret: bytes, made: Transaction) -> None:
    raw = made.sign(NodeKey(secret))
    theirs = Account.sign_transaction(
        {
            "type": 2,
            "chainId": made.chain_id,
            "nonce": made.nonce,
            "to": made.to,
            "value": made.value,
            "data": made.data,
            "gas": made.gas,
            "maxFeePerGas": made.cap,
            "maxPriorityFeePerGas": made.tip,
        },
        secret,
    )
    assert raw == bytes(theirs.raw_transaction)
    assert hash_of(raw) == bytes(theirs.hash)


@pytest.mark.parametrize(
    ("nonce", "contract"),  # the first contracts of anvil's and Hardhat's first account
    [(0, "5fbdb2315678afecb367f032d93f642f64180aa3"), (1, "e7f1725e7734ce288f8367e1bb143e90bb3f0512")],
)
def test_where_a_contract_will_stand(nonce: int, contract: str) -> None:
    account = bytes.fromhex("f39fd6e51aad88f6f4ce6ab8827279cfffb92266")
    assert created_by(account, nonce).hex() == contract
