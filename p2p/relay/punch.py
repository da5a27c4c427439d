"""What two peers behind NATs say to each other over a relay so that both dial at the same moment. No I/O.

The side that was reached over the relay begins (`first`): it says where it may be met, hears where the other may be,
measures the round trip by that, says SYNC, and dials half a round trip later; the other dials when the SYNC comes.
So both SYNs are under way at once, and each router takes the other's for an answer. On the connection that comes of
it the other side plays the client. Source: libp2p's specification of DCUtR (Seemann, Inden and Vyzovitis,
Decentralized Hole Punching, DINPS 2022).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wire.errors import ErrorCode, RemoteError

from .. import bounds
from ..reach.places import Places, Scope, ip_of, port_of
from .messages import Addresses, Punched, Sync


@dataclass(frozen=True, slots=True)
class Say:
    """Send this."""

    message: Punched


@dataclass(frozen=True, slots=True)
class Dial:
    """Dial all of these at `at`, as the client or the server of what comes of it."""

    at: float
    addresses: tuple[str, ...]
    as_client: bool


Action = Say | Dial


class Punch:
    """One try. `own`: where we may be met, as others see us. Times are seconds of one clock."""

    def __init__(self, first: bool, own: Sequence[str], places: Places) -> None:
        self._places = places
        self._first, self._own = first, tuple(own)[: bounds.PUNCH_ADDRESSES]
        self._asked: float | None = None
        self._theirs: tuple[str, ...] | None = None
        self.done = False  # nothing more is to be heard

    def begin(self, now: float) -> list[Action]:
        """The other side listens now."""
        if not self._first:
            return []
        self._asked = now
        return [Say(Addresses(self._own))]

    def heard(self, message: Punched, now: float) -> list[Action]:
        """What the other side said. RemoteError (BAD_FRAME) when it is not what is due."""
        if self.done:
            raise _undue(message)
        if isinstance(message, Addresses) and self._theirs is None:
            self._theirs = worth_dialling(message.addresses, self._own, self._places)
            if not self._first:
                return [Say(Addresses(self._own))]
            assert self._asked is not None  # `begin` came first
            self.done = True
            return [Say(Sync()), Dial(now + (now - self._asked) / 2, self._theirs, as_client=False)]
        if isinstance(message, Sync) and self._theirs is not None:
            self.done = True
            return [Dial(now, self._theirs, as_client=True)]
        raise _undue(message)


def worth_dialling(theirs: Iterable[str], own: Sequence[str], places: Places) -> tuple[str, ...]:
    """Those of a peer's addresses that we may be asked to dial: of the world's, or as near as we are met ourselves.

    Else anybody could have us knock at what stands behind our router.
    """
    ours = {scope for address in own if (scope := _scope(address, places)) is not None}
    allowed = ours | {Scope.GLOBAL}
    found = [address for address in theirs if _scope(address, places) in allowed]
    return tuple(dict.fromkeys(found))[: bounds.PUNCH_ADDRESSES]


def _scope(address: str, places: Places) -> Scope | None:
    """From how far an address can be reached; None for what is no IP address with a TCP port."""
    ip = ip_of(address)
    if ip is None or not 0 < port_of(address) < 1 << 16 or ip.is_unspecified or ip.is_multicast:
        return None
    return places.scope(ip)


def _undue(message: Punched) -> RemoteError:
    return RemoteError(ErrorCode.BAD_FRAME, f"the peer says {type(message).__name__} where something else is due")
