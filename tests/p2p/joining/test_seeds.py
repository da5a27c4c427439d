"""Seeds by name, asked of a real DNS server on loopback."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from p2p import bounds
from p2p.joining.seeds import resolve
from wire.keys import NodeKey

from .nameserver import serving

A, B, C = (NodeKey((n + 1).to_bytes(32, "big")).peer_id for n in range(3))


def at(host: str, peer: str) -> str:
    return f"/ip4/{host}/tcp/4001/p2p/{peer}"


async def test_a_name_stands_for_the_addresses_in_its_records() -> None:
    records = [
        "dnsaddr=" + at("192.0.2.1", A),
        "dnsaddr=/ip6/2001:db8::1/tcp/4001/p2p/" + A,
        f"dnsaddr=/ip4/192.0.2.1/udp/4001/quic-v1/p2p/{A}",  # for those who speak it
        "dnsaddr=no address",
        "v=spf1 -all",
    ]
    async with serving({"_dnsaddr.seeds.example": records}) as txt:
        found = await resolve("/dnsaddr/seeds.example", txt)
    assert found.name == "seeds.example"
    assert set(found.addresses) == {at("192.0.2.1", A), f"/ip6/2001:db8::1/tcp/4001/p2p/{A}"}


async def test_records_may_lead_to_further_names_and_one_peer_may_be_picked() -> None:
    names = {
        "_dnsaddr.all.example": ["dnsaddr=/dnsaddr/one.example", f"dnsaddr=/dnsaddr/two.example/p2p/{B}"],
        "_dnsaddr.one.example": ["dnsaddr=" + at("192.0.2.1", A)],
        "_dnsaddr.two.example": ["dnsaddr=" + at("192.0.2.2", B), "dnsaddr=" + at("192.0.2.3", C)],
    }
    async with serving(names) as txt:
        everyone = await resolve("/dnsaddr/all.example", txt)
        one = await resolve(f"/dnsaddr/all.example/p2p/{B}", txt)
    assert set(everyone.addresses) == {at("192.0.2.1", A), at("192.0.2.2", B)}
    assert one.addresses == (at("192.0.2.2", B),)


async def test_many_records_come_over_tcp_and_are_bounded() -> None:
    keys = [NodeKey((n + 10).to_bytes(32, "big")).peer_id for n in range(150)]
    async with serving({"_dnsaddr.many.example": ["dnsaddr=" + at("192.0.2.1", key) for key in keys]}) as txt:
        found = await resolve("/dnsaddr/many.example", txt)
    assert len(found.addresses) == bounds.SEED_ADDRESSES


async def test_a_circle_of_names_ends() -> None:
    names = {
        "_dnsaddr.a.example": ["dnsaddr=/dnsaddr/b.example", "dnsaddr=" + at("192.0.2.1", A)],
        "_dnsaddr.b.example": ["dnsaddr=/dnsaddr/a.example"],
    }
    async with serving(names) as txt:
        assert (await resolve("/dnsaddr/a.example", txt)).addresses == (at("192.0.2.1", A),)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ({}, "there is no _dnsaddr.seeds.example in DNS"),
        ({"_dnsaddr.seeds.example": []}, "has no TXT records"),
        ({"_dnsaddr.seeds.example": ["v=spf1 -all"]}, "hold no address that can be dialled"),
        ({"_dnsaddr.seeds.example": ["dnsaddr=/dnsaddr/gone.example"]}, "there is no _dnsaddr.gone.example in DNS"),
    ],
)
async def test_why_a_name_stands_for_nothing_is_said(names: dict[str, Sequence[str]], why: str) -> None:
    async with serving(names) as txt:
        found = await resolve("/dnsaddr/seeds.example", txt)
    assert found.addresses == ()
    assert found.failure is not None
    assert found.failure.startswith("the seed seeds.example cannot be found: ")
    assert why in found.failure


async def test_a_dns_server_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SEED_QUERY", 0.2)
    async with serving({"_dnsaddr.seeds.example": ["silence"]}) as txt:
        found = await resolve("/dnsaddr/seeds.example", txt)
    assert "DNS did not answer" in (found.failure or "")


async def test_a_chain_of_names_that_never_ends_is_left(autojump_clock: MockClock) -> None:  # noqa: ARG001
    asked = list[str]()

    async def txt(name: str) -> Sequence[str]:
        asked.append(name)
        await trio.sleep(1)
        return [f"dnsaddr=/dnsaddr/{len(asked)}-{n}.example" for n in range(100)]

    found = await resolve("/dnsaddr/0.example", txt)
    assert len(asked) <= bounds.SEED_NAMES
    assert found.failure is not None
    assert trio.current_time() <= bounds.SEED_TIME + 0.1


@given(st.lists(st.text(max_size=80).map(lambda text: f"dnsaddr={text}") | st.text(max_size=80), max_size=8))
def test_whatever_stands_in_a_record_it_ends_in_a_result(records: list[str]) -> None:
    async def txt(_: str) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        return records

    found = trio.run(resolve, "/dnsaddr/seeds.example", txt)
    assert bool(found.addresses) != bool(found.failure)
