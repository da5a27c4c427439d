"""Every size, count and time that peers, users or models control in the roles and the commands, in one place."""

from __future__ import annotations

# offers and presences
OFFER_EVERY = 60.0  # seconds; gossip costs every peer about a millisecond of CPU a message
OFFER_LIFE_MS = 180_000
OFFER_LAST_MS = 10_000  # the life of the last word on a model that is gone
# Receivers take p2p.bounds.ORIGIN_RATE of one author, on all topics together: own names have ANNOUNCE_PAUSE.
OFFER_PAUSE, OFFER_BURST = 1.25, 20  # seconds between two words on offers, and how many may go out at once
PROOFS_COSTED, MAX_COSTED = 32, 512  # proofs whose median is offered; models and tiers of which that is known
PRESENCE_EVERY = 120.0
PRESENCE_LIFE_MS = 300_000
PRESENCE_PAUSE = 1.0  # seconds between two, however often addresses change
MAX_PRESENCES = 4096  # known peers, and known offers
MAX_OFFERS_PER_PROVIDER = 64

# requests, and the answers to them
MAX_OPEN_REQUESTS = 256  # inferences a provider works on at once, all models together
MAX_OPEN_ROUNDS = 256  # rounds a verifier takes part in at once
MAX_HELD, MAX_HELD_PER_PEER = 2 * 2**30, 512 * 2**20  # bytes of inputs in hand: of all peers, of one
MEMORY_KEPT = 64 * 2**20  # bytes that a process keeps free for the next tensors, once it had so much
REST_MS = 500  # how long who was refused for one of these is asked to wait, where nothing better is known
RESTS = (0.1, 1.5)  # a payer waits at least so many seconds, and up to so many times what it was told
MAX_AHEAD_MS = 5_000  # how far the clock of a payer may be ahead; its request waits that long
MAX_SEEN_REQUESTS = 100_000  # digests remembered against replay; each until its own deadline
REQUEST_SECONDS = 60.0  # a client's default deadline
ROUND_SECONDS = 20.0  # how long a client waits for a provider's proof before it convenes the committee itself
LARGE_OUTPUTS = 2**18  # bytes; work over more of them is done in a thread, over fewer the thread costs more
BALLOTS_AT_ONCE = 32  # of a proof in one frame: each takes 5,000 bytes at most
COSIGN_SECONDS = 5.0  # how long the signers of a certificate have to sign once more, and to bring each word of it
BALLOT_SECONDS = 3.0  # how long a payer waits to hear what a committee said behind a silent provider's back

# models that are tried and loaded
TRIAL_SECONDS = 30.0  # how long a model may take to load and run once before it is published
TRIAL_RATE = 32 * 1024 * 1024  # bytes of its files a second, for which it gets more time: disks are slow
LOADING_SECONDS = 10.0  # how long a verifier lets a request wait for a model that it is just loading
TENSOR_SECONDS = 30.0  # the pause a peer may make while sending its tensors

# peers that are met
ACQUAINT_SECONDS = 0.5  # how soon a newly connected peer is asked what it knows
VISIT_MS = 1000  # a peer that dialled us and is gone sooner is asked for nothing
CATALOGUE_SECONDS = 5.0  # how long a catalogue question may take

# checks after the answer
AUDIT_SECONDS = 30.0  # how long one verifier has for a check after the answer, before the next one is asked
CHECK_SECONDS = 120.0  # how long a running node tries to have an answer of its own checked, the committee included
STAY_SECONDS = 10.0  # the same of a command without a node: its user waits
MAX_CHECKS, MAX_CHECKED_BYTES = 64, 256 * 2**20  # answers that wait for their checks; bytes of their tensors
MAX_OPEN_AUDITS = 4  # checks for others that a verifier executes at once: answers come first
MAX_AUDITS_SAID = 4096  # checks that a verifier remembers, to say the same again
AUDIT_NEWS_MS = 60 * 60 * 1000  # a check that is older is no news
MAX_AUDIT_NEWS = 512  # checks that wait for the disk; gossip of more is ignored
AUDITOR_RATE, AUDITOR_BURST = 1.0, 60.0  # checks a second of one verifier; at once: no key fills what all keep
DISPUTED_MS = 7 * 24 * 60 * 60 * 1000  # how long a disputed provider is asked last

# asking providers
MAX_ATTEMPTS = 4  # providers asked for one answer
MAX_UNREACHABLE = 16  # providers of one answer that may turn out to be gone
# Seconds before a provider that was lost is asked again, where nobody else is left: a peer that loses its relay has
# another one within 15 s. One that was never reached for this answer is asked so many times more.
LOST_RESTS, LOST_RESTS_UNMET = (0.5, 2.0, 4.0, 8.0), 2
NAME_SECONDS = 1.0  # what a name means to others is waited for, once one has said what it means to it
OFFER_SECONDS = 10.0  # how long a first offer is waited for
REFRESH_SECONDS = 3.0  # how long others are asked for offers once those known are used up
EXPLORE_EVERY = 20  # questions, of which one is asked of a newcomer first
MAX_ANSWERED, RECALLED = 1024, 256  # providers remembered for their answers; receipts of which that is known at first
FAILURES_BORNE = 3  # failures in a row after which one that answered before counts as a newcomer
GAVE_NOTHING_MS = 10 * 60 * 1000  # how long a provider that gave nothing is asked last
DISTRUST_MS = 10 * 60 * 1000
MAX_DISTRUSTED = 4096

