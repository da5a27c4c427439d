"""Networks whose name alone counts: nothing is proved or paid on them."""

from __future__ import annotations

from wire.network import Network


def bare_network(name: str) -> Network:
    """One without verifiers or a chain."""
    return Network(
        name=name,
        chain_id=1,
        contract=bytes(20),
        epoch=0,
        beacon=bytes(32),
        committee_size=1,
        quorum_numerator=2,
        quorum_denominator=3,
    )


NETWORK = bare_network("bench")  # that the peers of a benchmark are of
