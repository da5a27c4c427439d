"""Every size, count and time that a stranger controls in settlement: an RPC, a contract's logs, a keystore file."""

from __future__ import annotations

MIB = 2**20

MAX_RESPONSE = 16 * MIB  # bytes of one RPC's answer
MAX_NESTING = 64  # of arrays and objects in an answer
MAX_BATCH = 50  # calls in one of ours: public RPCs refuse many more
RPC_SECONDS = 15.0  # for one answer as a whole
OPEN_SECONDS = 3.0  # that opening a chain waits for an RPC to say which chain it is of
RPC_ROUNDS = 2  # how often each RPC is asked before the chain counts as unavailable
RPC_PAUSE = 0.2  # seconds between the rounds
RPC_REST = (1.0, 60.0)  # how long an RPC that failed is asked last: at first, at most
RPC_CONNECTIONS = 16

LOG_BLOCKS = 2_000  # blocks in one question for logs; fewer when that is too many for the RPC
MAX_LOGS = 200_000  # events of one answer of ours

MAX_CALL_DATA = 112 * 1024  # bytes of one transaction: nodes take no more than 128 KiB, code and journal included
MAX_PURPOSE = 200  # bytes that say what a transaction is for
MAX_VERSIONS = 24  # of one transaction, each with higher fees: by then they have grown sixteenfold
MAX_PENDING = 16  # transactions of one account at a time: nodes keep no more of a stranger
MAX_GAS = 2**24  # of one transaction (EIP-7825)
PLAIN_GAS = 21_000  # of a payment without data
SPARE_GAS = 150_000  # beyond a quarter more than an estimate: five new checkpoints
MAX_FEE = 500 * 10**9  # wei for one gas: dearer than this, a transaction waits
MAX_TIP = 50 * 10**9  # of it, to who makes the block: an RPC only suggests, and may suggest anything
USUAL_TIP = 10**9  # where an RPC does not suggest
RESEND_SECONDS = 30.0  # a transaction that is in no block is told again
STUCK_SECONDS = 60.0  # and offered more
POLL = (0.01, 2.0)  # seconds between two looks at what is pending: at first, at most

MAX_EPOCHS_LOOKED = 100_000  # back, for those that were opened while nobody looked

MAX_KEYSTORE = 64 * 1024  # bytes of an account's file
SCRYPT_COST = 2**18  # what trying a passphrase costs: 256 MiB and most of a second, as other wallets have it
MAX_SCRYPT_BYTES = 2 * 2**30  # memory that opening somebody's keystore may take
MAX_PBKDF2 = 10_000_000  # rounds of the other derivation

TURN_SECONDS = (4, 600)  # of one settler's turn to propose an epoch's root: at least, at most
TURNS_AN_EPOCH = 24  # between these, so many fit into an epoch
COMPARE_SECONDS = 60  # at most, between the time by which receipts must be there and the first proposal
RECEIPT_EPOCHS = 8  # a receipt that found no revenue waits for so many later ones
MAX_DEMANDS = 3  # lines of a root that nobody would show us that one settler demands
MAX_OPERATORS = 4_096  # that are listed: registering costs a fee alone
