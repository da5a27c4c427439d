"""Every number that bounds what a peer can make this package do; a record's own bounds stand in `wire.bounds`."""

from __future__ import annotations

from wire.bounds import MAX_COMMITTEE, MAX_REQUEST_LIFE_MS

MAX_AGGREGATED = MAX_COMMITTEE  # signatures under one half-aggregate; the draft's own bound is 2**16 - 1
MAX_ROUND_MS = MAX_REQUEST_LIFE_MS  # a round ends by its request's deadline, and never later than this
PATIENCE_MS = 5_000  # how long a round waits for its members once the answer is there, and besides
PATIENCE_FACTOR = 10  # so many times what the provider took: members may have slower hardware
GRACE_MS = 150  # how long a decided round still waits for the last voices
BLOCK = 256 * 1024  # elements compared at once, so that widening 64 MiB to float64 never takes more than a few MiB
