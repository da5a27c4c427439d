"""Public test chains by name: what a network's contracts can be put on without looking anything up.

Sources: docs.base.org and docs.optimism.io (network information), hoodi.ethpandaops.io; the second RPC of each is
publicnode.com's. All limit how often they are asked: who runs a network in earnest gives RPCs of its own. This project
has deployed to none of them yet.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublicChain:
    """A chain that anybody can use."""

    title: str
    chain_id: int
    rpcs: tuple[str, ...]
    confirmations: int  # blocks on top of one before it is relied on: half a minute to two and a half
    explorer: str


PUBLIC_CHAINS = {
    "base-sepolia": PublicChain(
        "Base Sepolia",
        84532,
        ("https://sepolia.base.org", "https://base-sepolia-rpc.publicnode.com"),
        15,
        "https://sepolia.basescan.org",
    ),
    "op-sepolia": PublicChain(
        "OP Sepolia",
        11155420,
        ("https://sepolia.optimism.io", "https://optimism-sepolia-rpc.publicnode.com"),
        15,
        "https://sepolia-optimism.etherscan.io",
    ),
    "hoodi": PublicChain(
        "Hoodi",
        560048,
        ("https://rpc.hoodi.ethpandaops.io", "https://ethereum-hoodi-rpc.publicnode.com"),
        12,
        "https://hoodi.etherscan.io",
    ),
}
