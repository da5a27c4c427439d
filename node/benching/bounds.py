"""Every size, count and time of a benchmark, its measurer's and its provider's."""

from __future__ import annotations

MAX_CLIENTS = 256  # requests in flight at one peer
MAX_PEERS = 32  # measured side by side
MAX_STEPS = 16  # different numbers of clients
MAX_DURATION = 600.0  # seconds of one step: a request's nonce is remembered for as long
POOL = 64  # different inputs that take turns
POOL_BYTES = 32 * 1024 * 1024  # of them all, and of the outputs they are compared with
POOL_SECONDS = 10.0  # after so long no further reference is computed
POOL_LEAST = 4  # but this many are
QUORUM_POOL = 4  # inputs whose reference a committee makes

OFFER_SECONDS = 3.0  # an offer of a suite's model is waited for; there are many models
WARM_SHARE, WARM_SECONDS = 0.25, 1.0  # the warm-up lasts this share of the step, up to so many seconds
WARM_MOST = 30.0  # seconds that a client's first answer is waited for
LINGER = 2.0  # seconds that requests under way at a step's end are waited for
PAUSE_FIRST, PAUSE_MOST = 0.02, 1.0  # seconds a client rests after a failure, doubled after each further one
HINT_MOST = 30.0  # seconds that a peer can make a client rest
VAIN_LEAST = 6  # failures in a row, of all clients, before a step is given up

SLICES = 10  # of a step's time, whose median is its rate
SLICE_ITEMS = 25  # answers that a slice should have at least: fewer would round its rate

COUNTERSIGN_SECONDS = 5.0  # a countersignature is waited for
WITNESS_SLOT_MS = 250  # within one slot a provider does not tell its answers' times apart
WITNESS_SLOTS = 3600  # remembered: fifteen minutes
WITNESSED = 256  # payers and models at once; the one that asked longest ago is forgotten

DIRECT_SECONDS = 120.0  # for the direct loop to load its model, and beyond its own time
DIRECT_BATCHES = (1, 8, 64)
MEASURER_BUSY = 0.8  # of a core: from there on the figures may be the measurer's own limit
EMIT_EVERY = 0.25  # seconds between two live tables
