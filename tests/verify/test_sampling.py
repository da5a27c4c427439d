"""Tier sampled: who is drawn, what a check has to be, and what a certificate with or without one says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify.lots import ALWAYS, AUDITOR, KEYS, NEVER, OUTSIDER, PANEL, SCENE, audit, claim
from tests.verify.scenes import NOW, SECRET, Scene, bent, key_of
from verify import check_evidence, rests_on
from verify.checks import Check
from verify.policy import Policy, SampledPolicy
from verify.sampling import audit_fault, check_asked_and_answered, open_until, panel
from verify.tiers.claim import Claim
from wire.audit import PANEL as MOST
from wire.audit import UNSEEDED, is_drawn, seed_of, ticket
from wire.eip712 import keccak256
from wire.errors import RecordError
from wire.keys import address_of
from wire.network import Verifier
from wire.vote import Verdict

HASHES = st.binary(min_size=32, max_size=32)
REQUEST, RECEIPT = SCENE.request.request, SCENE.receipt.receipt


def failed(made: Claim) -> list[Check]:
    return [check for check in check_evidence(made) if not check.ok]


def test_so_many_are_drawn_as_the_network_says() -> None:
    tries, bps = 20_000, 500
    drawn = sum(is_drawn(keccak256(n.to_bytes(32, "big")), bps) for n in range(tries))
    # The tickets are fixed, so this is no gamble: within five standard deviations of the binomial's mean.
    mean, deviation = tries * 0.05, (tries * 0.05 * 0.95) ** 0.5
    assert abs(drawn - mean) < 5 * deviation


@given(HASHES)
def test_all_or_none_are_drawn_at_the_ends(any_ticket: bytes) -> None:
    assert is_drawn(any_ticket, 10_000)
    assert not is_drawn(any_ticket, 0)


@given(HASHES, st.integers(0, 10_000), st.integers(0, 10_000))
def test_a_higher_share_draws_all_that_a_lower_one_does(any_ticket: bytes, one: int, other: int) -> None:
    assert not is_drawn(any_ticket, min(one, other)) or is_drawn(any_ticket, max(one, other))


@given(HASHES, st.integers(0, 7), st.booleans())
def test_nobody_excluded_and_nobody_twice_is_on_a_panel(any_ticket: bytes, who: int, pays: bool) -> None:
    excluded = key_of(f"verifier {who}")
    request = bent(REQUEST, **{"payer" if pays else "provider": excluded.address})
    drawn = list(panel(ALWAYS, request, any_ticket))
    assert len(drawn) == len(set(drawn)) == MOST
    assert excluded.public not in drawn
    assert set(drawn) <= set(KEYS)


@given(HASHES)
def test_a_panel_is_the_same_whatever_the_registrys_order(any_ticket: bytes) -> None:
    turned = bent(ALWAYS, verifiers=ALWAYS.verifiers[::-1])
    assert list(panel(turned, REQUEST, any_ticket)) == list(panel(ALWAYS, REQUEST, any_ticket))


def test_everybody_is_asked_first_about_equally_often() -> None:
    first = Counter(next(panel(ALWAYS, REQUEST, keccak256(n.to_bytes(32, "big")))) for n in range(1600))
    mean, deviation = 200, (1600 * (1 / 8) * (7 / 8)) ** 0.5
    assert set(first) == set(KEYS)
    assert all(abs(count - mean) < 5 * deviation for count in first.values())


def test_who_weighs_more_is_asked_more_often() -> None:
    keys = list(KEYS)[:2]
    heavy = bent(ALWAYS, verifiers=(Verifier(key=keys[0], weight=3), Verifier(key=keys[1], weight=1)))
    first = Counter(next(panel(heavy, REQUEST, keccak256(n.to_bytes(32, "big")))) for n in range(800))
    assert abs(first[keys[0]] - 600) < 5 * (800 * 0.75 * 0.25) ** 0.5


def test_a_small_registry_gives_a_small_panel_and_an_empty_one_none() -> None:
    alone = bent(ALWAYS, verifiers=ALWAYS.verifiers[:1])
    assert list(panel(alone, REQUEST, SECRET)) == [ALWAYS.verifiers[0].key]
    assert list(panel(bent(ALWAYS, verifiers=()), REQUEST, SECRET)) == []


def test_a_certificate_without_checks_holds_and_says_that_nobody_looked() -> None:
    assert failed(claim()) == []
    said = {check.name: check.detail for check in check_evidence(claim())}
    assert said["checked"] == "drawn to be checked, and not checked"
    assert "100.00%" in said["ticket"]
    undrawn = {check.name: check.detail for check in check_evidence(claim(network=NEVER))}
    assert undrawn["checked"] == "not drawn, so by nobody"
    trust = rests_on(claim(network=bent(ALWAYS, sample_bps=500)))
    assert "nobody else executed the model" in trust[0]
    assert "5.00%" in trust[1]


def test_a_check_that_agreed_is_said() -> None:
    made = claim(audit(), audit(KEYS[PANEL[2]]))
    assert failed(made) == []
    assert {c.name: c.detail for c in check_evidence(made)}["checked"] == "by 2, after it was given, and found right"
    assert "2 verifiers who executed the model" in rests_on(made)[0]


def test_a_refusal_makes_the_answer_invalid_whoever_else_agreed() -> None:
    made = claim(audit(), audit(KEYS[PANEL[1]], Verdict.REJECT))
    assert [(c.name, c.detail) for c in failed(made)] == [("checked", "1 of 2 who executed the model refused it")]


def test_a_network_that_checks_too_little_is_not_good_enough() -> None:
    rarely = claim(network=bent(ALWAYS, sample_bps=99))
    assert [(c.name, c.detail) for c in failed(rarely)] == [
        ("policy: probability", "0.99% of answers are checked, you want 1.00%")
    ]
    assert all(c.ok for c in check_evidence(rarely, Policy(sampled=SampledPolicy(probability=0.0099))))


def test_without_the_secret_there_is_no_evidence() -> None:
    bare = SCENE.claim(bent(SCENE.certificate(), sampled=None))
    assert [c.name for c in failed(bare)] == ["evidence"]


def test_a_secret_chosen_afterwards_is_not_the_requests() -> None:
    """The payer saw the answer, and looks for a secret whose ticket it likes better."""
    other = b"like" * 8
    assert [c.name for c in failed(claim(secret=other))] == ["secret"]


def test_the_provider_cannot_know_the_draw_from_what_it_sees() -> None:
    """All that a provider has before it answers is the hash of the secret: the same seed in every respect but its
    preimage draws another panel, and another lot."""
    secrets = [n.to_bytes(32, "big") for n in range(400)]
    lots = [is_drawn(ticket(secret, SCENE.receipt_digest), 5000) for secret in secrets]
    assert 150 < sum(lots) < 250
    assert len({seed_of(secret) for secret in secrets}) == len(secrets)
    assert all(secret not in seed_of(secret) for secret in secrets)


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (audit(OUTSIDER), "its verifier was not drawn for this answer"),
        (audit(key_of("nobody")), "its verifier was not drawn for this answer"),
        (audit(SCENE.provider), "its verifier was not drawn for this answer"),
        (audit(receipt=b"\x01" * 32), "it is of another receipt"),
        (audit(request=b"\x01" * 32), "it names another request, model or provider than its receipt"),
        (audit(model=b"\x01" * 32), "it names another request, model or provider than its receipt"),
        (audit(provider=b"\x01" * 20), "it names another request, model or provider than its receipt"),
        (audit(verdict=Verdict.ABSTAIN), "it says neither yes nor no"),
        (audit(distance=3), "its distance contradicts its outputs"),
        (audit(outputs=b"\x01" * 32), "its distance contradicts its outputs"),
        (audit(checked_ms=NOW - 60_000), "it was not made in the time after the answer"),
        (audit(checked_ms=open_until(REQUEST) + 60_000), "it was not made in the time after the answer"),
        (bent(audit(), signature=audit(OUTSIDER).signature), "it is not signed by its verifier for this network"),
        (bent(audit(), audit=audit(verdict=Verdict.REJECT, distance=0).audit), "it is not signed by its verifier"),
    ],
)  # fmt: skip
def test_a_check_that_does_not_hold_is_refused(said: object, wrong: str) -> None:
    assert wrong in (audit_fault(ALWAYS, REQUEST, RECEIPT, SECRET, said) or "")  # type: ignore[arg-type]
    assert "audits" in [c.name for c in failed(claim(said))]  # type: ignore[arg-type]


def test_a_check_of_an_answer_that_was_not_drawn_is_refused() -> None:
    assert audit_fault(NEVER, REQUEST, RECEIPT, SECRET, audit()) == "the ticket calls for no check"


def test_a_check_is_of_one_network() -> None:
    away = bent(ALWAYS, contract=b"\x99" * 20)
    assert audit_fault(away, REQUEST, RECEIPT, SECRET, audit()) == "it is of another receipt"


def test_one_verifiers_check_stands_once() -> None:
    assert [c.detail for c in failed(claim(audit(), audit()))] == ["one verifier's check stands twice"]


def test_the_other_parity_of_a_key_is_not_on_the_panel() -> None:
    """BIP340 knows a key by its x alone: the same signature would otherwise pass as a second verifier's."""
    other = bytes([AUDITOR.public[0] ^ 1]) + AUDITOR.public[1:]
    said = audit(auditor=other)
    assert said.is_signed(SCENE.network.domain)
    assert audit_fault(ALWAYS, REQUEST, RECEIPT, SECRET, said) == "its verifier was not drawn for this answer"


