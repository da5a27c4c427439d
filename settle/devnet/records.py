"""What the chain's readers get: blocks, transactions, receipts and logs as Ethereum's JSON-RPC has them.

Rendered once, when the block is made, and kept so. https://ethereum.github.io/execution-apis
"""

from __future__ import annotations

from typing import Any

import rlp
from eth.abc import BlockAPI

from wire.eip712 import keccak256

from .engine import Executed, Transaction

Json = dict[str, Any]


def quantity(number: int) -> str:
    """A number as JSON-RPC writes it."""
    return hex(number)


def data(octets: bytes) -> str:
    """Bytes as JSON-RPC writes them."""
    return "0x" + octets.hex()


def block_record(block: BlockAPI) -> Json:
    """A block, with its transactions' hashes."""
    header: Any = block.header
    return {
        "number": quantity(header.block_number),
        "hash": data(header.hash),
        "parentHash": data(header.parent_hash),
        "sha3Uncles": data(header.uncles_hash),
        "nonce": data(header.nonce),
        "mixHash": data(header.mix_hash),
        "logsBloom": data(header.bloom.to_bytes(256, "big")),
        "transactionsRoot": data(header.transaction_root),
        "stateRoot": data(header.state_root),
        "receiptsRoot": data(header.receipt_root),
        "miner": data(header.coinbase),
        "difficulty": "0x0",
        "totalDifficulty": "0x0",
        "extraData": data(header.extra_data),
        "size": quantity(len(rlp.encode(block))),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "timestamp": quantity(header.timestamp),
        "baseFeePerGas": quantity(header.base_fee_per_gas),
        "withdrawalsRoot": data(header.withdrawals_root),
        "blobGasUsed": quantity(header.blob_gas_used),
        "excessBlobGas": quantity(header.excess_blob_gas),
        "parentBeaconBlockRoot": data(header.parent_beacon_block_root),
        "uncles": [],
        "withdrawals": [],
        "transactions": [data(t.hash) for t in block.transactions],
    }


def transaction_record(transaction: Transaction, block: BlockAPI | None = None, index: int = 0) -> Json:
    """A transaction, in a block or, with its place null, before it is in one."""
    kind = transaction.type_id or 0
    signed: Any = transaction
    record: Json = {
        "type": quantity(kind),
        "hash": data(signed.hash),
        "nonce": quantity(signed.nonce),
        "blockHash": None if block is None else data(block.hash),
        "blockNumber": None if block is None else quantity(block.number),
        "transactionIndex": None if block is None else quantity(index),
        "from": data(signed.sender),
        "to": data(signed.to) if signed.to else None,
        "value": quantity(signed.value),
        "gas": quantity(signed.gas),
        "gasPrice": quantity(_price(transaction, block)),
        "input": data(signed.data),
        "r": quantity(signed.r),
        "s": quantity(signed.s),
        "v": quantity(signed.y_parity if kind else signed.v),
        "chainId": quantity(signed.chain_id),
    }
    if kind:
        record["yParity"] = quantity(signed.y_parity)
        record["accessList"] = [
            {"address": data(address), "storageKeys": [data(slot.to_bytes(32, "big")) for slot in slots]}
            for address, slots in signed.access_list
        ]
    if kind == 2:
        record["maxFeePerGas"] = quantity(signed.max_fee_per_gas)
        record["maxPriorityFeePerGas"] = quantity(signed.max_priority_fee_per_gas)
    return record


def receipt_record(done: Executed, block: BlockAPI, index: int, used_before: int, first_log: int) -> Json:
    """What came of a transaction. `used_before`: gas of those before it in the block; `first_log`: how many logs."""
    transaction, receipt = done.transaction, done.receipt
    made = None if transaction.to else contract_address(transaction.sender, transaction.nonce)
    place = {
        "transactionHash": data(transaction.hash),
        "transactionIndex": quantity(index),
        "blockHash": data(block.hash),
        "blockNumber": quantity(block.number),
    }
    logs = [
        {
            "address": data(log.address),
            "topics": [data(topic.to_bytes(32, "big")) for topic in log.topics],
            "data": data(log.data),
            "blockTimestamp": quantity(block.header.timestamp),
            "logIndex": quantity(first_log + i),
            "removed": False,
        }
        | place
        for i, log in enumerate(receipt.logs)
    ]
    return place | {
        "type": quantity(transaction.type_id or 0),
        "status": quantity(int.from_bytes(receipt.state_root, "big")),
        "from": data(transaction.sender),
        "to": data(transaction.to) if transaction.to else None,
        "contractAddress": None if made is None else data(made),
        "cumulativeGasUsed": quantity(receipt.gas_used),
        "gasUsed": quantity(receipt.gas_used - used_before),
        "effectiveGasPrice": quantity(_price(transaction, block)),
        "logsBloom": data(receipt.bloom.to_bytes(256, "big")),
        "logs": logs,
    }


def contract_address(sender: bytes, nonce: int) -> bytes:
    """Where the contract stands that this transaction makes."""
    return keccak256(rlp.encode([sender, nonce]))[12:]


def _price(transaction: Transaction, block: BlockAPI | None) -> int:
    if block is None:
        return transaction.max_fee_per_gas
    base = block.header.base_fee_per_gas or 0
    return min(transaction.max_fee_per_gas, base + transaction.max_priority_fee_per_gas)
