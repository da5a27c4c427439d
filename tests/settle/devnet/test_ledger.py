"""The chain without a port: what a block contains, what stays after a fall, what tests may turn back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from settle.devnet import bounds, engine
from settle.devnet.engine import Call
from settle.devnet.errors import RpcError

from .scenes import ETHER, GWEI, START, Clock, address, chain, deploy, signed

# Keeps block number, time, prevrandao and the parent's hash in slots 0 to 3.
KEEPER = bytes.fromhex("435f5542600155446002556001430340600355" + "00")
# Returns them, as they are in a call.
TELLER = bytes.fromhex("435f52426020524460405260014303406060526080" + "5ff3")
# JUMPDEST, and back to it for ever.
LOOP = bytes.fromhex("5b5f56")
# Calls itself with all the gas it has, as deep as that goes.
DEEP = bytes.fromhex("5f5f5f5f5f305af100")


def test_a_contract_sees_the_time_that_its_block_says(tmp_path: Path) -> None:
    clock = Clock()
    with chain(tmp_path, clock) as ledger:
        keeper = deploy(ledger, 0, KEEPER)
        clock.now += 1234.5
        ledger.submit(signed(ledger, 0, keeper))
        ledger.seal()
        state, head = ledger.state(ledger.number), ledger.head
        kept = [state.get_storage(keeper, slot) for slot in range(4)]
        assert kept == [
            head.block_number, START + 1234, int.from_bytes(head.mix_hash, "big"),
            int.from_bytes(head.parent_hash, "big"),
        ]  # fmt: skip
        assert head.timestamp == START + 1234
        assert kept[2] != 0


def test_a_call_sees_the_block_it_is_asked_of(tmp_path: Path) -> None:
    clock = Clock()
    with chain(tmp_path, clock) as ledger:
        teller = deploy(ledger, 0, TELLER)
        asked = ledger.head
        clock.now += 10
        ledger.seal()
        words = ledger.ask(asked.block_number, Call(to=teller))
        told = [int.from_bytes(words[i : i + 32], "big") for i in range(0, 128, 32)]
        assert told[:2] == [asked.block_number, asked.timestamp]
        assert told[2:] == [int.from_bytes(h, "big") for h in (asked.mix_hash, asked.parent_hash)]


def test_blocks_of_one_second_have_one_time(tmp_path: Path) -> None:
    clock = Clock()
    with chain(tmp_path, clock) as ledger:
        for _ in range(5):
            ledger.seal()
        assert ledger.head.timestamp == START
        clock.now -= 100  # a clock that is set back
        ledger.seal()
        assert ledger.head.timestamp == START


def test_time_turned_forward_stays_so_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    with chain(tmp_path, clock) as ledger:
        ledger.forward(1000)
        ledger.seal()
        ledger.set_next_time(START + 5000)
        ledger.seal()
    with chain(tmp_path, clock) as ledger:
        clock.now += 7
        ledger.seal()
        assert ledger.head.timestamp == START + 5007
        for wrong in (START, bounds.MAX_TIME + 1):
            with pytest.raises(RpcError):
                ledger.set_next_time(wrong)
        with pytest.raises(RpcError):
            ledger.forward(bounds.MAX_TIME)


def test_all_is_there_after_a_restart(tmp_path: Path) -> None:
    with chain(tmp_path) as ledger:
        name = ledger.submit(signed(ledger, 0, address(9), value=ETHER, gas=21_000))
        ledger.seal()
        before = (ledger.head.hash, ledger.receipt(name), ledger.block(1), ledger.balance(address(9)))
    with chain(tmp_path) as ledger:
        assert (ledger.head.hash, ledger.receipt(name), ledger.block(1), ledger.balance(address(9))) == before
        assert before[3] == ETHER
        ledger.seal()
        assert ledger.number == 2


def test_one_bad_transaction_spoils_no_block(tmp_path: Path) -> None:
    with chain(tmp_path) as ledger:
        # Each alone can be paid for; together the second cannot, and the third then lacks the nonce before it.
        names = [ledger.submit(signed(ledger, 0, address(9), value=60 * ETHER, gas=21_000)) for _ in range(2)]
        third = ledger.submit(signed(ledger, 0, address(9), value=1, gas=21_000))
        good = ledger.submit(signed(ledger, 1, address(9), value=1, gas=21_000))
        ledger.seal()
        assert [ledger.receipt(name) is not None for name in (*names, third, good)] == [True, False, False, True]
        assert ledger.transaction(names[1]) is None
        waiting = ledger.transaction(third)
        assert waiting is not None
        assert waiting["blockHash"] is None
        assert not ledger.due()
        ledger.submit(signed(ledger, 0, address(8), value=1, gas=21_000, nonce=1))
        ledger.seal()
        assert ledger.receipt(third) is not None


def test_a_fault_of_the_evm_costs_one_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = engine._Vm.apply_transaction

    def broken(self: Any, header: Any, transaction: Any) -> Any:
        done = sound(self, header, transaction)
        if transaction.value == 666:
            raise ZeroDivisionError
        return done

    monkeypatch.setattr(engine._Vm, "apply_transaction", broken)
    with chain(tmp_path) as ledger:
        names = [ledger.submit(signed(ledger, i, address(9), value=v)) for i, v in enumerate((1, 666, 2))]
        ledger.seal()
        assert [ledger.receipt(name) is not None for name in names] == [True, False, True]
        assert ledger.transaction(names[1]) is None
        assert ledger.balance(address(9)) == 3


def test_a_block_is_no_larger_than_its_gas(tmp_path: Path) -> None:
    with chain(tmp_path) as ledger:
        for who in range(4):
            ledger.submit(signed(ledger, who, address(9), gas=bounds.BLOCK_GAS // 3))
        ledger.seal()
        block = ledger.block(1)
        assert block is not None
        assert len(block["transactions"]) == 3
        assert ledger.due()
        ledger.seal()
        assert len(ledger.pool) == 0


def test_a_reorganisation_forgets_and_leaves_no_trace(tmp_path: Path) -> None:
    with chain(tmp_path) as ledger:
        ledger.seal()
        kept = ledger.block(1)
        raw = signed(ledger, 0, address(9), value=ETHER, gas=21_000)
        name = ledger.submit(raw)
        ledger.seal()
        gone = ledger.head.hash
        ledger.seal()
        ledger.reorganise(2)
        assert (ledger.number, ledger.block(1)) == (3, kept)
        assert ledger.number_of(gone) is None
        assert ledger.receipt(name) is None
        assert ledger.balance(address(9)) == 0
        assert ledger.submit(raw) == name  # it may come again
        ledger.seal()
        assert ledger.balance(address(9)) == ETHER
        with pytest.raises(RpcError):
            ledger.reorganise(99)
    with chain(tmp_path) as ledger:
        assert ledger.number == 4


def test_logs_of_a_forgotten_block_are_gone(tmp_path: Path) -> None:
    with chain(tmp_path) as ledger:
        logger = deploy(ledger, 0, bytes.fromhex("60075f5fa1"))  # LOG1 with topic 7
        ledger.submit(signed(ledger, 0, logger))
        ledger.seal()
        assert len(list(ledger.logs(0, ledger.number))) == 1
        ledger.reorganise(1)
        assert list(ledger.logs(0, ledger.number)) == []


def test_a_snapshot_brings_back_state_and_time(tmp_path: Path) -> None:
    with chain(tmp_path) as ledger:
        ledger.seal()
        first = ledger.snapshot()
        ledger.submit(signed(ledger, 0, address(9), value=ETHER, gas=21_000))
        ledger.forward(500)
        ledger.seal()
        second = ledger.snapshot()
        assert ledger.revert(first)
        assert (ledger.number, ledger.balance(address(9))) == (1, 0)
        ledger.seal()
        assert ledger.head.timestamp == START
        assert not ledger.revert(first)
        assert not ledger.revert(second)


def test_gas_bounds_what_a_call_may_compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CALL_GAS", 300_000)
    with chain(tmp_path) as ledger:
        loop = deploy(ledger, 0, LOOP)
        with pytest.raises(RpcError, match="out of gas"):
            ledger.ask(ledger.number, Call(to=loop, gas=300_000))


def test_calls_go_deep_and_come_back(tmp_path: Path) -> None:
    with chain(tmp_path) as ledger:
        deep = deploy(ledger, 0, DEEP)
        assert ledger.ask(ledger.number, Call(to=deep)) == b""  # hundreds of calls inside one another
        ledger.submit(signed(ledger, 0, deep, gas=10_000_000))
        ledger.seal()
        assert len(ledger.pool) == 0


def test_an_estimate_is_enough_and_not_much_more(tmp_path: Path) -> None:
    with chain(tmp_path) as ledger:
        keeper = deploy(ledger, 0, KEEPER)
        estimate = ledger.estimate(ledger.number, Call(sender=address(0), to=keeper))
        name = ledger.submit(signed(ledger, 0, keeper, gas=estimate))
        ledger.seal()
        receipt = ledger.receipt(name)
        assert receipt is not None
        assert receipt["status"] == "0x1"
        assert int(receipt["gasUsed"], 16) <= estimate <= int(receipt["gasUsed"], 16) * 1.02


def test_fees_are_paid_as_the_receipt_says(tmp_path: Path) -> None:
    with chain(tmp_path) as ledger:
        before = ledger.balance(address(0))
        name = ledger.submit(signed(ledger, 0, address(9), value=5, gas=21_000, fee=3 * GWEI))
        ledger.seal()
        receipt = ledger.receipt(name)
        assert receipt is not None
        fee = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
        assert before - ledger.balance(address(0)) == fee + 5
