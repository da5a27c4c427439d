"""What a host is to be: all that `open_host` may be told, in one value that its parts read what they need from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .addresses import Multiaddr, listenable
from .blobs.uploads import Uploads
from .dht.records import Judge
from .standing.ranges import Ranges

OVER_RELAYS = "/p2p-circuit"  # what a peer listens on that is reached over relays, public or not


@dataclass(frozen=True, slots=True)
class Options:
    """See `open_host` for the defaults."""

    listen: Sequence[str]  # multiaddresses like /ip4/0.0.0.0/tcp/4001; none for a peer that only dials; OVER_RELAYS
    bootstraps: Sequence[str]  # seeds: whole multiaddresses, or names of them
    peerbook: Path | None  # where known peers are saved
    judge: Judge | None  # ranks the DHT's value records, which without one are all refused
    uploads: Uploads  # what gives way to exchanges
    standing: Path | None  # where is kept what peers did and who is refused
    announce: Sequence[str]  # addresses that the operator vouches for, told to everybody unchecked
    port_mapping: bool  # a router in between may be asked to let others in
    mdns: bool  # look for peers in the same LAN
    relay: bool  # relay for others
    relays: Sequence[str]  # whole multiaddresses of those to be reached over, tried first
    ranges: Ranges  # which addresses are neighbours
    rendezvous: Sequence[str]  # public networks over which peers of this one are met: "amino", or none
    rendezvous_seeds: Sequence[str]  # how such a network is entered

    @property
    def over_relays(self) -> bool:
        """Whether it is to be reached over relays whatever else."""
        return OVER_RELAYS in self.listen

    @property
    def listens(self) -> bool:
        """Whether it is to be dialled."""
        return any(address != OVER_RELAYS for address in self.listen)

    def targets(self) -> list[Multiaddr]:
        """What the listeners are to be bound to. ValueError for a `listen` that is no such address."""
        return [listenable(address) for address in self.listen if address != OVER_RELAYS]
