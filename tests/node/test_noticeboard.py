"""Admission of gossip, rule by rule, for offers and presences; then any sequence of them against a plain model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import node.noticeboard
from node.bounds import MAX_OFFERS_PER_PROVIDER
from node.noticeboard import Notice, Noticeboard, Ruling
from tests.node.records import DOMAIN, MINUTE, model, offer, signed_offer, signed_presence, terms
from tests.verify.scenes import NOW, bent, key_of
from wire.bounds import CLOCK_SKEW_MS
from wire.canonical import decode, encode
from wire.eip712 import Domain
from wire.offer import SignedOffer, sign_offer
from wire.presence import SignedPresence

Make = Callable[..., bytes]
OTHER = Domain(chain_id=1, contract=b"\x11" * 20)
KINDS = [
    pytest.param("take_offer", signed_offer, id="offer"),
    pytest.param("take_presence", signed_presence, id="presence"),
]


def taker(board: Noticeboard, take: str) -> Callable[[bytes, int], Notice]:
    found: Callable[[bytes, int], Notice] = getattr(board, take)
    return found


@pytest.mark.parametrize(("take", "make"), KINDS)
class TestAdmission:
    """Each row of the table in docs/protocol.md."""

    def test_new_and_valid_is_accepted(self, take: str, make: Make) -> None:
        assert taker(Noticeboard(DOMAIN), take)(make(), NOW).ruling is Ruling.ACCEPT

    def test_bytes_that_are_no_record_are_rejected(self, take: str, make: Make) -> None:
        for data in (b"", b"\x00", b"\xc1", make()[:-1], make() + b"\0"):
            assert taker(Noticeboard(DOMAIN), take)(data, NOW).ruling is Ruling.REJECT

    def test_a_changed_signature_is_rejected(self, take: str, make: Make) -> None:
        kind = SignedOffer if take == "take_offer" else SignedPresence
        signed = decode(make(), kind)
        forged = encode(bent(signed, signature=bytes(65)))
        assert taker(Noticeboard(DOMAIN), take)(forged, NOW).ruling is Ruling.REJECT

    def test_another_author_s_signature_is_rejected(self, take: str, make: Make) -> None:
        kind = SignedOffer if take == "take_offer" else SignedPresence
        mine, theirs = decode(make("a"), kind), decode(make("b"), kind)
        forged = encode(bent(mine, signature=theirs.signature))
        assert taker(Noticeboard(DOMAIN), take)(forged, NOW).ruling is Ruling.REJECT

    def test_another_network_s_record_is_rejected(self, take: str, make: Make) -> None:
        notice = taker(Noticeboard(DOMAIN), take)(make(domain=OTHER), NOW)
        assert notice.ruling is Ruling.REJECT
        assert "not for this network" in notice.rule

    def test_a_life_beyond_the_bound_is_rejected(self, take: str, make: Make) -> None:
        assert taker(Noticeboard(DOMAIN), take)(make(expires_ms=NOW + 11 * MINUTE), NOW).ruling is Ruling.REJECT

    def test_an_end_before_the_beginning_is_rejected(self, take: str, make: Make) -> None:
        assert taker(Noticeboard(DOMAIN), take)(make(expires_ms=NOW), NOW).ruling is Ruling.REJECT

    def test_expired_is_ignored(self, take: str, make: Make) -> None:
        data = make(expires_ms=NOW + MINUTE)
        assert taker(Noticeboard(DOMAIN), take)(data, NOW + MINUTE).ruling is Ruling.IGNORE
        assert taker(Noticeboard(DOMAIN), take)(data, NOW + MINUTE - 1).ruling is Ruling.ACCEPT

    def test_from_the_future_is_ignored_beyond_clock_skew(self, take: str, make: Make) -> None:
        assert taker(Noticeboard(DOMAIN), take)(make(), NOW - CLOCK_SKEW_MS - 1).ruling is Ruling.IGNORE
        assert taker(Noticeboard(DOMAIN), take)(make(), NOW - CLOCK_SKEW_MS).ruling is Ruling.ACCEPT

    def test_a_replay_is_ignored(self, take: str, make: Make) -> None:
        board = Noticeboard(DOMAIN)
        data = make()
        taker(board, take)(data, NOW)
        assert taker(board, take)(data, NOW).ruling is Ruling.IGNORE

    def test_an_older_sequence_is_ignored_and_a_newer_one_replaces(self, take: str, make: Make) -> None:
        board = Noticeboard(DOMAIN)
        assert taker(board, take)(make(sequence=5), NOW).ruling is Ruling.ACCEPT
        assert taker(board, take)(make(sequence=4), NOW).ruling is Ruling.IGNORE
        assert taker(board, take)(make(sequence=5, addresses=()), NOW).ruling is Ruling.IGNORE
        assert taker(board, take)(make(sequence=6, addresses=()), NOW).ruling is Ruling.ACCEPT
        found = board.offers(NOW) if take == "take_offer" else board.presences(NOW)
        assert [(o.sequence, o.addresses) for o in found] == [(6, ())]

    def test_a_full_board_ignores_newcomers_and_still_hears_those_it_knows(
        self, take: str, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(node.noticeboard, "MAX_PRESENCES", 3)
        board = Noticeboard(DOMAIN)
        for who in ("a", "b", "c"):
            taker(board, take)(make(who, expires_ms=NOW + MINUTE), NOW)
        full = taker(board, take)(make("d"), NOW)
        assert (full.ruling, full.rule) == (Ruling.IGNORE, "the noticeboard is full")
        assert taker(board, take)(make("a", sequence=2), NOW).ruling is Ruling.ACCEPT
        assert taker(board, take)(make("d"), NOW + MINUTE).ruling is Ruling.ACCEPT  # b and c have expired


def test_a_crowd_cannot_hide_a_registered_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.noticeboard, "MAX_PRESENCES", 3)
    board = Noticeboard(DOMAIN, {key_of("verifier").public})
    for who in "abc":
        board.take_presence(signed_presence(who), NOW)
    assert board.take_presence(signed_presence("d"), NOW).ruling is Ruling.IGNORE
    assert board.take_presence(signed_presence("verifier"), NOW).ruling is Ruling.ACCEPT


def test_a_provider_has_a_bounded_number_of_offers() -> None:
    board = Noticeboard(DOMAIN)
    for n in range(MAX_OFFERS_PER_PROVIDER):
        assert board.take_offer(signed_offer(model=model(f"m{n}")), NOW).ruling is Ruling.ACCEPT
    one_more = board.take_offer(signed_offer(model=model("one more")), NOW)
    assert (one_more.ruling, f"{MAX_OFFERS_PER_PROVIDER} offers" in one_more.rule) == (Ruling.IGNORE, True)
    assert board.take_offer(signed_offer("another", model=model("one more")), NOW).ruling is Ruling.ACCEPT
    assert board.take_offer(signed_offer(model=model("m0"), sequence=2), NOW).ruling is Ruling.ACCEPT


def test_expired_offers_do_not_count_against_their_provider() -> None:
    board = Noticeboard(DOMAIN)
    for n in range(MAX_OFFERS_PER_PROVIDER):
        board.take_offer(signed_offer(model=model(f"m{n}"), expires_ms=NOW + MINUTE), NOW)
    assert board.take_offer(signed_offer(model=model("new")), NOW + MINUTE).ruling is Ruling.ACCEPT


def test_offers_come_cheapest_first_then_soonest() -> None:
    board = Noticeboard(DOMAIN)
    for who, price, compute_us, depth in [
        ("dear", 9, 1, 0), ("slow", 5, 900, 0), ("busy", 5, 100, 5), ("quick", 5, 500, 0),
    ]:  # fmt: skip
        tiers = (terms("quorum", 50), terms("signed", price))
        board.take_offer(signed_offer(who, tiers=tiers, compute_us=compute_us, queue_depth=depth), NOW)
    order = ["quick", "busy", "slow", "dear"]
    assert [o.peer for o in board.offers(NOW)] == [key_of(who).public for who in order]
    assert [o.peer for o in board.offers(NOW, without={key_of("quick").public})] == [
        key_of(who).public for who in order[1:]
    ]


def test_offers_are_of_the_model_asked_for_and_current() -> None:
    board = Noticeboard(DOMAIN)
    board.take_offer(signed_offer("a", model=model("x"), expires_ms=NOW + MINUTE), NOW)
    board.take_offer(signed_offer("a", model=model("y")), NOW)
    assert [o.model for o in board.offers(NOW, model("x"))] == [model("x")]
    assert board.offers(NOW + MINUTE, model("x")) == []
    assert [o.model for o in board.offers(NOW + MINUTE)] == [model("y")]
    assert board.signed_offers(NOW + MINUTE, model("x"), 9) == ()


def test_what_is_passed_on_is_what_the_author_signed_newest_first() -> None:
    board = Noticeboard(DOMAIN)
    sent = [signed_offer(f"p{n}", issued_ms=NOW + n) for n in range(4)]
    for data in sent:
        board.take_offer(data, NOW)
    assert [encode(s) for s in board.signed_offers(NOW, None, 3)] == [sent[3], sent[2], sent[1]]
    said = [signed_presence(f"p{n}", issued_ms=NOW + n) for n in range(4)]
    for data in said:
        board.take_presence(data, NOW)
    assert [encode(s) for s in board.signed_presences(NOW, 3)] == [said[3], said[2], said[1]]
    assert board.presences(NOW)[0].peer == key_of("p3").public


def test_a_presence_is_found_by_its_key_while_it_holds() -> None:
    board = Noticeboard(DOMAIN)
    board.take_presence(signed_presence("a"), NOW)
    found = board.presence(key_of("a").public, NOW)
    assert found is not None
    assert found.peer == key_of("a").public
    assert board.presence(key_of("a").public, NOW + 5 * MINUTE) is None
    assert board.presence(key_of("b").public, NOW) is None


GOOD_OFFER, GOOD_PRESENCE = signed_offer(), signed_presence()


@given(st.binary(max_size=300) | st.tuples(st.integers(0), st.integers(1, 255)))
def test_whatever_gossip_brings_is_ruled_on_and_a_changed_byte_never_enters(changed: bytes | tuple[int, int]) -> None:
    for good, take in ((GOOD_OFFER, "take_offer"), (GOOD_PRESENCE, "take_presence")):
        data = bytearray(good)
        if isinstance(changed, bytes):
            data = bytearray(changed)
        else:
            data[changed[0] % len(data)] ^= changed[1]
        board = Noticeboard(DOMAIN)
        assert taker(board, take)(bytes(data), NOW).ruling is Ruling.REJECT
        assert not board.offers(NOW)
        assert not board.presences(NOW)


class Board(RuleBasedStateMachine):
    """Offers of a few providers come in any order while time passes; a dictionary says what should be shown."""

    MOST = 4

    def __init__(self) -> None:
        super().__init__()
        self.saved = node.noticeboard.MAX_PRESENCES
        node.noticeboard.MAX_PRESENCES = self.MOST
        self.board = Noticeboard(DOMAIN)
        self.now = NOW
        self.known: dict[tuple[bytes, bytes], tuple[int, int]] = {}  # sequence and end, of all that entered

    def teardown(self) -> None:
        node.noticeboard.MAX_PRESENCES = self.saved

    @rule(who=st.sampled_from("abc"), what=st.sampled_from("xy"), sequence=st.integers(0, 5), life=st.integers(1, 9))
    def offer_comes(self, who: str, what: str, sequence: int, life: int) -> None:
        made = offer(who, model=model(what), sequence=sequence, issued_ms=self.now, expires_ms=self.now + life * MINUTE)
        ruling = self.board.take_offer(encode(sign_offer(made, key_of(who), DOMAIN)), self.now).ruling
        key = (made.peer, made.model)
        if key in self.known and self.known[key][0] >= sequence:
            assert ruling is Ruling.IGNORE
            return
        current = {k: v for k, v in self.known.items() if v[1] > self.now}
        if key not in self.known and len(self.known) >= self.MOST:
            self.known = current
            if len(current) >= self.MOST:
                assert ruling is Ruling.IGNORE
                return
        assert ruling is Ruling.ACCEPT
        self.known[key] = (sequence, made.expires_ms)

    @precondition(lambda self: self.known)
    @rule(minutes=st.integers(1, 6))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @invariant()
    def the_board_shows_what_is_current(self) -> None:
        shown = {(o.peer, o.model): (o.sequence, o.expires_ms) for o in self.board.offers(self.now)}
        assert shown == {k: v for k, v in self.known.items() if v[1] > self.now}
        assert len(shown) <= self.MOST


TestBoard = Board.TestCase
