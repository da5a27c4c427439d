"""Every size and count in the store that a peer, or a model, can push up; and how the database grows.

What stands here bounds the disk: a store that is full says so (`StoreFull`) and keeps what it has.
"""

from __future__ import annotations

from wire.bounds import CHUNK, KIB, MIB

START_MAP = 1024 * MIB  # address space at first; LMDB takes disk only for what is written
MAX_MAP = 4 * 1024 * 1024 * MIB  # 4 TiB: a thirtieth of what x86-64 gives a process
DISK_RESERVE = 256 * MIB  # left free on the disk when the database grows, so that a full store stops nothing else

BATCH = 64  # chunks in one transaction when a file is added: 16 MiB, where LMDB is fastest
MAX_BATCH = 256  # chunks in one transaction at most, since it is held in memory until it is on disk
ROOM_TO_FREE = 64 * MIB  # how far the database may grow beyond its bound for the sake of a deletion
ROOM_TO_PROBE = BATCH * CHUNK  # how much must fit for a failed write not to be blamed on a full disk

GC_BATCH = 512  # chunks or outlines deleted in one transaction: writers wait no longer than for a batch of chunks
GC_OUTLINES = 16  # outlines read in one step: 2 million hashes at most
GC_MARKED = 2**18  # chunks, about, whose hashes are held in memory at once: 32 MiB
VERIFY_BATCH = 64  # chunks hashed in one step: 16 MiB

MAX_MODELS = 100_000
MAX_CANDIDATES = 10  # listed when a name fits several models
MIN_CID_PREFIX = 4  # characters beyond those that all CIDs share

MAX_OFFERS = 8192  # about 12 MiB in memory
MAX_OFFERS_PER_PROVIDER = 64  # so that one key can't fill the table

MAX_RECEIPTS = 1_000_000
MAX_LISTED = 1000  # receipts in one listing

MAX_BALLOTS = 100_000
MAX_BALLOT = 64 * KIB

MAX_KNOWN_CIRCUITS = 10_000  # beyond it the oldest goes
MAX_BENCHMARKS, MAX_BENCHMARKS_OF_MODEL = 10_000, 64  # beyond them the oldest goes

MAX_AUDITS = 100_000  # checks of others' answers; beyond them the one heard first goes
MAX_AUDITS_OF_ONE = 256  # of one provider and model: the oldest praise goes, so that no praise pushes a dispute out
MAX_FRAUDS, MAX_FRAUDS_OF_ONE = 512, 4  # files of each kind; of each kind and culprit

MAX_TO_SETTLE = 100_000  # receipts that a settler holds at once: each takes 10 to 200 KiB, and 0.5 KiB of memory
MAX_EPOCH_LINES = 64  # epochs whose lines are kept: 70 bytes a line
MAX_OUTBOX = 100_000  # receipts that wait for settlers, or for their epoch

MAX_KNOWN = 250_000  # manifests of others in the catalogue; beyond it the one learnt first is forgotten
MAX_KNOWN_PER_PUBLISHER = 10_000  # so that one key can't push all others out
MAX_KNOWN_BATCH = 256  # taken in one transaction
MAX_KNOWN_PER_VERSION = 4  # of one publisher's version, which means one model: until its name record says which
MAX_WORDS = 112  # of one manifest in the index
MAX_WORD = 32  # characters; a longer word is found by its first ones
MAX_TERMS = 8  # of one search
MAX_PAGE = 256  # models in one page of a search
MAX_SEEKS = 20_000  # of one search: beyond it the page ends early, and its cursor goes on; more than terms, to get on

MAX_NAMES = 250_000  # name records of others; beyond it the one heard longest ago is forgotten
MAX_NAMES_PER_PUBLISHER = 4096  # so that one key can't push all others out
MAX_NAMESAKES = 64  # publishers of one name in one listing
MAX_COUNT = 2**63 - 1  # of what was seen of one model

MAX_WHOSE, MAX_PURPOSE = 64, 256  # bytes that name an account and a purpose: together within a key of LMDB's
MAX_JOURNAL_ENTRY = 256 * KIB  # one transaction, signed, with what it says

MAX_CHANNELS = 100_000  # payment channels, of each side: about 100 MiB; each costs its payer a deposit
SPENT_DAYS = 400  # whose sums are kept
MAX_BACKUP = 64 * MIB  # of vouchers, before the file is written anew at a start
