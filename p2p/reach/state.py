"""What is known of this peer's reachability, as a person or a program asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reach(Enum):
    """Where this peer stands. A person understands the later ones; the first is the half minute before."""

    CHECKING = "checking"
    PUBLIC = "public"  # strangers dial it
    MAPPED = "mapped"  # they do, through a port that the router maps for it
    PRIVATE = "private"  # they cannot: it dials out, and is reached over relays
    LOCAL = "local"  # nobody beyond this machine or LAN is meant to: see `Reachability.scope`


@dataclass(frozen=True, slots=True)
class Checker:
    """A peer that tried to dial us back, and what became of it."""

    peer_id: str
    range: str  # of addresses, where that peer is: "203.0.113.0/24"
    reached: bool
    detail: str  # the address that worked, or why none did
    at_ms: int


@dataclass(frozen=True, slots=True)
class Reachability:
    """The whole finding. Addresses are multiaddresses without `/p2p/…`, circuits are whole."""

    state: Reach = Reach.CHECKING
    confirmed: tuple[str, ...] = ()  # where strangers reached us
    checkers: tuple[Checker, ...] = ()  # the latest of each, the newest first
    mapping: str = ""  # how the port is mapped: "UPnP, router 192.168.1.1"
    wanted: int = 3  # checkers in different networks that a finding takes
    scope: str = "global"  # the widest that we listen on or have met: "machine", "lan" or "global"
    gateway: str = ""  # the address of the default router, where there is one
    relays: tuple[str, ...] = ()  # circuit addresses that relays hold for us
    reason: str = ""  # why not, when private
    listening: tuple[str, ...] = ()
    observed: str = ""  # our address as others see it


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a router does for us."""

    external: str = ""  # the address that it maps to ours, as it says itself
    by: str = ""  # "UPnP, router 192.168.1.1"
    trouble: str = ""  # why there is none
