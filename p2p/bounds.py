"""Every size, count, rate and time that a stranger on the network controls, in one place."""

from __future__ import annotations

from wire.bounds import KIB, MAX_NAME_RECORD, MAX_TENSOR_BYTES, MIB

# streams
PIECE = 256 * KIB  # bytes of one DATA frame we send
READ = 256 * KIB  # bytes asked of a stream at once: what has come; each read costs the same, however little it gives
SKIPPED = MAX_TENSOR_BYTES + 4 * MIB  # DATA of a failed exchange that is read and thrown away, at most
MIN_RATE = 64 * KIB  # bytes a second below which a run of DATA counts as stalled
WRITE_TIMEOUT = 30.0  # seconds for one write to a stream
OPEN_TIMEOUT = 10.0  # seconds to open a stream on a connection that stands
CLOSE_TIMEOUT = 2.0  # seconds to say goodbye before a reset

# noise and yamux
HANDSHAKE_TIMEOUT = 10.0  # seconds for noise's three messages
HANDSHAKE_MESSAGE = 16 * KIB  # bytes of one of them
RECEIVE_LEAST, RECEIVE_MOST = 16 * KIB, 320 * KIB  # bytes read from one connection at once
SEND_QUEUE = 512 * KIB  # bytes that the socket has not taken, above which data waits
SMALL_WRITE = 16 * KIB  # bytes of a write that need not wait until twice as much is queued
UNSENT = 128 * KIB  # bytes that the kernel takes before it has sent them: what is queued there goes before any answer
SEND_QUEUE_MOST = 4 * MIB  # as above, above which the peer is lost: it asks for answers and does not read them
YAMUX_FRAME = 2 * 65519  # bytes of data in one frame we send: what two messages of noise carry
WINDOW = 16 * MIB  # bytes that a peer may send on one stream, unread
WINDOW_GROWTH = 32 * MIB  # bytes by which all windows of one connection may exceed the first 256 KiB of each
BACKLOG = 256  # streams opened and not yet taken by the other side, either way; the next is reset, or waits
INBOUND = 512  # open streams of one connection that the peer opened; the next is reset
REFUSALS = 4096  # streams reset in a row for these reasons, after which the connection ends
PING_FIRST, PING_EVERY = 0.5, 30.0  # seconds from the start to the first ping, and between two
HALF_CLOSED = 60.0  # seconds of silence after which a stream that we ended, and the peer did not, is reset

# serving
IDLE = 60.0  # seconds an open stream may rest between two exchanges
# What streams may take: each its first window of 256 KiB, those of one connection WINDOW_GROWTH more, and the tensors
# that came over them, which their protocol bounds by itself (node.bounds.HELD). So 128 take up to 64 MiB.
STREAMS_PER_PROTOCOL = 128  # of one peer, behind which there may be many who ask; the next is told OVERLOADED
STREAMS_PER_PEER = 256  # of all protocols, gossip and DHT among them; the next is reset
STREAMS = 1024  # of all peers; the next is reset

# our own idle streams. Shorter than IDLE, so that we never pick one that the other side is just closing.
POOL_IDLE = 30.0
POOL_PER_PROTOCOL = 64  # of one peer: a new stream takes five times what a kept one does
POOL = 512
REPLAY = 512 * KIB  # bytes kept to say again on a fresh stream when a pooled one turns out to be dead

# connections
CONNECTIONS = 256
CONNECTIONS_PER_PEER = 4
DIAL_TIMEOUT = 15.0  # seconds for one address: TCP, noise, yamux
DIAL_STAGGER = 0.25  # seconds before the next address is tried beside the first (RFC 8305)
ADDRESSES = 16  # of one peer
ADDRESS_TEXT = 256  # bytes of one address
KNOWN_PEERS = 4096  # peers whose addresses we remember

