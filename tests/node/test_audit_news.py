"""What gossip says of checks: believed with its proof, kept within bounds, and shown beside the offer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel
from hypothesis import given
from hypothesis import strategies as st

from node.auditing import news as module
from node.auditing.news import AuditIntake, word_of
from node.auditing.record import describe, is_disputed
from node.auditing.words import in_words
from node.bounds import AUDIT_NEWS_MS, AUDITOR_BURST, DISPUTED_MS
from node.noticeboard import ACCEPTED, Notice, Ruling
from p2p.bounds import GOSSIP
from storage import Store, open_store
from storage.audits import Checked
from tests.node.records import offer
from tests.verify.lots import ALWAYS, KEYS, NEVER, OUTSIDER, PANEL, SCENE, audit
from tests.verify.scenes import NOW, SECRET, Scene, bent, key_of
from wire.audit import SignedAudit
from wire.auditing import AuditNews
from wire.canonical import encode
from wire.keys import NodeKey
from wire.network import Network
from wire.vote import Verdict

LATER = NOW + 1000
PROVIDER, MODEL = SCENE.provider.address, SCENE.signed_manifest.model


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        yield opened


def told(said: SignedAudit | None = None, **changes: Any) -> bytes:
    made = AuditNews(request=SCENE.request, receipt=SCENE.receipt, secret=SECRET, audit=said or audit())
    return encode(bent(made, **changes))


def ruled(store: Store, data: bytes, network: Network = ALWAYS, now: int = LATER) -> Notice:
    return AuditIntake(store, network).take(data, now)


async def keep(intake: AuditIntake) -> None:
    """Bring what waits into the store."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(intake.run)
        while intake._waiting:
            await trio.lowlevel.checkpoint()
        await trio.sleep(0.01)
        nursery.cancel_scope.cancel()


async def test_checks_that_are_drawn_are_kept_and_counted(store: Store) -> None:
    intake = AuditIntake(store, ALWAYS)
    for said in (audit(), audit(KEYS[PANEL[1]], Verdict.REJECT)):
        assert intake.take(told(said), LATER) is ACCEPTED
    await keep(intake)
    record = store.audits.record(PROVIDER, MODEL)
    assert (record.checked, record.disputed, record.verifiers) == (1, 1, 2)
    assert len(told()) < GOSSIP


async def test_a_known_check_is_no_news(store: Store) -> None:
    intake = AuditIntake(store, ALWAYS)
    assert intake.take(told(), LATER) is ACCEPTED
    assert intake.take(told(), LATER).ruling is Ruling.IGNORE
    await keep(intake)
    assert intake.take(told(), LATER).ruling is Ruling.IGNORE
    assert store.audits.record(PROVIDER, MODEL).checked == 1


SMEARS = {
    "of no answer": told(receipt=bent(SCENE.receipt, signature=bytes(65))),
    "of a question nobody asked": told(request=bent(SCENE.request, signature=bytes(65))),
    "of another answer": told(audit(receipt=b"\1" * 32)),
    "of another provider": told(audit(provider=b"\1" * 20)),
    "with a ticket of its own": told(secret=b"mine" * 8),
    "of a tier that is not sampled": told(request=Scene().request, receipt=Scene().receipt),
    "with a verdict changed": told(bent(audit(), audit=bent(audit(verdict=Verdict.REJECT).audit))),
    "that says nothing": told(audit(verdict=Verdict.ABSTAIN)),
    "in bytes that are none": b"\x81\xa1a\x01",
}


@pytest.mark.parametrize("smear", SMEARS)
def test_nobody_is_smeared_or_praised_without_an_answer_that_was_drawn(store: Store, smear: str) -> None:
    ruling = ruled(store, SMEARS[smear])
    assert ruling.ruling is Ruling.REJECT, ruling.rule


@pytest.mark.parametrize("who", [OUTSIDER, key_of("nobody")])
def test_a_check_by_who_was_not_drawn_counts_nothing_and_is_nobodys_offence(store: Store, who: NodeKey) -> None:
    ruling = ruled(store, told(audit(who, Verdict.REJECT)))
    assert (ruling.ruling, "was not drawn" in ruling.rule) == (Ruling.IGNORE, True)


def test_a_check_that_the_lot_did_not_call_for_counts_nothing(store: Store) -> None:
    ruling = ruled(store, told(), NEVER)
    assert (ruling.ruling, "the ticket calls for no check" in ruling.rule) == (Ruling.IGNORE, True)


