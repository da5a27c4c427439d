"""One account's transactions on a chain: checked first, written down, sent, and watched until they are deep enough.

The decisions are `sending`'s. Many tasks may send at once; each waits for its own. A task that goes away does not take
its transaction with it: what is written down is carried through, also by the next process.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from wire.canonical import decode, encode
from wire.errors import RecordError
from wire.keys import NodeKey, show_address

from . import bounds, interfaces
from .abi import Event
from .artefacts import artefact
from .errors import ChainError, Refused, Unavailable
from .journal import Entry, Journal
from .replies import Log, Mined, number, read_block, read_receipt
from .rpc import Endpoint, RpcError
from .sending import Displace, Fees, Finish, Raise, Send, Sending, View, bearable, displaced, is_pending
from .transactions import Transaction, created_by, hash_of

if TYPE_CHECKING:
    from .chain import Chain

log = logging.getLogger("hallmark.chain")

_SHORT = ("underpriced", "fee too low", "less than block base fee", "fee cap")
_KNOWN = ("already known", "already imported", "known transaction", "nonce too low", "already in mempool")


@dataclass(frozen=True)
class Done:
    """A transaction that had its effect, deep enough to be relied on. `fee` in wei; events are those of the network's
    contracts; `created` is the contract that it deployed."""

    hash: bytes
    block: int
    gas: int
    fee: int
    events: tuple[Event, ...]
    created: bytes = b""


@dataclass
class _Waiting:
    """Somebody waits for a purpose's outcome."""

    over: trio.Event = field(default_factory=trio.Event)
    entry: Entry | None = None
    logs: tuple[Log, ...] = ()


