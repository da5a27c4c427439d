"""What is said of a proof before it is asked for, and while it is made."""

from __future__ import annotations

from typing import Any, cast

import pytest
import trio

from node.errors import CommandError
from node.peer import Peer
from node.tiers.rung import NotProved
from node.zk import expecting
from verify.policy import Policy
from wire.canonical import Amount
from wire.errors import ErrorCode, RemoteError
from wire.offer import Terms

from .world import World

TERMS = Terms(tier="zk", price=Amount(7), added_us=12_000_000, added_bytes=3200)


async def test_without_ezkl_the_error_says_how_to_get_it(fixed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expecting, "installed", lambda: False)
    with pytest.raises(CommandError) as refused:
        await expecting.expect(cast("Peer", None), fixed.signed.model, fixed.manifest, Policy(), lambda _: None)
    assert refused.value.next_step == "Install it: pip install 'hallmark[zk]'"


async def test_its_cost_comes_first_then_how_long_it_takes(autojump_clock: trio.testing.MockClock) -> None:  # noqa: ARG001
    events: list[dict[str, Any]] = []

    async def work() -> str:
        await trio.sleep(18)
        return "proved"

    assert await expecting.told(work, "a provider", TERMS, events.append) == "proved"
    assert [e["event"] for e in events] == ["expecting", "proving", "proving", "proving"]
    assert (events[0]["added_us"], events[0]["added_bytes"], events[0]["price"]) == (12_000_000, 3200, 7)
    assert "about 12.0 s and 3.1 KiB" in events[0]["text"]
    assert [e["text"] for e in events[1:]] == [
        "proving: 5 s of about 12 s", "proving: 10 s of about 12 s", "proving: 15 s, longer than expected",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [NotProved("no"), RemoteError(ErrorCode.FAILED, "no")])
async def test_a_failure_comes_as_it_is(error: Exception) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(type(error)):
        await expecting.told(work, "a provider", TERMS, lambda _: None)
