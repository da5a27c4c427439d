"""docs/protocol.md has every rule of gossip, with what follows from it and what it weighs."""

from __future__ import annotations

import re
from pathlib import Path

from p2p.gossip.rules import Rule

TEXT = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \| ([\d.]+) \|$", TEXT, re.MULTILINE)


def test_the_tables_are_the_rules_in_their_order() -> None:
    assert [name for name, _, _ in ROWS] == [rule.name.lower() for rule in Rule]
    for (_, ruling, weight), rule in zip(ROWS, Rule, strict=True):
        assert float(weight) == rule.weight
        if ruling.isupper() and " " not in ruling:
            assert ruling == rule.verdict.name
