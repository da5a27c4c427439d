"""Every size, count and time that peers, users or models control in the roles and the commands, in one place."""

from __future__ import annotations

OFFER_EVERY = 60.0  # seconds; gossip costs every peer about 15 ms of CPU a message
OFFER_LIFE_MS = 180_000
PRESENCE_EVERY = 120.0
PRESENCE_LIFE_MS = 300_000
MAX_PRESENCES = 4096  # known peers, and known offers
MAX_OFFERS_PER_PROVIDER = 64
MAX_OPEN_REQUESTS = 256  # inferences a provider works on at once, all models together
MAX_OPEN_ROUNDS = 256  # rounds a verifier takes part in at once
MAX_AHEAD_MS = 5_000  # how far the clock of a payer may be ahead; its request waits that long
MAX_SEEN_REQUESTS = 100_000  # digests remembered against replay; each until its own deadline
REQUEST_SECONDS = 60.0  # a client's default deadline
ROUND_SECONDS = 20.0  # how long a client waits for a provider's proof before it convenes the committee itself
BALLOT_SECONDS = 3.0  # how long a payer waits to hear what a committee said behind a silent provider's back
TRIAL_SECONDS = 30.0  # how long a model may take to load and run once before it is published
LOADING_SECONDS = 10.0  # how long a verifier lets a request wait for a model that it is just loading
TENSOR_SECONDS = 30.0  # the pause a peer may make while sending its tensors
ACQUAINT_SECONDS = 0.5  # how soon a newly connected peer is asked what it knows
CATALOGUE_SECONDS = 5.0  # how long a catalogue question may take
MAX_ATTEMPTS = 4  # providers asked for one answer
MAX_UNREACHABLE = 16  # providers of one answer that may turn out to be gone
NAME_SECONDS = 1.0  # what a name means to others is waited for, once one has said what it means to it
OFFER_SECONDS = 10.0  # how long a first offer is waited for
REFRESH_SECONDS = 3.0  # how long others are asked for offers once those known are used up
DISTRUST_MS = 10 * 60 * 1000
MAX_DISTRUSTED = 4096
MAX_NESTING = 256  # brackets within brackets of a JSON input
MAX_FILE_INPUT = 64 * 1024 * 1024
MAX_CONTROL_MESSAGE = 160 * 1024 * 1024  # between a command and its own node
ROLE_BACKOFF = (0.5, 30.0)  # seconds before a crashed role starts again: first, most
DRAIN_SECONDS = 10.0  # how long a first Ctrl-C waits for work in hand
LOADS_AT_ONCE = 4  # models being loaded side by side, each for up to engine.bounds.LOAD_TIMEOUT
