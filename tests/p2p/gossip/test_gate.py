"""The gate: which rule decides, in which order, and what is never computed for those who have no right to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p import bounds
from p2p.gossip.gate import Claim, Gate
from p2p.gossip.rules import Admission, Rule

CLOCK = 1_800_000_000_000_000  # microseconds, as our seqnos are


def claim(**changes: object) -> Claim:
    plain = Claim(
        sender="sender",
        author="author",
        seqno=CLOCK,
        formed=True,
        topic=True,
        first=lambda: True,
        signed=lambda: True,
        ruled=lambda: Admission.ACCEPT,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def gate(score: float = 0.0, refused: bool = False) -> Gate:
    return Gate("me", lambda *_: score, lambda *_: refused)


def never() -> bool:
    raise AssertionError("this was to be decided before")


@pytest.mark.parametrize(
    ("changes", "decides"),
    [
        ({"formed": False, "first": never}, Rule.FORM),
        ({"topic": False, "first": never}, Rule.TOPIC),
        ({"first": lambda: False, "signed": never}, Rule.SEEN),
        ({"author": "me", "signed": never}, Rule.OWN),
        ({"signed": lambda: False, "ruled": never}, Rule.FORGED),
        ({"ruled": lambda: None}, Rule.BROKEN),
        ({"ruled": lambda: Admission.IGNORE}, Rule.IGNORED),
        ({"ruled": lambda: Admission.REJECT}, Rule.REJECTED),
        ({"foreign": True}, Rule.FOREIGN),
        ({}, Rule.ACCEPTED),
    ],
)
def test_each_rule_decides_and_nothing_later_is_asked(changes: dict[str, object], decides: Rule) -> None:
    subject = gate()
    assert subject.judge(claim(**changes), 0.0) is decides
    assert subject.counts == {decides: 1}


def test_of_a_refused_neighbour_nothing_is_looked_at() -> None:
    assert gate(refused=True).judge(claim(formed=False, first=never, signed=never), 0.0) is Rule.REFUSED


def test_a_neighbours_flood_costs_no_signature_and_is_an_offence() -> None:
    subject, verified = gate(), 0

    def signed() -> bool:
        nonlocal verified
        verified += 1
        return False

    rules = [subject.judge(claim(signed=signed), 0.0) for _ in range(5000)]
    assert verified <= bounds.SENDER_BURST
    assert rules[-1] is Rule.SENDER_RATE
    assert Rule.SENDER_RATE.weight * (5000 - bounds.SENDER_BURST) > bounds.OFFENCES


def test_only_what_an_author_signed_uses_up_its_rate() -> None:
    subject = gate(score=1.0)
    for _ in range(200):
        assert subject.judge(claim(signed=lambda: False), 0.0) is Rule.FORGED
    rules = [subject.judge(claim(seqno=CLOCK + n), 0.0) for n in range(int(bounds.ORIGIN_BURST) + 1)]
    assert set(rules[:-1]) == {Rule.ACCEPTED}
    assert rules[-1] is Rule.AUTHOR_RATE
    assert subject.judge(claim(author="another"), 0.0) is Rule.ACCEPTED


def test_strangers_share_what_is_judged_for_them_and_the_proven_do_not() -> None:
    scores = {"proven": 3.0}
    subject = Gate("me", lambda peer, _: scores.get(peer, 0.0), lambda *_: False)
    rules = [
        subject.judge(claim(sender=f"stranger {n % 50}", author=f"author {n}"), 0.0)
        for n in range(int(bounds.UNPROVEN_BURST) + 10)
    ]
    assert rules.count(Rule.BUSY) == 10
    assert Rule.BUSY.verdict is Admission.REJECT  # forgotten, so that a copy from another is judged
    assert Rule.BUSY.weight == 0  # and nobody's fault
    assert subject.judge(claim(sender="proven", author="x"), 0.0) is Rule.ACCEPTED


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 20)), max_size=30),
    st.floats(0, 1),
)
def test_whatever_an_author_said_two_minutes_ago_is_old_and_what_is_new_never_is(
    steps: list[tuple[float, float]], part: float
) -> None:
    """Messages come up to 20 s late, on a clock that starts anywhere within a minute."""
    subject, now, said = gate(score=1.0), 1000.0 + 60 * part, []
    for wait, late in steps:
        now += wait
        seqno = CLOCK + int((now - late) * 1e6)
        if all(seqno != other for _, other in said):
            assert subject.judge(claim(seqno=seqno), now) in (Rule.ACCEPTED, Rule.AUTHOR_RATE)
            said.append((now, seqno))
    for when, seqno in said:
        later = max(now, when + bounds.SEEN_GENERATION * (bounds.SEEN_GENERATIONS - 1))
        assert subject.judge(claim(seqno=seqno, signed=never), later) is Rule.OLD


def test_seqnos_that_are_no_clock_of_ours_are_taken_in_any_order() -> None:
    subject = gate(score=1.0)
    for minute, seqno in enumerate((2**63, 17, 2**40, 3, 2**64 - 1)):
        assert subject.judge(claim(seqno=seqno), 1000.0 * minute) is Rule.ACCEPTED


def test_small_packets_count_for_more_than_their_bytes() -> None:
    subject, taken = gate(), 0
    while subject.takes_bytes("sender", 1, 0.0):
        taken += 1
    assert taken < bounds.SENDER_BYTES_BURST / bounds.RPC_COST + 1
    assert subject.counts == {Rule.BYTES: 1}
    assert subject.takes_bytes("sender", 1, 1.0)


def test_no_rule_charges_for_what_an_honest_peer_forwards() -> None:
    """What is late, known, of an author over its rate or of a key read elsewhere: an attacker may hand any of these to
    an honest peer, which must not pay for it."""
    for named in (Rule.SEEN, Rule.OWN, Rule.OLD, Rule.BUSY, Rule.AUTHOR_RATE, Rule.IGNORED, Rule.FOREIGN, Rule.TOPIC):
        assert named.weight == 0
    assert {named for named in Rule if named.verdict is Admission.ACCEPT} == {Rule.ACCEPTED}


def test_what_was_asked_for_is_over_no_rate() -> None:
    subject = gate()
    while subject.judge(claim(first=lambda: False), 0.0) is not Rule.SENDER_RATE:
        pass
    assert subject.judge(claim(asked=True), 0.0) is Rule.ACCEPTED


def test_what_all_together_have_judged_is_bounded_too() -> None:
    """A good message makes any key a proven neighbour: with two hundred of them, each within its rate, a peer would do
    nothing but check signatures."""
    subject, verified = gate(score=1.0), 0

    def signed() -> bool:
        nonlocal verified
        verified += 1
        return True

    for second in range(3):
        for sender in range(50):
            for number in range(160):
                subject.judge(
                    claim(sender=f"{sender}", author=f"{sender} {second} {number}", signed=signed), float(second)
                )
    assert verified <= bounds.JUDGED_BURST + 3 * bounds.JUDGED_RATE
    assert subject.counts[Rule.BUSY] > 0
