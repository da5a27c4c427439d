"""What is counted while a world lives: who heard what and when, what it cost, and who was banned for it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from .peers import Gossiped, Peer


@dataclass(slots=True)
class Track:
    """One message said by an honest peer while it was counted."""

    message: Gossiped
    due: int  # honest peers that were up when it was said, its author left out
    heard: int = 0
    late_us: int = 0  # until the last of them had it

    @property
    def share(self) -> float:
        """Of those that were to hear it; who came later heard it besides."""
        return min(1.0, self.heard / max(1, self.due))


@dataclass(frozen=True, slots=True)
class Ban:
    """`by` refuses `peer` from now on."""

    at_us: int
    by: Peer
    peer: Peer
    rule: str


class Measures:
    """`counts` from the moment on that `begin` was called."""

    def __init__(self) -> None:
        self.since_us: int | None = None
        self.tracks: dict[bytes, Track] = {}
        self.latencies = array("I")  # µs from saying to hearing, of each honest hearer
        self.copies = 0  # of tracked messages that reached an honest peer, the first among them
        self.bans: list[Ban] = []

    def begin(self, now_us: int) -> None:
        """What is said from now on counts."""
        self.since_us = now_us

    def said(self, message: Gossiped, due: int) -> None:
        """An honest peer says something."""
        if self.since_us is not None:
            self.tracks[message.id] = Track(message, due)

    def copy(self, id: bytes) -> None:
        """A message has come to an honest peer, once more or for the first time."""
        if id in self.tracks:
            self.copies += 1

    def heard(self, id: bytes, now_us: float, since_us: int) -> None:
        """It was new, and good, to a peer that was switched on at `since_us`; what was said before is not due there."""
        track = self.tracks.get(id)
        if track is not None and track.message.said_us >= since_us:
            took = int(now_us) - track.message.said_us
            self.latencies.append(took)
            track.heard += 1
            track.late_us = max(track.late_us, took)

    def banned(self, at_us: int, by: Peer, peer: Peer, rule: str) -> None:
        """An honest peer refuses another."""
        self.bans.append(Ban(at_us, by, peer, rule))

    @property
    def wrong_bans(self) -> list[Ban]:
        """Those that hit an honest peer."""
        return [ban for ban in self.bans if ban.peer.honest]

    def seen(self) -> list[float]:
        """Of each message, the share of the honest that heard it."""
        return [track.share for track in self.tracks.values()]