class Sender:
    """Made by `open_sender`. `address` is the account's."""

    def __init__(self, chain: Chain, key: NodeKey, journal: Journal) -> None:
        self.address = key.address
        self._chain = chain
        self._key = key
        self._journal = journal
        self._machine: Sending | None = None
        self._whose = b""
        self._lock = trio.Lock()  # the machine and the journal change together
        self._waiting: dict[str, _Waiting] = {}
        self._depth: dict[str, int] = {}
        self._woken = trio.Event()
        self._room = trio.Event()

    def __repr__(self) -> str:
        return f"Sender({show_address(self.address)})"

    @property
    def pending(self) -> tuple[Entry, ...]:
        """Transactions whose end is not known yet, the lowest nonce first."""
        return self._machine.pending if self._machine else ()

    def depth(self, purpose: str) -> int | None:
        """How many blocks stand on a pending transaction's; None while it is in no block."""
        return self._depth.get(purpose)

    async def send(self, purpose: str, contract: bytes, interface: str, function: str, *args: Any) -> Done:
        """Call a contract's function in a transaction, and return when it is `confirmations` deep.

        The same purpose never has a second effect: where it was sent before, in this process or an earlier one, that
        one is waited for or its outcome returned, whatever the arguments. Refused when the contract would refuse, or
        refused after all; nothing has happened then, and the purpose may be tried again. Unavailable when nothing
        could be sent. A cancellation ends the waiting, not what was sent.
        """
        data = interfaces.interface(interface).call(function, *args)
        return await self._do(purpose, contract, 0, data, f"{interface}.{function}")

    async def transfer(self, purpose: str, to: bytes, value: int) -> Done:
        """Pay `value` wei to an account; otherwise as `send`."""
        return await self._do(purpose, to, value, b"", "a payment")

    async def deploy(self, purpose: str, name: str, *args: Any) -> Done:
        """Put a committed contract on the chain: `Done.created` is where it stands. Otherwise as `send`."""
        data = artefact(name).bytecode + interfaces.interface(name).constructor(*args)
        return await self._do(purpose, b"", 0, data, f"deploying {name}")

    async def mined(self, transaction: bytes) -> None:
        """Return once somebody else's transaction is in a block, as a faucet's."""
        while True:
            answer = await self._chain.rpc.call("eth_getTransactionReceipt", "0x" + transaction.hex())
            if read_receipt(answer) is not None:
                return
            await trio.sleep(bounds.POLL[1] / 10)

    async def _do(self, purpose: str, to: bytes, value: int, data: bytes, what: str) -> Done:
        if not 0 < len(purpose.encode()) <= bounds.MAX_PURPOSE:
            raise ValueError(f"a purpose has 1 to {bounds.MAX_PURPOSE} bytes")
        while True:
            async with self._lock:
                machine = await self._open()
                known = machine.find(purpose) or await self._read(purpose)
                if known is None or known.displaced or (known.outcome and not known.outcome.good):
                    room = self._room
                    known = None if machine.is_full else await self._plan(machine, purpose, to, value, data, what)
                waiting = self._waiting.setdefault(purpose, _Waiting()) if known and is_pending(known) else None
            if known is None:
                await room.wait()
                continue
            if waiting is None:
                return await self._done(known, None)
            self._woken.set()
            await waiting.over.wait()
            assert waiting.entry is not None
            return await self._done(waiting.entry, waiting.logs, what)

    async def _plan(self, machine: Sending, purpose: str, to: bytes, value: int, data: bytes, what: str) -> Entry:
        if len(data) > bounds.MAX_CALL_DATA:
            raise Refused(f"{what} takes {len(data)} bytes, a chain takes {bounds.MAX_CALL_DATA} in one transaction")
        call = {"from": "0x" + self.address.hex(), "value": hex(value), "data": "0x" + data.hex()}
        if to:
            call["to"] = "0x" + to.hex()
        gas, balance, view = await self._chain.rpc.ask(lambda endpoint: self._estimate(endpoint, call, what))
        if (most := gas * view.fees.cap + value) > balance:
            raise Refused(
                f"{what} may cost up to {_coins(most)} of the chain's coin, and the account "
                f"{show_address(self.address)} has {_coins(balance)}"
            )
        entry = self._sign(machine.plan(purpose, to, value, data, gas, view))
        with trio.CancelScope(shield=True):
            await self._write(entry)
            machine.keep(entry, trio.current_time())
        return entry

    async def _estimate(self, endpoint: Endpoint, call: dict[str, str], what: str) -> tuple[int, int, View]:
        try:
            needed = number(await endpoint.call("eth_estimateGas", call), "eth_estimateGas")
        except RpcError as error:
            raise _meaning(error, what) from error
        # The state may be another one when it is mined: an estimate runs as if in the newest block, and what a contract
        # keeps by block number takes slots of its own in the next.
        gas = needed + needed // 4 + bounds.SPARE_GAS
        if needed > bounds.MAX_GAS:
            raise Refused(f"{what} needs {needed} gas, a chain takes {bounds.MAX_GAS} in one transaction")
        view = await self._view(endpoint, ())
        balance = await endpoint.call("eth_getBalance", "0x" + self.address.hex(), "latest")
        return min(gas, bounds.MAX_GAS), number(balance, "eth_getBalance"), view

    async def _done(self, entry: Entry, logs: tuple[Log, ...] | None, what: str = "it") -> Done:
        outcome = entry.outcome
        if outcome is None:
            raise Refused(
                f"{what} had no effect: another transaction of {show_address(self.address)} took its number "
                f"{entry.nonce}. Let nothing else send from this account."
            )
        if not outcome.good:
            raise Refused(f"{what} was mined in block {outcome.block} and refused there: only its fee is gone")
        if logs is None:
            mined = await self._chain.rpc.ask(lambda endpoint: _receipt(endpoint, outcome.hash))
            logs = mined.logs
        created = b"" if entry.to else created_by(self.address, entry.nonce)
        return Done(outcome.hash, outcome.block, outcome.gas, outcome.fee, self._events(logs), created)

    def _events(self, logs: tuple[Log, ...]) -> tuple[Event, ...]:
        known = interfaces.contracts_of(self._chain.spec, self._chain.domain)
        found = []
        for one in logs:
            event = (
                interfaces.event(known[one.contract], one.contract, one.topics, one.data)
                if one.contract in known
                else None
            )
            if event:
                place = {"block": one.block, "index": one.index, "transaction": one.transaction}
                found.append(Event(event.name, event.contract, event.values, **place))  # type: ignore[arg-type]
        return tuple(found)

    async def run(self) -> None:
        """Carry all that is pending through; returns never. Run by `open_sender`."""
        wait, told = bounds.POLL[0], ""
        while True:
            self._woken = woken = trio.Event() if self._woken.is_set() else self._woken
            try:
                async with self._lock:
                    machine = await self._open()
                    moved = bool(machine.pending) and await self._look(machine)
                told = ""
            except ChainError as error:
                if self._machine:
                    self._machine.unsure()
                if str(error) != told:
                    log.warning("Transactions wait: %s", error)
                moved, told = False, str(error)
            except Exception:  # a full disk, say: it must not take the peer with it, and nothing was sent unwritten
                log.exception("Transactions wait")
                moved = False
            wait = bounds.POLL[0] if moved else min(bounds.POLL[1], wait * 1.5)
            idle = self._machine is not None and not self._machine.pending
            with trio.move_on_after(float("inf") if idle else wait) as scope:
                await woken.wait()
            if not scope.cancelled_caught:
                wait = bounds.POLL[0]

    async def _open(self) -> Sending:
        """The machine, from the journal of this very chain: another one of the same id has another first block."""
        if self._machine is None:
            first = read_block(await self._chain.rpc.call("eth_getBlockByNumber", "0x0", False))
            self._whose = first.hash + self.address
            stored = await trio.to_thread.run_sync(self._journal.all, self._whose)
            self._machine = Sending(self.address, map(_entry, stored))
        return self._machine

    async def _look(self, machine: Sending) -> bool:
        """Do what is to be done now; whether anything was."""
        view = await self._chain.rpc.ask(lambda endpoint: self._view(endpoint, machine.hashes))
        self._depth = {
            entry.purpose: max(0, view.head - view.mined[version].block)
            for entry in machine.pending
            for version in entry.versions
            if version in view.mined
        }
        moved = False
        for action in machine.look(view, trio.current_time()):
            match action:
                case Send(entry):
                    await self._tell(machine, entry)
                case Raise(entry):
                    signed = self._sign(entry)
                    log.info("%s is offered more: %d wei for a gas", entry.purpose, entry.cap)
                    await self._keep(machine, signed)
                    await self._tell(machine, signed)
                case Finish(entry, mined):
                    await self._keep(machine, entry, mined.logs)
                case Displace(entry):
                    if not await self._is_displaced(entry, view):
                        continue
                    log.error("%s was displaced: another transaction has its number %d", entry.purpose, entry.nonce)
                    await self._keep(machine, displaced(entry))
            moved = True
        return moved

    async def _keep(self, machine: Sending, entry: Entry, logs: tuple[Log, ...] = ()) -> None:
        with trio.CancelScope(shield=True):
            await self._write(entry)
            machine.keep(entry, trio.current_time())
        if not is_pending(entry):
            self._room.set()
            self._room = trio.Event()
            if waiting := self._waiting.pop(entry.purpose, None):
                waiting.entry, waiting.logs = entry, logs
                waiting.over.set()

    async def _tell(self, machine: Sending, entry: Entry) -> None:
        try:
            await self._chain.rpc.call("eth_sendRawTransaction", "0x" + entry.raw.hex())
        except RpcError as error:
            said = str(error).lower()
            if any(text in said for text in _SHORT):
                machine.underpriced(entry)
            elif not any(text in said for text in _KNOWN):
                log.warning("%s was not taken, and is sent again: %s", entry.purpose, error)
        machine.sent(entry, trio.current_time())

    async def _view(self, endpoint: Endpoint, hashes: tuple[bytes, ...]) -> View:
        newest, suggested = await endpoint.batch(
            [("eth_getBlockByNumber", ("latest", False)), ("eth_maxPriorityFeePerGas", ())]
        )
        if isinstance(newest, RpcError):
            raise Unavailable(f"{endpoint.name}: {newest}")
        head = read_block(newest).number
        final = max(0, head - self._chain.spec.confirmations)
        account = "0x" + self.address.hex()
        places = [hex(head), hex(final)]
        answers = await endpoint.batch(
            [("eth_getTransactionCount", (account, place)) for place in places]
            + [("eth_getTransactionReceipt", ("0x" + one.hex(),)) for one in hashes]
        )
        if refused := next((answer for answer in answers if isinstance(answer, RpcError)), None):
            raise Unavailable(f"{endpoint.name}: {refused}")
        at_head, at_final = (number(answer, "eth_getTransactionCount") for answer in answers[:2])
        receipts = {one: read_receipt(answer) for one, answer in zip(hashes, answers[2:], strict=True)}
        mined = {one: found for one, found in receipts.items() if found is not None and found.hash == one}
        return View(head, final, at_head, at_final, _fees(newest, suggested), mined)

    async def _is_displaced(self, entry: Entry, view: View) -> bool:
        """Whether every RPC says so: what one of them leaves out must not make a payment happen twice."""
        for endpoint in self._chain.rpc.endpoints:
            await self._chain.rpc.check(endpoint)
            seen = await self._view(endpoint, entry.versions)
            if seen.mined or seen.final_nonce <= entry.nonce:
                log.warning("RPCs disagree about transaction %d of this account", entry.nonce)
                return False
        return view.final_nonce > entry.nonce

    def _sign(self, entry: Entry) -> Entry:
        transaction = Transaction(
            self._chain.domain.chain_id, entry.nonce, entry.to, entry.value, entry.data, entry.gas, entry.cap, entry.tip
        )
        raw = transaction.sign(self._key)
        return msgspec.structs.replace(entry, raw=raw, versions=(*entry.versions, hash_of(raw)))

    async def _write(self, entry: Entry) -> None:
        await trio.to_thread.run_sync(self._journal.put, self._whose, entry.purpose, encode(entry))

    async def _read(self, purpose: str) -> Entry | None:
        data = await trio.to_thread.run_sync(self._journal.get, self._whose, purpose)
        return None if data is None else _entry(data)


