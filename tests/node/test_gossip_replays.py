"""What was said once and is said again later, when no cache of ids knows it any more, is ignored by each topic's own
rules: it changes nothing, is not forwarded, and is nobody's offence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.auditing.news import AuditIntake
from node.intake import Intake
from node.noticeboard import Notice, Noticeboard, Ruling
from p2p import bounds
from storage import Store
from tests.node.records import DOMAIN, announced, signed_manifest, signed_name, signed_offer, signed_presence
from tests.node.test_audit_news import LATER, keep, told
from tests.node.test_intake import settled
from tests.verify.lots import ALWAYS
from tests.verify.scenes import NOW

FORGOTTEN_MS = int(bounds.SEEN_GENERATION * bounds.SEEN_GENERATIONS) * 1000
DAY_MS = 24 * 3600 * 1000
AGES_MS = (FORGOTTEN_MS, FORGOTTEN_MS + 600_000, DAY_MS, 400 * DAY_MS)


def ignored(take: Callable[[bytes, int], Notice], data: bytes, now: int) -> None:
    for age in AGES_MS:
        assert take(data, now + age).ruling is Ruling.IGNORE, age


@pytest.mark.parametrize("kind", ["offer", "presence"])
def test_an_offer_or_presence_said_again_is_ignored(kind: str) -> None:
    board = Noticeboard(DOMAIN)
    take, data = (board.take_offer, signed_offer()) if kind == "offer" else (board.take_presence, signed_presence())
    assert take(data, NOW).ruling is Ruling.ACCEPT
    ignored(take, data, NOW)


async def test_a_name_said_again_is_ignored(store: Store) -> None:
    intake, manifest = Intake(store, DOMAIN), signed_manifest()
    data = announced(signed_name(), manifest)

    def take(again: bytes, now: int) -> Notice:
        return intake.take(again, "somebody", now)

    assert take(data, NOW).ruling is Ruling.ACCEPT
    ignored(take, data, NOW)
    await settled(intake)
    ignored(take, data, NOW)


async def test_a_check_said_again_is_ignored(store: Store) -> None:
    intake, data = AuditIntake(store, ALWAYS), told()
    assert intake.take(data, LATER).ruling is Ruling.ACCEPT
    ignored(intake.take, data, LATER)
    await keep(intake)
    ignored(intake.take, data, LATER)