def test_another_networks_check_is_rejected(store: Store) -> None:
    assert ruled(store, told(), bent(ALWAYS, contract=b"\x99" * 20)).ruling is Ruling.REJECT


def test_an_old_check_and_one_of_the_future_are_no_news(store: Store) -> None:
    assert ruled(store, told(), now=NOW + 500 + AUDIT_NEWS_MS) is ACCEPTED
    assert ruled(store, told(), now=NOW + 501 + AUDIT_NEWS_MS).ruling is Ruling.IGNORE
    assert ruled(store, told(), now=NOW - 60_000).ruling is Ruling.IGNORE


def answers(count: int) -> list[bytes]:
    """So many answers of the scene's provider, each checked by whoever was drawn first."""
    made = []
    for n in range(count):
        scene = Scene(tier="sampled", verifiers=1)
        scene.__dict__["request"] = scene.ask(nonce=n.to_bytes(32, "big"))
        receipt, key = scene.receipt.receipt, key_of("verifier 0")
        said = audit(key, receipt=scene.receipt_digest, request=receipt.request)
        made.append(encode(AuditNews(request=scene.request, receipt=scene.receipt, secret=SECRET, audit=said)))
    return made


def test_a_flood_of_one_verifier_is_ignored_beyond_its_rate(store: Store) -> None:
    alone: Network = bent(Scene(verifiers=1).network, sample_bps=10_000)
    intake = AuditIntake(store, alone)
    rulings = [intake.take(data, LATER) for data in answers(int(AUDITOR_BURST) + 5)]
    assert [r.ruling for r in rulings] == [Ruling.ACCEPT] * int(AUDITOR_BURST) + [Ruling.IGNORE] * 5
    assert "more than it may in a second" in rulings[-1].rule


def test_a_flood_waits_for_nobody_and_takes_bounded_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_AUDIT_NEWS", 3)
    intake = AuditIntake(store, bent(Scene(verifiers=1).network, sample_bps=10_000))
    rulings = [intake.take(data, LATER).ruling for data in answers(5)]
    assert rulings == [Ruling.ACCEPT] * 3 + [Ruling.IGNORE] * 2
    assert len(intake._waiting) == 3


@given(st.binary(max_size=300), st.integers(0, 2**53))
def test_any_bytes_get_a_ruling(data: bytes, now: int) -> None:
    class Empty:
        def known(self, _: object) -> bool:
            return False

    class Nothing:
        audits = Empty()

    assert AuditIntake(Nothing(), ALWAYS).take(data, now).ruling is Ruling.REJECT  # type: ignore[arg-type]


def test_a_refusal_of_the_very_same_outputs_does_not_count_against_the_provider() -> None:
    """A model that gives NaN: provider and verifier agree, and the answer is no good all the same."""
    same = audit(verdict=Verdict.REJECT, outputs=SCENE.receipt.receipt.outputs, distance=255)
    news = AuditNews(request=SCENE.request, receipt=SCENE.receipt, secret=SECRET, audit=same)
    assert word_of(news).agreed
    assert not word_of(bent(news, audit=audit(verdict=Verdict.REJECT))).agreed


def test_a_dispute_counts_for_a_while_when_somebody_is_chosen(store: Store) -> None:
    made = offer("provider", model=MODEL)
    store.audits.put([Checked(PROVIDER, MODEL, bytes(32), PANEL[0], True, LATER)])
    assert not is_disputed(store, made, LATER)
    store.audits.put([Checked(PROVIDER, MODEL, b"\1" * 32, PANEL[0], False, LATER)])
    assert is_disputed(store, made, LATER)
    assert is_disputed(store, made, LATER + DISPUTED_MS - 1)
    assert not is_disputed(store, made, LATER + DISPUTED_MS)
    assert not is_disputed(store, bent(made, model=b"\2" * 32), LATER)


def test_a_record_is_said_in_a_line(store: Store) -> None:
    assert in_words(describe(store.audits.record(PROVIDER))) == ""
    words = [Checked(PROVIDER, MODEL, bytes([n]) * 32, PANEL[n % 3], n > 0, LATER) for n in range(12)]
    store.audits.put(words)
    assert in_words(describe(store.audits.record(PROVIDER))) == "12 checked, 11 agreed, 1 disputed, by 3 verifiers"
