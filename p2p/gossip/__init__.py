"""Gossip of our own: gossipsub 1.1 with 1.2's IDONTWANT, as other implementations speak it.

`mesh` decides who is told what (with `places`, `lazy` and `history`), `gate` what is let in and by which of `rules`;
both are machines without I/O. `messages` and `frames` are the bytes, `outbox` what waits for a slow reader, and
`service` the streams.
"""

from __future__ import annotations

from .rules import Admission as Admission
from .service import Gossip as Gossip
