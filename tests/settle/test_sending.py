"""What the machine does about one account's transactions, one rule at a time."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from settle import bounds
from settle.journal import Entry, Outcome
from settle.replies import Mined
from settle.sending import Displace, Fees, Finish, Raise, Send, Sending, View, bearable, displaced
from wire.canonical import Amount, decode, encode
from wire.eip712 import keccak256

GWEI = 10**9
ACCOUNT = bytes([7] * 20)
TO = bytes([1] * 20)
AT_START = View(head=10, final=8, nonce=5, final_nonce=5, fees=Fees(3 * GWEI, GWEI))


def signed(entry: Entry) -> Entry:
    """As if it were signed: a version's hash says its nonce and fees."""
    raw = b"%d %d %s" % (entry.nonce, entry.cap, entry.purpose.encode())
    return msgspec.structs.replace(entry, raw=raw, versions=(*entry.versions, keccak256(raw)))


def planned(machine: Sending, purpose: str, view: View = AT_START, now: float = 0.0) -> Entry:
    entry = signed(machine.plan(purpose, TO, 1, b"", 50_000, view))
    machine.keep(entry, now)
    return entry


def mined(entry: Entry, block: int, good: bool = True) -> dict[bytes, Mined]:
    return {entry.versions[-1]: Mined(entry.versions[-1], block, 21_000, GWEI, good)}


def test_nonces_go_on_from_the_chain_and_from_what_is_pending() -> None:
    machine = Sending(ACCOUNT)
    assert [planned(machine, f"p{n}").nonce for n in range(3)] == [5, 6, 7]
    assert planned(machine, "later", replace(AT_START, nonce=20)).nonce == 20


def test_a_new_one_is_sent_at_once_and_again_after_a_while() -> None:
    machine = Sending(ACCOUNT)
    entry = planned(machine, "a")
    assert machine.look(AT_START, 0.0) == [Send(entry)]
    machine.sent(entry, 0.0)
    assert machine.look(AT_START, bounds.RESEND_SECONDS - 1) == []
    assert machine.look(AT_START, bounds.RESEND_SECONDS) == [Send(entry)]


def test_what_an_rpc_may_have_forgotten_is_sent_again() -> None:
    machine = Sending(ACCOUNT)
    entry = planned(machine, "a")
    machine.sent(entry, 0.0)
    machine.unsure()
    assert machine.look(AT_START, 1.0) == [Send(entry)]


def test_it_ends_when_it_is_deep_enough_and_not_before() -> None:
    machine = Sending(ACCOUNT)
    entry = planned(machine, "a")
    machine.sent(entry, 0.0)
    there = replace(AT_START, nonce=6, mined=mined(entry, 11))
    assert machine.look(replace(there, head=11, final=9), 1.0) == []
    assert machine.look(replace(there, head=12, final=10), 1.0) == []
    (done,) = machine.look(replace(there, head=13, final=11), 1.0)
    assert isinstance(done, Finish)
    assert done.entry.outcome == Outcome(
        hash=entry.versions[0], block=11, gas=21_000, fee=Amount(21_000 * GWEI), good=True
    )
    assert done.entry.raw == b""
    machine.keep(done.entry, 1.0)
    assert machine.pending == ()


def test_one_that_a_reorganisation_took_out_is_sent_again() -> None:
    machine = Sending(ACCOUNT)
    entry = planned(machine, "a")
    machine.sent(entry, 0.0)
    assert machine.look(replace(AT_START, nonce=6, mined=mined(entry, 11)), 1.0) == []
    assert machine.look(AT_START, bounds.RESEND_SECONDS) == [Send(entry)]


def test_one_that_is_stuck_is_offered_more_and_only_the_first_in_line() -> None:
    machine = Sending(ACCOUNT)
    first, second = planned(machine, "a"), planned(machine, "b")
    for entry in (first, second):
        machine.sent(entry, bounds.STUCK_SECONDS)
    (raised,) = machine.look(AT_START, bounds.STUCK_SECONDS)
    assert isinstance(raised, Raise)
    assert (raised.entry.nonce, raised.entry.to, raised.entry.value) == (first.nonce, first.to, first.value)
    assert raised.entry.cap * 8 >= first.cap * 9
    assert raised.entry.tip * 8 >= first.tip * 9
    machine.keep(signed(raised.entry), bounds.STUCK_SECONDS)
    assert len(machine.find("a").versions) == 2  # type: ignore[union-attr]
    (again,) = machine.look(AT_START, bounds.STUCK_SECONDS)
    assert isinstance(again, Send)


