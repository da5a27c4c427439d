"""The network that the peers of a benchmark are of. Its name alone counts: nothing is proved or paid on it."""

from __future__ import annotations

from wire.network import Network

NETWORK = Network(
    name="bench",
    chain_id=1,
    contract=bytes(20),
    epoch=0,
    beacon=bytes(32),
    committee_size=1,
    quorum_numerator=2,
    quorum_denominator=3,
)