# input, commands, roles
MAX_NESTING = 256  # brackets within brackets of a JSON input
MAX_FILE_INPUT = 64 * 1024 * 1024
MAX_CONTROL_MESSAGE = 160 * 1024 * 1024  # between a command and its own node
ROLE_BACKOFF = (0.5, 30.0)  # seconds before a crashed role starts again: first, most
REACH_EVERY = 30.0  # seconds between two looks at how others reach this peer
DRAIN_SECONDS = 10.0  # how long a first Ctrl-C waits for work in hand
LOADS_AT_ONCE = 4  # models being loaded side by side, each for up to engine.bounds.LOAD_TIMEOUT

# counting pulls and calls
COUNT_EVERY = 60.0  # seconds between two times that pulls and calls seen are written down
MAX_COUNTED_PULLS = 16_384  # pairs of peer and model remembered in one hour, so that each counts once

# mirroring
MIRROR_SHARE = 0.9  # of the quota; the rest is the operator's own
MIRROR_FREE_DISK = 2**30  # bytes of the disk that mirroring leaves free where there is no quota
MIRROR_KEEP_MS = 7 * 24 * 60 * 60 * 1000  # a copy is kept so long before it may give way to a newer model
MIRROR_REST = 60.0  # seconds; how late a mirroring hub may notice a change that nothing tells it
MIRROR_RETRY = (60.0, 6 * 3600.0)  # seconds before a model that could not be fetched is tried again: first, most
MIRROR_LOAD = 0.05  # the most of one core that looking through the catalogue may take
MIRROR_BREATH = 0.01  # seconds of pause after each page of the catalogue
MIRROR_LOOK = 2.0  # seconds between two looks through the catalogue, at least
MIRROR_GRACE = 60.0  # seconds in which a mirrored model may take to be found
MIRROR_SLOWEST = 64 * 1024  # bytes a second; what comes more slowly is left for another time
MAX_COPIES = 20_000  # models that a hub mirrors, however small: a fifth of what the store takes
MAX_MIRROR_FAILURES = 65_536  # models that could not be fetched, remembered so that all others have their turn first
MAX_MIRROR_WAITING = 4096  # models that wait to be mirrored; further ones are found when these are done

# names and catalogues
INTAKE_BATCH = 128  # name records, and manifests, that go to disk in one transaction
INTAKE_LINGER = 0.2  # seconds that the first of them waits for others
MAX_NEWS = 512  # names that wait for the disk; gossip of more is ignored
MAX_WANTED = 64  # names whose model's manifest is being asked for
NAME_LIFE_MS = 30 * 24 * 60 * 60 * 1000  # of a name record that this peer signs; signed again when half of it is over
NAME_STALE_MS = 24 * 60 * 60 * 1000  # a name record older than this is asked for anew before it is relied on
ANNOUNCE_EVERY = 1800.0  # seconds between two announcements of one own name
ANNOUNCE_PAUSE = 1.0  # seconds between two of a peer's own names: receivers take two in a second from one author
CATCH_UP_EVERY = 3600.0  # seconds between two looks into a hub's catalogue
CATCH_UP_SECONDS = 600.0  # that one look may take
CATCH_UP_PAUSE = 0.05  # seconds between two of its pages
MAX_PAGES = 4096  # of one look; of full ones, 262,144 models
MAX_CATCH_UP = 512 * 1024 * 1024  # bytes of one look
MAX_ASKED = 16  # connected peers that are asked what a name means
LISTING_THREADS = 2  # pages of the catalogue, ours or others', that are worked on at once
COMPANY_SECONDS = 3.0  # how long a search waits for a first peer
SEARCH_PATIENCE = 3.0  # how long it waits for the first hub that answers
SEARCH_SECONDS = 1.0  # how long it then waits for the others
MAX_SEARCHED_HUBS = 4
MAX_SEARCHED = 256  # models in one search's result

# attestation
ATTEST_EVERY_MS = 20 * 60 * 1000  # between two quotes of a provider's own heartbeat
ATTEST_FRESH_MS = 45 * 60 * 1000  # after which a quote is no longer shown: an hour is what a strict payer takes
ATTEST_RETRY_MS = (5_000, 300_000)  # before another attempt when none could be made: first, most
ATTEST_SECONDS = 10.0  # how long a quote may take, and whoever asked for one waits
ATTEST_RATE, ATTEST_BURST = 1.0, 10.0  # quotes a second for those who choose their own nonce, all together
ATTEST_PAYER_RATE, ATTEST_PAYER_BURST = 1 / 60, 3.0  # and of one of them
MAX_ATTESTED = 256  # payers whose own quote is kept, and providers whose evidence a payer keeps
MAX_PLATFORMS = 64  # kinds of platform whose collateral is kept
COLLATERAL_SPARE_S = 24 * 3600  # collateral that ends sooner is asked for anew
MAX_COLLATERAL_PEERS = 8  # asked for it, side by side
COLLATERAL_SECONDS = 3.0  # how long they have

