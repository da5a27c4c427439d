"""Every size, count and time of the devnet that whoever reaches its port controls."""

from __future__ import annotations

KIB, MIB = 2**10, 2**20

MAX_BODY = 4 * MIB  # bytes of one HTTP request
MAX_HEAD = 16 * KIB  # bytes of its head
MAX_ANSWER = 16 * MIB  # bytes of one answer, a batch's as a whole
MAX_CONNECTIONS = 256  # beyond it a new one waits until another ends
REQUEST_SECONDS = 20.0  # from a request's first byte to its last, and for the answer to be taken
IDLE_SECONDS = 75.0  # a connection without a request
MAX_BATCH = 100  # calls in one request
MAX_FIELD = 64  # characters of a method's name, or of anything of the caller's that an error repeats

MAX_TRANSACTION = 128 * KIB  # bytes, as other nodes have it
MAX_POOL = 4096  # transactions that wait
MAX_POOL_SENDER = 256  # of one account
PRICE_BUMP = 10  # percent more that a transaction pays which replaces another
BLOCK_GAS = 30_000_000
CALL_GAS = 16_000_000  # of one eth_call; the EVM does about 3 million a second
MAX_HELD = 64  # snapshots that are kept
MAX_MINED = 1000  # blocks of one evm_mine
MAX_TIME = 2**40  # seconds since 1970, farthest: 36,000 years

MAX_LOG_BLOCKS = 10_000  # blocks of one eth_getLogs
MAX_LOGS = 10_000  # logs of its answer
MAX_ADDRESSES = 100  # of its filter
MAX_TOPICS = 100  # alternatives in one place of its filter
MAX_FEE_BLOCKS = 1024  # of one eth_feeHistory

MAP = 64 * 1024 * MIB  # the database's address space; it takes disk only for what is written
DISK_RESERVE = 16 * MIB  # left free on the disk, so that a full devnet stops nothing else

MAX_FUNDED = 256  # accounts given ether at the start
