"""Every number that bounds what a peer can make this package do; a record's own bounds stand in `wire.bounds`."""

from __future__ import annotations

from wire.bounds import MAX_PLACES, MAX_REQUEST_LIFE_MS

MAX_AGGREGATED = MAX_PLACES  # signatures under one half-aggregate; the draft's own bound is 2**16 - 1
MAX_ROUND_MS = MAX_REQUEST_LIFE_MS  # a round ends by its request's deadline, and never later than this
PATIENCE_MS = 5_000  # how long a round waits for its members once the answer is there, and besides
PATIENCE_FACTOR = 10  # so many times what the provider took: members may have slower hardware
GRACE_MS = 150  # how long a decided round still waits for the last voices
LATE_MS = 100  # how much later than the others a member is, at least, before a reserve is called for it
BLOCK = 256 * 1024  # elements compared at once, so that widening 64 MiB to float64 never takes more than a few MiB
LARGEST_AT_ONCE = 1024 * 1024  # bytes whose largest value is looked for without a break
NEAR_TIES_ONE_IN = 32  # of a generator's tokens that may be another's than the verifier's own draw, beside the first
SCORE_SCALE = 1_000.0  # the largest size of logits that makes a score's tolerance wider
KEPT_COMMITTEES = 256  # drawn lately, of at most 320 places each