# ZK proofs
CIRCUIT_PEERS = 4  # that are asked which circuits a model has
CIRCUIT_SECONDS = 5.0  # that this may take
MAX_CHECKED_PROOFS = 256  # whose result is remembered
MAX_PROOFS_WAITING = 8  # requests that wait for their turn to be proved; a proof takes seconds
PREPARING_SECONDS = 900.0  # that a circuit's keys and first proof may take a provider
CIRCUIT_RETRY = 600.0  # seconds between two looks for circuits of the models that have none here
PROVING_TOLD_EVERY = 5.0  # seconds between two words on a proof that is waited for

# the chain and payments
FOLLOW_SECONDS = (1.0, 15.0)  # between two looks for an epoch that was opened: at least, at most; a quarter of the lead
CATCH_UP_CHAIN_SECONDS = 5.0  # that a command gives the chain for its epochs before it goes on with those it knows
TOP_UP_SECONDS = 10.0  # how long a provider waits for the next voucher in the middle of an answer
LOOKS_AT_ONCE, MAX_LOOKS = 4, 64  # payment channels that strangers name and the chain is asked about; that wait for it
BOOKS_LINGER = 1.0  # seconds that what is not urgent waits to be written together with other books
LOOK_PAUSE = 1.0  # seconds between two looks at the same channel
WATCH_SECONDS = 15.0  # between two looks for withdrawals: the shortest delay of one is 900
MAX_WATCH_PAUSE = 120.0  # seconds at most between two looks while the chain does not answer

# settling
SETTLE_RATE, SETTLE_BURST = 200.0, 2000.0  # receipts a second that one peer may hand to a settler, or fetch; at once
SETTLE_CHECKS = 2  # receipts that a settler checks at once: each takes a few milliseconds of a core
MAX_RECEIPTS_WAITING = 512  # checked ones that wait for its disk
MAX_HELD_OF_ONE, MAX_HELD_OF_STRANGERS = 20_000, 1_000  # of one provider; of all that the registry does not know
STRANGER_SECONDS = 60.0  # before the registry is asked again about one that it did not know
SETTLE_SECONDS = 30.0  # that a settler may take to check a receipt, or to answer another one
TREE_SECONDS = 60.0  # that fetching a whole epoch's lines may take
SETTLE_ASKS, SETTLE_ASK_BURST = 5.0, 60.0  # questions a second of one peer: lines, trees, what was settled
VERSION_SECONDS = 60  # in which a receipt that is here may come again with more signers; settlers' own exchange aside
SETTLERS_AT_ONCE = 16  # that one settler, or a provider, talks to at the same time
HAND_EVERY, HAND_BATCH = 2.0, 256  # seconds between two looks into the outbox; receipts of one look
HAND_RETRY = (2.0, 300.0)  # seconds before settlers that took nothing are tried again: first, most
HAND_REFUSED = 600.0  # how long a receipt that settlers refuse is offered to them again, before it is given up
LEARN_EVERY = 15.0  # seconds between two questions where receipts were settled
HAND_LIFE_MS = 30 * 24 * 60 * 60 * 1000  # a receipt that no settler took for so long is given up
SETTLERS_KNOWN_SECONDS = 60.0  # how long it is believed who settles
CHAIN_LOOK = (0.5, 10.0)  # seconds between a settler's two looks at the chain: at least, at most
CHORE_RETRY = (2.0, 300.0)  # seconds before what the contract refused is sent again: first, most
LOOK_BACK = 16  # epochs before this one whose roots a settler still works on
MAX_FETCHED = 4096  # receipts that a settler fetches from another in one turn
CLAIM_BACK = 64  # epochs before this one in which unclaimed lines are looked for

# frauds
COURT_SECONDS = 15.0  # between two looks for accusations, and at frauds that wait for the chain
MAX_SUBMITTED = 4096  # frauds about which nothing more can be done, remembered
MAX_AHEAD_OF_CHAIN_MS = 10 * 60 * 1000  # of an answer's end: what a chain confirms is minutes old, clocks are wrong

# network files
HANDOVERS = 16  # files kept with which a network's publisher handed over to another
FILE_SECONDS, FILE_REDIRECTS = 15.0, 3  # for a network file to come from the web; how often it may lead elsewhere
UPDATE_EVERY = (6 * 3600.0, 12 * 3600.0)  # seconds between two looks at the URLs of a network's file: least, most
UPDATE_ASK = (60.0, 120.0)  # seconds between two times that a few neighbours are asked for a newer one: least, most
UPDATE_NEIGHBOURS, UPDATE_ASKED = 3, 16  # asked at such a time; and when their user wants to know
UPDATE_SECONDS = 10.0  # for one of them to answer
UPDATE_STEPS = 4  # files taken of one neighbour in a row: handovers, and the newest
