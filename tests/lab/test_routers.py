"""What needs no root of the routers: each kind's rules differ in what its name says."""

from __future__ import annotations

import pytest

from .routers import NESTED, PORT, Kind, rules


@pytest.mark.parametrize("kind", Kind)
def test_the_rules_of_a_kind(kind: Kind) -> None:
    text = rules(kind, "192.168.1.11")
    assert ("fully-random" in text) == (kind in (Kind.SYMMETRIC, *NESTED))
    assert (f"tcp dport {PORT} dnat ip to 192.168.1.11" in text) == (kind is Kind.FORWARDED)
    assert ("reject with tcp reset" in text) == (kind is Kind.REJECTING)
    assert ("meta l4proto udp drop" in text) == (kind is Kind.NO_UDP)
    assert text.count("{") == text.count("}")