@asynccontextmanager
async def open_sender(chain: Chain, key: NodeKey, journal: Journal) -> AsyncIterator[Sender]:
    """An account's transactions, while the context lasts. At its end what is pending stays in the journal."""
    sender = Sender(chain, key, journal)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.run)
        try:
            yield sender
        finally:
            nursery.cancel_scope.cancel()


async def _receipt(endpoint: Endpoint, hash_: bytes) -> Mined:
    found = read_receipt(await endpoint.call("eth_getTransactionReceipt", "0x" + hash_.hex()))
    if found is None or found.hash != hash_:
        raise Unavailable(f"{endpoint.name} does not have the transaction 0x{hash_.hex()}")
    return found


def _entry(data: bytes) -> Entry:
    try:
        return decode(data, Entry)
    except RecordError as error:
        raise ChainError(f"The journal of transactions has an entry that cannot be read: {error}") from error


def _meaning(error: RpcError, what: str) -> ChainError:
    if "insufficient funds" in str(error).lower():
        return Refused(f"{what}: the account has too little of the chain's coin")
    return interfaces.meaning(error, what)


def _fees(newest: Any, suggested: Any) -> Fees:
    """What gas costs now. Unavailable where it is dearer than the bound, or the chain has no base fee."""
    told = newest.get("baseFeePerGas")
    if told is None:
        raise Unavailable("the chain has no base fee (EIP-1559): its transactions are not made here")
    base = number(told, "a block's base fee")
    tip = bounds.USUAL_TIP if isinstance(suggested, RpcError) else number(suggested, "eth_maxPriorityFeePerGas")
    fees = bearable(base, tip)
    if fees is None:
        raise Unavailable(f"gas costs {base / 1e9:.1f} gwei, the bound is {bounds.MAX_FEE / 1e9:.0f}: try later")
    return fees


def _coins(wei: int) -> str:
    return f"{wei / 10**18:.6g}"
