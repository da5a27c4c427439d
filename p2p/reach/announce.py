"""Which of our addresses are told to whom.

An address of a LAN means another machine in another LAN, and one that nobody checked may mean nobody: neither is told
to strangers. Over a connection go addresses of its own scope or a wider one; in records that everybody hears stand
those that hold for everybody, and local ones only while nobody from further away is connected, so that a network on
one machine or in one LAN needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .. import bounds
from .machine import ReachMachine
from .places import Places, Scope, ip_of


def told(machine: ReachMachine, places: Places, announce: Sequence[str], over: Scope | None) -> tuple[str, ...]:
    """What is told over a connection of scope `over`; None: in records. Multiaddresses without `/p2p`."""
    # Those that all who could be asked have reached are told too: where there are fewer than three networks to ask,
    # three would never agree, and a network that small could not begin.
    found = [*announce, *machine.confirmed, *machine.glimpsed, *_local(machine, places, over)]
    return tuple(dict.fromkeys(found))[: bounds.ADDRESSES]


def _local(machine: ReachMachine, places: Places, over: Scope | None) -> Iterator[str]:
    """What we listen on, the widest first."""
    farthest = over
    if over is None:
        farthest = machine.expected if machine.met is None else machine.met
    scopes = {address: places.scope(ip) for address in machine.listening if (ip := ip_of(address)) is not None}
    for scope in sorted(Scope, reverse=True):
        # One that is global by its looks holds for strangers when it is confirmed, and for neighbours before.
        if farthest is None or farthest <= min(scope, Scope.LAN):
            yield from (address for address, own in scopes.items() if own is scope)
