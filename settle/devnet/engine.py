"""The EVM: makes the next block from a parent and transactions, and answers questions about any block's state.

py-evm with Cancun's rules, used here and nowhere else in the tree. Blocks are executed step by step and not by its
`mine_all`, which runs the transactions under another time than the header then says, and which one bad transaction
ends. Nothing here waits, knows the time or chooses what goes into a block.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import rlp
from eth.abc import BlockAPI, BlockHeaderAPI, ComputationAPI, ReceiptAPI, SignedTransactionAPI, StateAPI
from eth.consensus.context import ConsensusContext
from eth.consensus.noproof import NoProofConsensus
from eth.constants import ZERO_ADDRESS
from eth.db.atomic import AtomicDB
from eth.db.chain import ChainDB
from eth.exceptions import OutOfGas, Revert
from eth.rlp.headers import BlockHeader
from eth.vm.chain_context import ChainContext
from eth.vm.forks.cancun import CancunVM
from eth.vm.forks.cancun.transactions import CancunTransactionBuilder
from eth.vm.spoof import SpoofTransaction
from eth_typing import Address, Hash32
from eth_utils.exceptions import ValidationError

from . import bounds
from .errors import PARAMS, REVERTED, SERVER, Rejected, RpcError

log = logging.getLogger("hallmark.devnet")

Transaction = SignedTransactionAPI
Header = BlockHeaderAPI


class _Vm(CancunVM):
    consensus_class = NoProofConsensus

    @classmethod
    def validate_header(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        # Several blocks may have the same second, as on chains with short blocks: else time would run ahead of the
        # clock as fast as blocks are made, and deadlines with it.
        if header.timestamp == parent_header.timestamp:
            parent_header = parent_header.copy(timestamp=parent_header.timestamp - 1)
        super().validate_header(header, parent_header)


@dataclass(frozen=True)
class Executed:
    """A transaction in a block, and what came of it."""

    transaction: Transaction
    receipt: ReceiptAPI
    computation: ComputationAPI


@dataclass(frozen=True)
class Made:
    """A block, not yet on disk: `dropped` are transactions that could not stand in it, each with the reason."""

    block: BlockAPI
    executed: tuple[Executed, ...]
    dropped: tuple[tuple[Transaction, str], ...]


@dataclass(frozen=True)
class Call:
    """A message that changes nothing. `to` None makes a contract."""

    sender: bytes = bytes(20)
    to: bytes | None = None
    data: bytes = b""
    value: int = 0
    gas: int = bounds.CALL_GAS


class Engine:
    """Over a key-value store; what it writes is for the caller to commit or to discard."""

    def __init__(self, store: AtomicDB, chain_id: int) -> None:
        self.chain_id = chain_id
        self._store = store
        self._db = ChainDB(store)
        self._context = ChainContext(chain_id)

    def genesis(self, balances: dict[bytes, int], timestamp: int) -> Made:
        """The first block: who has how much wei."""
        before = BlockHeader(difficulty=0, block_number=-1, gas_limit=0)
        state = _Vm.build_state(self._store, before, self._context)
        for address, wei in balances.items():
            state.set_balance(Address(address), wei)
        state.persist()
        header = _Vm.create_genesis_header(
            difficulty=0, gas_limit=bounds.BLOCK_GAS, timestamp=timestamp, coinbase=ZERO_ADDRESS, nonce=bytes(8),
            extra_data=b"", mix_hash=bytes(32), state_root=state.state_root, parent_beacon_block_root=bytes(32),
        )  # fmt: skip
        self._store[header.hash] = rlp.encode(header)
        return Made(_Vm.get_block_class()(header, transactions=[], uncles=[], withdrawals=[]), (), ())

    def header(self, block_hash: bytes) -> Header:
        """The header under its hash; KeyError's kin when there is none."""
        return self._db.get_block_header_by_hash(Hash32(block_hash))

    def draft(self, parent: Header, timestamp: int, randomness: bytes) -> Header:
        """The head of the block after `parent`, as its first transaction sees it."""
        header: Header = _Vm.create_header_from_parent(
            parent, timestamp=timestamp, gas_limit=parent.gas_limit, coinbase=ZERO_ADDRESS, mix_hash=randomness,
            parent_beacon_block_root=bytes(32),
        )  # fmt: skip
        return header

    def make(self, parent: Header, transactions: Sequence[Transaction], timestamp: int, randomness: bytes) -> Made:
        """The block after `parent`. A transaction that cannot stand in it is left out and changes nothing."""
        header = self.draft(parent, timestamp, randomness)
        vm = _Vm(header, self._db, self._context, ConsensusContext(self._store))
        executed, dropped = [], []
        for transaction in transactions:
            try:
                receipt, computation = vm.apply_transaction(header, transaction)
            except ValidationError as error:  # it comes before anything is changed
                dropped.append((transaction, str(error)))
                continue
            except Exception as error:  # a fault of the EVM's own: once more from the start, without what met it
                log.exception("a transaction broke the EVM: 0x%s", transaction.hash.hex())
                made = self.make(parent, [t for t in transactions if t is not transaction], timestamp, randomness)
                return replace(made, dropped=(*made.dropped, (transaction, repr(error))))
            header = vm.add_receipt_to_header(header, receipt)
            executed.append(Executed(transaction, receipt, computation))
        filled = vm.set_block_transactions_and_withdrawals(
            vm.get_block(), header, [e.transaction for e in executed], [e.receipt for e in executed]
        )
        block = vm.mine_block(filled).block
        self._store[block.hash] = rlp.encode(block.header)
        return Made(block, tuple(executed), tuple(dropped))

    def base_fee_after(self, header: Header) -> int:
        """Wei a gas that the next block burns."""
        return int(_Vm.create_header_from_parent(header, gas_limit=header.gas_limit).base_fee_per_gas)

    def state(self, header: Header) -> StateAPI:
        """Accounts as the block left them; what is changed in it is forgotten."""
        return _Vm.build_state(self._store, header, self._context)

    def ask(self, header: Header, call: Call) -> bytes:
        """What a call returns after the block, under its number and time. RpcError when it reverts."""
        computation, _ = self._run(header, call)
        _check(computation)
        return bytes(computation.output)

    def estimate(self, header: Header, call: Call) -> int:
        """Gas with which the call goes through, at most 1.5% more than it needs. RpcError when it reverts."""
        computation, used = self._run(header, call)
        _check(computation)
        lower, upper = used, call.gas
        if lower >= upper or not self._run(header, call, lower)[0].is_error:
            return lower
        # A call inside gets 63/64 of what is there, and refunds come at the end: this much is most often enough.
        likely = (used + computation.get_gas_refund() + 2300) * 64 // 63
        if likely < upper and not self._run(header, call, likely)[0].is_error:
            upper = likely
        while upper - lower > max(1, upper * 15 // 1000):
            middle = (upper + lower) // 2
            if self._run(header, call, middle)[0].is_error:
                lower = middle
            else:
                upper = middle
        return upper

    def _run(self, header: Header, call: Call, gas: int | None = None) -> tuple[ComputationAPI, int]:
        free = header.copy(base_fee_per_gas=0)
        vm = _Vm(header, self._db, self._context, ConsensusContext(self._store))
        state = _Vm.build_state(self._store, free, self._context, vm.previous_hashes or ())
        sender = Address(call.sender)
        unsigned = _Vm.create_unsigned_transaction(
            nonce=state.get_nonce(sender), gas_price=0, gas=call.gas if gas is None else gas,
            to=Address(call.to or b""), value=call.value, data=call.data,
        )  # fmt: skip
        transaction: Any = SpoofTransaction(unsigned, from_=sender)
        if transaction.intrinsic_gas > transaction.gas:
            raise RpcError(SERVER, f"intrinsic gas too low: have {transaction.gas}, want {transaction.intrinsic_gas}")
        try:
            computation = state.apply_transaction(transaction)
        except ValidationError as error:
            if state.get_balance(sender) < call.value:
                raise RpcError(SERVER, "insufficient funds for gas * price + value") from error
            raise RpcError(PARAMS, str(error)) from error
        refund = min(computation.get_gas_refund(), (transaction.gas - computation.get_gas_remaining()) // 5)
        return computation, transaction.gas - computation.get_gas_remaining() - refund


def decode_transaction(raw: bytes, chain_id: int) -> Transaction:
    """A signed transaction of this chain's. Rejected for any other bytes."""
    if len(raw) > bounds.MAX_TRANSACTION:
        raise Rejected(f"oversized data: transaction size {len(raw)}, limit {bounds.MAX_TRANSACTION}")
    if raw[:1] == b"\x03":
        raise Rejected("transaction type not supported: blobs")
    try:
        transaction = CancunTransactionBuilder.decode(raw)
        if transaction.encode() != raw:
            raise ValidationError("not in the canonical form")
        transaction.validate()
        transaction.check_signature_validity()
        sender = transaction.sender
    except Exception as error:  # a stranger's bytes: py-evm, rlp and eth-keys raise what they like
        raise Rejected(f"invalid transaction: {str(error)[: bounds.MAX_FIELD]}") from None
    if len(sender) != 20 or transaction.chain_id != chain_id:
        raise Rejected(f"invalid chain id for signer: have {transaction.chain_id}, want {chain_id}")
    if transaction.intrinsic_gas > transaction.gas:
        raise Rejected(f"intrinsic gas too low: have {transaction.gas}, want {transaction.intrinsic_gas}")
    if transaction.gas > bounds.BLOCK_GAS:
        raise Rejected("exceeds block gas limit")
    if transaction.max_priority_fee_per_gas > transaction.max_fee_per_gas:
        raise Rejected("max priority fee per gas higher than max fee per gas")
    return transaction


def _check(computation: ComputationAPI) -> None:
    if not computation.is_error:
        return
    if isinstance(computation.error, Revert):
        data = bytes(computation.output)
        raise RpcError(REVERTED, f"execution reverted{_reason(data)}", "0x" + data.hex())
    if isinstance(computation.error, OutOfGas):
        raise RpcError(SERVER, "out of gas")
    raise RpcError(SERVER, f"{type(computation.error).__name__}: {computation.error}"[:200])


def _reason(data: bytes) -> str:
    """The text of Solidity's `Error(string)`, as a tail to the message."""
    if data[:4] != bytes.fromhex("08c379a0") or len(data) < 68:
        return ""
    length = int.from_bytes(data[36:68], "big")
    text = data[68 : 68 + min(length, 1024)].decode("utf-8", "replace")
    return ": " + "".join(c if c.isprintable() else "\ufffd" for c in text)
