"""Who verifies in an epoch, as a chain says it: its opening and the verifiers' stakes in, the network's rules out.

Nothing but these decides, so that peers who read one chain at different times, or after an outage, come to the same
registry and draw the same committees. How large a committee is, its quorum and its tolerances are the network file's.
The file's own first epoch has always been; the chain's begin with number 1, each a lead after it was opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from coincurve import PublicKey

from wire.bounds import MAX_EPOCHS, MAX_VERIFIERS
from wire.errors import RecordError
from wire.keys import address_of
from wire.network import Network, Registry, Verifier

TOKEN = 10**18  # of the token's smallest unit: a whole one weighs 1
MAX_WEIGHT = 2**40


@dataclass(frozen=True)
class Opening:
    """An epoch's opening on chain: its number, its beacon, the block at whose end stakes count, when (seconds UTC)."""

    epoch: int
    beacon: bytes
    block: int
    opened_at: int


def weight_of(stake: int) -> int:
    """What a stake counts in draws and quorums: whole tokens, at least 1."""
    return max(1, min(MAX_WEIGHT, stake // TOKEN))


def compressed(node: bytes, x: bytes) -> bytes:
    """The 33-byte key with this x coordinate whose address is `node`; RecordError when neither has it."""
    for sign in (b"\x02", b"\x03"):
        if address_of(sign + x) == node:
            return sign + x
    raise RecordError(f"0x{node.hex()} is not the address of the key that the registry has for it")


def point_of(public: bytes) -> bytes:
    """The 64 bytes (x, y) of a 33-byte key, as the registry takes it."""
    return PublicKey(public).format(compressed=False)[1:]


def registry_of(rules: Network, opening: Opening, stakes: Mapping[bytes, int], lead: int) -> Registry:
    """The registry of an epoch: `stakes` by 33-byte key, zero for who does not stand; `lead` in seconds.

    Where more stand than a network file may list, those with the most at stake are in it.
    """
    standing = sorted(((-stake, key) for key, stake in stakes.items() if stake > 0))[:MAX_VERIFIERS]
    verifiers = sorted((key, weight_of(-stake)) for stake, key in standing)
    return Registry(
        epoch=opening.epoch,
        from_ms=(opening.opened_at + lead) * 1000,
        beacon=opening.beacon,
        committee_size=rules.committee_size,
        quorum_numerator=rules.quorum_numerator,
        quorum_denominator=rules.quorum_denominator,
        verifiers=tuple(Verifier(key=key, weight=weight) for key, weight in verifiers),
        profiles=rules.profiles,
        sample_bps=rules.sample_bps,
    )


def advanced(network: Network, registries: Sequence[Registry]) -> Network:
    """The network with these epochs, the oldest first, after its own; the oldest beyond what it may remember go.

    RecordError when one does not come after the one before it.
    """
    for registry in registries:
        if registry.epoch <= network.epoch or registry.from_ms <= network.from_ms:
            raise RecordError(f"epoch {registry.epoch} does not come after epoch {network.epoch}")
        over = Registry(**{name: getattr(network, name) for name in Registry.__struct_fields__})
        network = msgspec.structs.replace(
            network,
            past=(*network.past, over)[-MAX_EPOCHS:],
            **{name: getattr(registry, name) for name in Registry.__struct_fields__},
        )
    return network
