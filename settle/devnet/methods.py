"""Every JSON-RPC method of the devnet: https://ethereum.github.io/execution-apis, what tests need, and a faucet.

The names for tests are anvil's, so that one test runs on both. The devnet's own:

hallmark_fund(address) → hashes     ether, and tokens where the faucet has some, to an account
hallmark_token(address) → true      the token that the faucet hands out from now on; it must hold some of it
hallmark_faucet() → {address, ether, token, tokens}    whose account it is, and what it gives each time
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eth_typing import Address

from . import bounds, params
from .errors import METHOD, PARAMS, SERVER, RpcError
from .faucet import GIFT, TOKENS, Faucet
from .ledger import CHAIN_ID, Ledger
from .records import Json, data, quantity

VERSION = "hallmark-devnet/1"
TIP = 10**9  # wei a gas that the devnet advises to offer

Method = Callable[..., Any]


class Methods:
    """`call` runs one. `cheats` adds what only tests may: time, snapshots, blocks on demand."""

    def __init__(self, ledger: Ledger, faucet: Faucet, *, cheats: bool) -> None:
        self.automatic = True  # whether blocks are made without being asked for
        self._ledger, self._faucet = ledger, faucet
        self._every: dict[str, Method] = self._standard() | (self._cheats() if cheats else {})

    def call(self, name: str, given: Sequence[Any]) -> Any:
        """A method's result. RpcError for what is wrong with the call, or refused."""
        method = self._every.get(name)
        if method is None:
            raise RpcError(METHOD, f"Method not found: {name[: bounds.MAX_FIELD]}")
        code = method.__code__
        most = code.co_argcount - (1 if hasattr(method, "__self__") else 0)
        least = most - len(method.__defaults__ or ())
        if not least <= len(given) <= most:
            raise RpcError(PARAMS, f"invalid params: {name} takes {least}" + (f" to {most}" if most > least else ""))
        return method(*given)

    def _standard(self) -> dict[str, Method]:
        return {
            "web3_clientVersion": lambda: VERSION,
            "net_version": lambda: str(CHAIN_ID),
            "net_listening": lambda: True,
            "eth_chainId": lambda: quantity(CHAIN_ID),
            "eth_syncing": lambda: False,
            "eth_accounts": self._accounts,
            "eth_blockNumber": lambda: quantity(self._ledger.number),
            "eth_gasPrice": lambda: quantity(self._ledger.base_fee + TIP),
            "eth_maxPriorityFeePerGas": lambda: quantity(TIP),
            "eth_feeHistory": self._fee_history,
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBalance": self._balance,
            "eth_getCode": self._code,
            "eth_getStorageAt": self._storage,
            "eth_getTransactionCount": self._count,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_sendRawTransaction": self._send,
            "eth_getTransactionByHash": lambda name: self._ledger.transaction(params.word(name)),
            "eth_getTransactionReceipt": lambda name: self._ledger.receipt(params.word(name)),
            "eth_getLogs": self._logs,
            "hallmark_fund": lambda to: [data(sent) for sent in self._faucet.give(params.address(to))],
            "hallmark_token": self._token,
            "hallmark_faucet": self._about_faucet,
        }

    def _cheats(self) -> dict[str, Method]:
        return {
            "evm_mine": self._mine,
            "anvil_mine": self._mine_many,
            "evm_increaseTime": lambda seconds: self._ledger.forward(params.quantity(seconds, "seconds")),
            "evm_setNextBlockTimestamp": self._set_time,
            "evm_setAutomine": self._set_automatic,
            "evm_snapshot": lambda: quantity(self._ledger.snapshot()),
            "evm_revert": lambda number: self._ledger.revert(params.quantity(number, "snapshot")),
            "anvil_reorg": self._reorganise,
            "anvil_dropTransaction": self._drop,
        }

    def _accounts(self) -> list[str]:
        return []  # whose keys it would keep: nobody's

    def _block_by_number(self, number: Any, full: Any = False) -> Json | None:
        return self._whole(self._ledger.block(params.block_number(number, self._ledger)), full)

    def _block_by_hash(self, name: Any, full: Any = False) -> Json | None:
        number = self._ledger.number_of(params.word(name))
        return None if number is None else self._whole(self._ledger.block(number), full)

    def _whole(self, block: Json | None, full: Any) -> Json | None:
        if not isinstance(full, bool):
            raise RpcError(PARAMS, "invalid params: whether transactions are whole is true or false")
        if block is not None and full:
            every = [self._ledger.transaction(bytes.fromhex(name[2:])) for name in block["transactions"]]
            return block | {"transactions": every}
        return block

    def _state(self, block: Any) -> Any:
        return self._ledger.state(params.block_number(block, self._ledger))

    def _balance(self, address: Any, block: Any = None) -> str:
        return quantity(self._state(block).get_balance(params.address(address)))

    def _code(self, address: Any, block: Any = None) -> str:
        return data(self._state(block).get_code(params.address(address)))

    def _storage(self, address: Any, slot: Any, block: Any = None) -> str:
        value = self._state(block).get_storage(Address(params.address(address)), params.quantity(slot, "slot"))
        return data(value.to_bytes(32, "big"))

    def _count(self, address: Any, block: Any = None) -> str:
        account = params.address(address)
        if block == "pending":
            return quantity(self._ledger.nonce(account, pending=True))
        return quantity(self._state(block).get_nonce(account))

    def _call(self, call: Any, block: Any = None) -> str:
        return data(self._ledger.ask(params.block_number(block, self._ledger), params.call(call)))

    def _estimate(self, call: Any, block: Any = None) -> str:
        return quantity(self._ledger.estimate(params.block_number(block, self._ledger), params.call(call)))

    def _send(self, raw: Any) -> str:
        return data(self._ledger.submit(params.octets(raw, "transaction")))

    def _logs(self, wanted: Any) -> list[Json]:
        chosen = params.log_filter(wanted, self._ledger)
        found = []
        for log in self._ledger.logs(chosen.first, chosen.last):
            if chosen.takes(log):
                found.append(log)
                if len(found) > bounds.MAX_LOGS:
                    raise RpcError(-32005, f"query returned more than {bounds.MAX_LOGS} results")
        return found

    def _fee_history(self, count: Any, newest: Any, percentiles: Any = None) -> Json:
        last = params.block_number(newest, self._ledger)
        if last > self._ledger.number:
            raise RpcError(SERVER, "request beyond head block")
        if percentiles is not None and (not isinstance(percentiles, list) or len(percentiles) > 100):
            raise RpcError(PARAMS, "invalid percentiles")
        number = min(params.quantity(count, "count"), bounds.MAX_FEE_BLOCKS, last + 1)
        blocks = [self._ledger.block(n) for n in range(last + 1 - number, last + 1)]
        heads = [block for block in blocks if block is not None]
        following = self._ledger.block(last + 1)
        next_fee = quantity(self._ledger.base_fee) if following is None else following["baseFeePerGas"]
        history: Json = {
            "oldestBlock": quantity(last + 1 - number),
            "baseFeePerGas": [*(head["baseFeePerGas"] for head in heads), next_fee],
            "gasUsedRatio": [int(head["gasUsed"], 16) / int(head["gasLimit"], 16) for head in heads],
            "baseFeePerBlobGas": ["0x1"] * (len(heads) + 1),
            "blobGasUsedRatio": [0.0] * len(heads),
        }
        if percentiles:  # nobody competes for room here: what is advised is what everybody offers
            history["reward"] = [[quantity(TIP)] * len(percentiles) for _ in heads]
        return history

    def _token(self, token: Any) -> bool:
        self._faucet.hand_out(params.address(token))
        return True

    def _about_faucet(self) -> Json:
        token = self._faucet.token
        return {
            "address": data(self._faucet.address),
            "ether": quantity(GIFT),
            "token": None if token is None else data(token),
            "tokens": quantity(TOKENS),
        }

    def _mine(self, timestamp: Any = None) -> str:
        if timestamp is not None:
            self._set_time(timestamp)
        self._ledger.seal()
        return "0x0"

    def _mine_many(self, blocks: Any = 1, interval: Any = 0) -> None:
        between = params.quantity(interval, "interval")
        for number in range(params.quantity(blocks, "blocks", bounds.MAX_MINED)):
            if between and number:
                self._ledger.set_next_time(self._ledger.head.timestamp + between)
            self._ledger.seal()

    def _set_time(self, timestamp: Any) -> None:
        self._ledger.set_next_time(params.quantity(timestamp, "timestamp"))

    def _set_automatic(self, automatic: Any) -> None:
        self.automatic = automatic is True

    def _reorganise(self, depth: Any, transactions: Any = ()) -> None:
        if transactions:
            raise RpcError(PARAMS, "the blocks that come instead are empty here")
        self._ledger.reorganise(params.quantity(depth, "depth"))

    def _drop(self, name: Any) -> str | None:
        return name if self._ledger.pool.drop(params.word(name)) else None
