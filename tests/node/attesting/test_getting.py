"""Which evidence a payer keeps: what came with the answer, or what it saw before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from node.attesting.seen import Attested
from node.bounds import MAX_ATTESTED
from node.clock import now_ms
from node.tiers import tee
from node.tiers.rung import Wanted
from tests.verify.scenes import Scene, some_hash
from tests.verify.tee.claims import attested, challenge
from wire.attestation import TeeEvidence
from wire.errors import RemoteError

SCENE = Scene(tier="tee")
PROVIDER, MODEL = SCENE.provider.address, SCENE.signed_manifest.model


def evidence(by: str, **changes: Any) -> TeeEvidence:
    return attested(SCENE, asked=challenge(SCENE, by, **({"issued_ms": now_ms()} | changes)))


def wanted(came: TeeEvidence | None, seen: TeeEvidence | None) -> Wanted:
    """As much of an answer as the choice looks at."""
    held = Attested()
    if seen:
        held.put(PROVIDER, MODEL, seen)
    request = SimpleNamespace(request=SCENE.request.request)
    given = SimpleNamespace(
        peer=SimpleNamespace(attested=held), request=request, certificate=SimpleNamespace(tee=came), reason="it ended"
    )
    return cast("Wanted", given)


OWN, LATER, ITS = evidence("payer"), evidence("payer", nonce=some_hash("later")), evidence("provider")


@pytest.mark.parametrize(
    ("came", "seen", "kept"),
    [
        (OWN, None, OWN),
        (None, OWN, OWN),
        (LATER, OWN, LATER),
        (ITS, OWN, OWN),  # it started anew, and forgot our nonce
        (ITS, None, ITS),
        (None, ITS, ITS),
    ],
)
async def test_a_payers_own_nonce_comes_first(
    came: TeeEvidence | None, seen: TeeEvidence | None, kept: TeeEvidence
) -> None:
    assert (await tee.get(wanted(came, seen))).part == kept


async def test_without_any_the_provider_is_told_to_have_given_none() -> None:
    with pytest.raises(RemoteError, match="it ended"):
        await tee.get(wanted(None, None))
    stale = evidence("payer", issued_ms=now_ms() - 10_000_000)
    with pytest.raises(RemoteError, match="no attestation"):
        await tee.get(wanted(None, stale))


def test_what_providers_showed_is_bounded_and_the_oldest_goes_first() -> None:
    held, now = Attested(), OWN.challenge.challenge.issued_ms
    for n in range(MAX_ATTESTED + 1):
        held.put(some_hash(f"{n}")[:20], MODEL, OWN)
    assert held.get(some_hash("0")[:20], MODEL, now, 60_000) is None
    assert held.get(some_hash("1")[:20], MODEL, now, 60_000) == OWN
    assert held.get(some_hash("1")[:20], MODEL, now + 120_000, 60_000) is None
