"""What follows from checks that do not hold: a lie weighs more than a wish."""

from __future__ import annotations

import pytest

from node.tiers.rung import NotProved, NotWanted, hold
from verify import Check

GOOD = Check("evidence", True, "as asked")
LIE = Check("evidence", False, "the aggregate is not these signers'")
WISH = Check("policy: committee", False, "3 members, your policy wants 4")


def test_when_all_hold_nothing_follows() -> None:
    hold([GOOD, GOOD])


def test_a_wish_of_the_policy_blames_nobody() -> None:
    with pytest.raises(NotWanted, match="your policy wants 4") as caught:
        hold([GOOD, WISH])
    assert not caught.value.dishonest


def test_a_lie_is_not_hidden_behind_a_wish() -> None:
    with pytest.raises(NotProved, match="not these signers") as caught:
        hold([WISH, LIE])
    assert not isinstance(caught.value, NotWanted)
    assert caught.value.dishonest