def test_a_check_by_nobodys_verifier_costs_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anyone can sign a question, its answer and a check of it; a draw among thousands takes milliseconds."""
    drawn: list[object] = []

    def counting(*given: object) -> Iterator[bytes]:
        drawn.append(given)
        return panel(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("verify.sampling.panel", counting)
    stranger = audit(key_of("a stranger"))
    assert audit_fault(ALWAYS, REQUEST, RECEIPT, SECRET, stranger) == "its verifier was not drawn for this answer"
    assert not drawn
    assert audit_fault(ALWAYS, REQUEST, RECEIPT, SECRET, audit()) is None
    assert drawn


def test_what_stands_under_a_check_is_a_sampled_question_and_its_answer() -> None:
    check_asked_and_answered(ALWAYS, SCENE.request, SCENE.receipt, SECRET)
    signed = Scene(tier="signed")
    for request, receipt, secret, wrong in [
        (signed.request, signed.receipt, SECRET, "tier signed is not sampled"),
        (SCENE.request, SCENE.receipt, UNSEEDED, "another secret"),
        (SCENE.ask(nonce=b"\x01" * 32), SCENE.receipt, SECRET, "answers another request"),
        (SCENE.request, SCENE.answer(provider=key_of("other").address), SECRET, "answers another request"),
        (bent(SCENE.request, signature=signed.request.signature), SCENE.receipt, SECRET, "not signed by its payer"),
        (SCENE.request, bent(SCENE.receipt, signature=signed.receipt.signature), SECRET, "not signed by its provider"),
    ]:
        with pytest.raises(RecordError, match=wrong):
            check_asked_and_answered(ALWAYS, request, receipt, secret)


def test_who_is_drawn_is_neither_payer_nor_provider_by_address() -> None:
    assert address_of(AUDITOR.public) not in (REQUEST.payer, REQUEST.provider)


def test_the_file_holds_each_check_under_the_certificates_hash() -> None:
    """A REJECT that is left out of a file leaves one that says less: drawn, and not checked."""
    shown = {c.name: c.detail for c in check_evidence(claim())}
    assert shown["checked"] == "drawn to be checked, and not checked"