def test_an_earlier_version_may_be_the_one_that_is_mined() -> None:
    machine = Sending(ACCOUNT)
    entry = planned(machine, "a")
    machine.underpriced(entry)
    (raised,) = machine.look(AT_START, 1.0)
    assert isinstance(raised, Raise)
    machine.keep(signed(raised.entry), 60.0)
    (done,) = machine.look(replace(AT_START, nonce=6, head=20, final=18, mined=mined(entry, 12)), 61.0)
    assert isinstance(done, Finish)
    assert done.entry.outcome is not None
    assert done.entry.outcome.hash == entry.versions[0]


def test_fees_never_pass_their_bounds() -> None:
    machine = Sending(ACCOUNT)
    entry = planned(machine, "a", replace(AT_START, fees=Fees(bounds.MAX_FEE, GWEI)))
    machine.sent(entry, 0.0)
    machine.underpriced(entry)
    assert all(not isinstance(action, Raise) for action in machine.look(AT_START, 1.0))
    assert bearable(bounds.MAX_FEE, GWEI) is None
    greedy = bearable(GWEI, 10**18)
    assert greedy is not None
    assert greedy.tip == bounds.MAX_TIP
    for base in (0, 1, GWEI, bounds.MAX_FEE - bounds.MAX_TIP):
        fees = bearable(base, 10**30)
        assert fees is not None
        assert fees.tip <= fees.cap <= bounds.MAX_FEE


def test_versions_are_bounded() -> None:
    machine = Sending(ACCOUNT)
    entry = planned(machine, "a", replace(AT_START, fees=Fees(1, 1)))
    for _ in range(200):
        machine.underpriced(entry)
        for action in machine.look(replace(AT_START, fees=Fees(1, 1)), 0.0):
            if isinstance(action, Raise):
                entry = signed(action.entry)
                machine.keep(entry, 0.0)
    assert len(entry.versions) == bounds.MAX_VERSIONS
    assert decode(encode(entry), Entry) == entry


def test_a_nonce_that_another_took_displaces_it_only_when_that_is_deep() -> None:
    machine = Sending(ACCOUNT)
    entry = planned(machine, "a")
    assert machine.look(replace(AT_START, nonce=6), 0.0) == []
    assert machine.look(replace(AT_START, nonce=6, final_nonce=6), 0.0) == [Displace(entry)]
    machine.keep(displaced(entry), 0.0)
    assert machine.pending == ()


def test_one_that_reverted_has_ended() -> None:
    machine = Sending(ACCOUNT)
    entry = planned(machine, "a")
    (done,) = machine.look(replace(AT_START, nonce=6, head=20, final=18, mined=mined(entry, 12, good=False)), 0.0)
    assert isinstance(done, Finish)
    assert done.entry.outcome is not None
    assert not done.entry.outcome.good


def test_a_gap_below_is_filled_with_nothing() -> None:
    machine = Sending(ACCOUNT)
    entry = planned(machine, "a", replace(AT_START, nonce=7, final_nonce=7))  # an RPC that lied
    machine.sent(entry, 0.0)
    assert machine.look(AT_START, 0.0) == []
    machine.sent(entry, bounds.STUCK_SECONDS)
    (filler,) = machine.look(AT_START, bounds.STUCK_SECONDS)
    assert isinstance(filler, Raise)
    assert (filler.entry.nonce, filler.entry.to, filler.entry.value) == (5, ACCOUNT, 0)
    machine.keep(signed(filler.entry), bounds.STUCK_SECONDS)
    assert [e.nonce for e in machine.pending] == [5, 7]
    assert planned(machine, "b", AT_START).nonce == 8


def test_no_more_than_a_bound_at_once_and_no_purpose_twice() -> None:
    machine = Sending(ACCOUNT)
    for n in range(bounds.MAX_PENDING):
        planned(machine, f"p{n}")
    assert machine.is_full
    with pytest.raises(ValueError, match="cannot be planned"):
        machine.plan("more", TO, 0, b"", 21_000, AT_START)
    fresh = Sending(ACCOUNT)
    planned(fresh, "a")
    with pytest.raises(ValueError, match="cannot be planned"):
        fresh.plan("a", TO, 0, b"", 21_000, AT_START)


def test_a_machine_from_the_journal_goes_on() -> None:
    machine = Sending(ACCOUNT)
    first, second = planned(machine, "a"), planned(machine, "b")
    machine.sent(first, 0.0)
    again = Sending(ACCOUNT, [second, first, displaced(signed(first))])
    assert [entry.purpose for entry in again.pending] == ["a", "b"]
    assert again.look(AT_START, 0.0) == [Send(first), Send(second)]
    assert planned(again, "c").nonce == 7
