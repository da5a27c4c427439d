"""Which addresses are neighbours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.standing.ranges import range_of, wide_range_of

RELAY = "16Uiu2HAmPvjRiWjUqK4N1HrdzNQZGqDZ1gsJnPmQZ9qY5Yq8Z8Xk"


@pytest.mark.parametrize(
    ("address", "narrow", "wide"),
    [
        ("203.0.113.77", "203.0.113.0/24", "203.0.0.0/16"),
        ("/ip4/203.0.113.77/tcp/4001", "203.0.113.0/24", "203.0.0.0/16"),
        ("/ip6/2001:db8:1:2::3/tcp/4001/p2p/x", "2001:db8:1::/48", "2001:db8::/32"),
        ("::ffff:203.0.113.77", "203.0.113.0/24", "203.0.0.0/16"),
    ],
)
def test_neighbours_have_one_range(address: str, narrow: str, wide: str) -> None:
    assert range_of(address) == narrow
    assert wide_range_of(address) == wide


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.1.1", "172.31.0.1", "169.254.0.1", "100.100.0.1", "0.0.0.0",
        "::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "", "nonsense", "/dns4/example.org/tcp/1",
        f"/ip4/203.0.113.1/tcp/1/p2p/{RELAY}/p2p-circuit",
    ],
)  # fmt: skip
def test_local_and_relayed_addresses_have_none(address: str) -> None:
    assert range_of(address) is None
    assert wide_range_of(address) is None


@given(text=st.text(max_size=60) | st.from_regex(r"/ip[46]/[0-9a-f.:%/]{0,40}", fullmatch=True))
def test_any_text_has_a_range_or_none(text: str) -> None:
    assert range_of(text) is None or "/" in str(range_of(text))
