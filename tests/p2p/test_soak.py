"""Peers that are disturbed for a while stay right, hear each other and hold no more than before. `bench/soak.py` has
the same for minutes.
"""

from __future__ import annotations

import pytest

from bench.soak import party, reconnects, settled, soak
from p2p import bounds


async def test_quick_reconnects_and_cuts_leave_nobody_deaf_and_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "ORIGIN_BURST", 1e9)
    monkeypatch.setattr(bounds, "SENDER_BURST", 1e9)
    async with party(2) as all_of_it:
        await reconnects(all_of_it, 3)
        before = await settled(all_of_it)
        await reconnects(all_of_it, 12)
        tally = await soak(all_of_it, 7, 1.5)
        after = await settled(all_of_it)
    assert tally["exchanges"] > 20  # on the slowest machine
    assert tally["cancelled"]
    assert tally["cut"]
    assert tally["reset"]
    assert tally["wrong"] == tally["hung"] == 0
    assert after.streams <= before.streams + 1
    assert after.descriptors <= before.descriptors
    assert after.tasks <= before.tasks + 4  # identify's and gossip's come and go