# gossip
GOSSIP = 32 * KIB  # bytes of one message's payload
RPC = 256 * KIB  # bytes of one gossip RPC: a few messages, or control
RPC_PARTS = 256  # messages, subscriptions or control entries of one RPC
TOPICS_PER_PEER = 32
SENDER_RATE, SENDER_BURST = 40.0, 200.0  # messages a second from one neighbour, duplicates included
ORIGIN_RATE, ORIGIN_BURST = 2.0, 40.0  # messages a second that one author signed
BUCKETS = 4096  # peers whose rates are remembered
OFFENCES = 10  # a peer with more than these in OFFENCE_WINDOW is refused
OFFENCE_WINDOW = 60.0
REFUSAL = 600.0  # seconds a peer is refused
FLOOD_OFFENCE = 0.02  # what one message over its rate weighs; a REJECT weighs 1

# discovery
PROVIDERS = 16
LOOKUP_TIMEOUT = 10.0
PROVIDE_TIMEOUT = 15.0
REFRESH_PAUSE = 1.0  # seconds of quiet between two routing table refreshes
DHT_MESSAGE = 256 * KIB  # bytes of one message of the DHT's: twenty peers with their addresses, or one record
DHT_STREAMS_PER_PEER = 4  # of the DHT's, incoming; the next is reset
DHT_STREAM_TIME = 15.0  # seconds such a stream may last

# value records in the DHT
RECORD_KEY = 56  # bytes; twice that and the namespace are what other implementations take as a key
RECORD_VALUE = MAX_NAME_RECORD + 256  # bytes: a name record with its signature
RECORDS = 16384  # held for others; the one put longest ago goes first
RECORD_LIFE = 24 * 3600.0  # seconds a record is held after it was put last
RECORD_EVERY = 3600.0  # seconds after which its owner puts it again
RECORDS_OWNED = 4096
RECORD_PATIENCE = 3.0  # seconds that one peer has for one answer in a lookup, or to take a record
CLOSEST = 20  # peers nearest to a key that are asked for its record, and given it
LOOKUP_AT_ONCE = 10
LOOKUP_PEERS = 64  # asked in one lookup
LOOKUP_SEEN = 1024  # known in one lookup

# peer book and bootstrapping
BOOK_PEERS = 256
BOOK_BYTES = 512 * KIB
BOOK_PAUSE = 30.0  # seconds between two saves
BOOTSTRAPS = 64
BOOT_RETRY, BOOT_RETRY_MAX = 1.0, 60.0

# blobs
BLOB_TIMEOUT = 20.0  # seconds of silence after which a request has failed
BLOB_PEERS = 64  # peers asked for one blob
BLOB_STAGGER = 1.0  # seconds before the next peer is asked for an outline beside the one before
BLOB_WINDOW = 16 * MIB  # bytes asked of one peer at once
BLOB_MEMORY = 32 * MIB  # bytes of one blob asked for, come and being written
BLOB_BATCH_LEAST = 1 * MIB  # bytes stored at once, unless less came in BLOB_LINGER
BLOB_UNSTORED = (4 * MIB, 16 * MIB)  # bytes come and not on disk, which a crash costs: at first, and at most
BLOB_UNSTORED_PART = 32  # as above, between the two: one part of so many of what was stored since the start
BLOB_LINGER = 0.25  # seconds after which less is stored too
BLOB_DOUBLES = 8  # pieces asked of two peers at once, at the end
BLOB_SILENCE = 5.0  # seconds after which a peer that delivers nothing is replaced, where others can
BLOB_TRIES = 3  # failures of a peer in a row, after which it is not asked again
BLOB_REST = 2.0  # seconds before a peer that failed, or lacked much, is asked again, at most
BLOB_PATIENCE = 10.0  # seconds that a fetch waits for further peers when nobody can go on
UPLOADS, UPLOADS_PER_PEER = 64, 1  # chunks held in memory while they are sent: of all peers, of one
UPLOAD_BURST = 0.05  # seconds' worth of the upload rate that may go out at once
UPLOAD_REST = 0.05  # seconds between two chunks while an answer is in hand: 5 MiB a second are left to uploads
UPLOAD_TIMEOUT = 10.0  # seconds for a peer to take one chunk that it asked for

# services
RESTART, RESTART_MAX = 0.5, 30.0
