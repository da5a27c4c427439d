"""Public chains by name."""

from __future__ import annotations

from settle.publicchains import PUBLIC_CHAINS


def test_ids_are_the_published_ones() -> None:
    assert {name: chain.chain_id for name, chain in PUBLIC_CHAINS.items()} == {
        "base-sepolia": 84532, "op-sepolia": 11155420, "hoodi": 560048,
    }  # fmt: skip
    assert all(url.startswith("https://") for chain in PUBLIC_CHAINS.values() for url in chain.rpcs)
