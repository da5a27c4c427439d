"""Every size, count, rate and time that a stranger on the network controls, in one place."""

from __future__ import annotations

from wire.bounds import KIB, MAX_NAME_RECORD, MAX_TENSOR_BYTES, MIB

# noise and yamux
HANDSHAKE_TIMEOUT = 10.0  # seconds for a connection to say who it is, both negotiations and noise
NEGOTIATION_TIMEOUT = 10.0  # seconds for an incoming stream to say what it is for
MULTISTREAM_LINE, MULTISTREAM_LINES = 1024, 64  # bytes of one line of a negotiation; lines of one, from either side
HANDSHAKE_MESSAGE = 16 * KIB  # bytes of one of them
RECEIVE_LEAST, RECEIVE_MOST = 16 * KIB, 320 * KIB  # bytes read from one connection at once
SEND_QUEUE = 512 * KIB  # bytes that the socket has not taken, above which data waits
SMALL_WRITE = 16 * KIB  # bytes of a write that need not wait until twice as much is queued
UNSENT = 128 * KIB  # bytes that the kernel takes before it has sent them: what is queued there goes before any answer
SEND_QUEUE_MOST = 4 * MIB  # as above, above which the peer is lost: it asks for answers and does not read them
YAMUX_FRAME = 2 * 65519  # bytes of data in one frame we send: what two messages of noise carry
WINDOW = 16 * MIB  # bytes that a peer may send on one stream, unread
WINDOW_GROWTH = 32 * MIB  # bytes by which all windows of one connection may exceed the first 256 KiB of each
HELD = 384 * MIB  # bytes of all connections, unread here or not taken there: the largest holder gives up first
STREAM_WEIGHT = 4 * KIB  # bytes that a stream counts for beside: its objects, and those of the task that serves it
FRAMES_AT_ONCE = 256  # frames looked at before others have their turn: a millisecond of processor
EMPTY_FRAME = 256  # bytes of data below which a frame counts as empty, as all do that carry none
EMPTY_RATE, EMPTY_BURST = 4000.0, 8000.0  # empty frames a second of one connection, which is read no faster
BACKLOG = 256  # streams opened and not yet taken by the other side, either way; the next is reset, or waits
INBOUND = 512  # open streams of one connection that the peer opened; the next is reset
REFUSALS = 4096  # streams reset in a row for these reasons, after which the connection ends
PING_FIRST, PING_EVERY = 0.5, 8.0  # seconds from the start to the first ping, and between two
SILENCE = 20.0  # seconds without a word, with a ping unanswered, after which the link is lost
HALF_CLOSED = 60.0  # seconds of silence after which a stream that we ended, and the peer did not, is reset

# connections
CONNECTIONS = 256  # the dialled ones and those that came in
CONNECTIONS_IN = 192  # that came in: what is left is for those that this peer dials, whatever strangers do
CONNECTIONS_PER_PEER = 4  # the oldest gives way to a fifth
CONNECTIONS_PER_RANGE = 32  # that came in from one /24 or IPv6 /48; local and relayed ones have no range
HALF_OPEN, HALF_OPEN_PER_RANGE = 64, 16  # that have not said who they are: the oldest gives way
ARRIVAL_RATE, ARRIVAL_BURST = 2.0, 48.0  # connections a second that one range may begin: each costs 2 ms of processor
WIDE_ARRIVAL_RATE, WIDE_ARRIVAL_BURST = 8.0, 128.0  # as above, a /16 or IPv6 /32: who has one has hundreds of ranges
ARRIVALS_RATE, ARRIVALS_BURST = 50.0, 400.0  # as above, all ranges together
GRACE = 60.0  # seconds for which one that we dialled is not sent away
# Connections of one /16 or IPv6 /32, above which they give way: before others who brought nothing; before anybody.
CROWD, CROWD_MOST = 8, 32
USELESS = 5.0  # seconds without an exchange, after which one gives way to whoever comes: a look around takes two
DIAL_TIMEOUT = 15.0  # seconds for one address: TCP, noise, yamux
DIAL_STAGGER = 0.25  # seconds before the next address is tried beside the first (RFC 8305)
ADDRESSES = 16  # of one peer
ADDRESS_TEXT = 256  # bytes of one address
PEER_ID = 64  # bytes of a peer's id: a long one takes time to be written out, as the square of its length
KNOWN_PEERS = 4096  # peers whose addresses we remember

# identify
IDENTIFY = 16 * KIB  # bytes of what a peer says of itself: others send 8 at most
PROTOCOLS, PROTOCOL_TEXT = 64, 128  # that it names; characters of a name
PEER_RECORD = 4 * KIB  # bytes of its signed addresses, which cost a signature to check
PUSH_RATE, PUSH_BURST = 0.1, 10.0  # a second: how often a peer may say something new

# standing
OFFENCES = 10  # a peer with more than these, faded, is refused
SCORE_HALF_LIFE = 600.0  # seconds in which what a peer did fades to a half: one offence in 92 s is borne for ever
MERITS = 10.0  # what a peer may have brought, faded; more counts as this
OF_USE = 0.5  # the score from which a peer is not sent away for a stranger
EXCHANGE_MERIT = 0.2  # what a peer's good answer counts, where a new and good message counts 1
REFUSAL, BAN_MOST = 600.0, 24 * 3600.0  # seconds a peer is refused: the first time; at most, after doubling each time
BAN_FORGOTTEN = 3 * 24 * 3600.0  # seconds after a ban's end in which the next one counts as a repetition
BAN_TIMES = 64  # repetitions counted
RANGE_BANNED, RANGE_WINDOW = 4, 3600.0  # peers of one range banned within so many seconds, for which all of it is:
RANGE_REFUSAL = 1800.0  # seconds that a range is refused; those of it that are connected stay
RANGES = 1024  # ranges remembered
RULE_TEXT = 64  # characters of a rule's name
STANDING_BYTES = 1 * MIB  # of the file that keeps all this
STANDING_PAUSE = 60.0  # seconds between two saves of scores; a ban is saved at once

# streams
PIECE = 256 * KIB  # bytes of one DATA frame we send
READ = 256 * KIB  # bytes asked of a stream at once: what has come; each read costs the same, however little it gives
SKIPPED = MAX_TENSOR_BYTES + 4 * MIB  # DATA of a failed exchange that is read and thrown away, at most
MIN_RATE = 64 * KIB  # bytes a second below which a run of DATA counts as stalled
WRITE_TIMEOUT = 30.0  # seconds for one write to a stream
OPEN_TIMEOUT = 10.0  # seconds to open a stream on a connection that stands
CLOSE_TIMEOUT = 2.0  # seconds to say goodbye before a reset

# serving
IDLE = 60.0  # seconds an open stream may rest between two exchanges
# What streams may take: each its first window of 256 KiB, those of one connection WINDOW_GROWTH more, and the tensors
# that came over them, which their protocol bounds by itself (node.bounds.MAX_HELD). So 128 take up to 64 MiB.
STREAMS_PER_PROTOCOL = 128  # of one peer, behind which there may be many who ask; the next is told OVERLOADED
STREAMS_PER_PEER = 256  # of all protocols, gossip and DHT among them; the next is reset
STREAMS = 1024  # of all peers; the next is reset
STREAM_RATE, STREAM_BURST = 300.0, 1000.0  # streams a second of one peer that are begun with: 0.5 ms of processor each

# our own idle streams. Shorter than IDLE, so that we never pick one that the other side is just closing.
POOL_IDLE = 30.0
POOL_PER_PROTOCOL = 64  # of one peer: a new stream takes five times what a kept one does
POOL = 512
REPLAY = 512 * KIB  # bytes kept to say again on a fresh stream when a pooled one turns out to be dead

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
BLOB_LACKED = 5.0  # seconds after which a peer that lacks all that is missing may have fetched some of it
BLOB_PATIENCE = 10.0  # seconds that a fetch waits for further peers when nobody can go on
UPLOADS, UPLOADS_PER_PEER = 64, 1  # chunks held in memory while they are sent: of all peers, of one
UPLOAD_BURST = 0.05  # seconds' worth of the upload rate that may go out at once
UPLOAD_REST = 0.05  # seconds between two chunks while an answer is in hand: 5 MiB a second are left to uploads
UPLOAD_TIMEOUT = 10.0  # seconds for a peer to take one chunk that it asked for

# gossip
GOSSIP = 32 * KIB  # bytes of one message's payload
RPC = 256 * KIB  # bytes of one gossip RPC: a few messages, or control
RPC_PARTS, RPC_IDS = 256, 5120  # messages, subscriptions or control entries of one RPC; ids in them
RPC_COST = 512  # bytes that an RPC counts for beside its own
MESSAGE_ID = 72  # bytes: an author and eight of its seqno
AUTHOR_KEY, AUTHOR_SIGNATURE = 600, 512  # bytes: those of RSA keys of 4,096 bits
TOPICS_PER_PEER, TOPIC_TEXT = 32, 128  # topics that a neighbour takes part in; characters of one
SENDER_RATE, SENDER_BURST = 160.0, 640.0  # messages a second from one neighbour, duplicates included
# Messages of others a second that are passed on to one neighbour: what it takes, even if all of them come late at once.
FORWARD_RATE, FORWARD_BURST = 80.0, 320.0
OLDER_RATE, OLDER_BURST = 20.0, 100.0  # as above, to a peer of 0.1, which takes 40 (200 at once), and asks for the rest
SENDER_BYTES, SENDER_BYTES_BURST = 4 * MIB, 16 * MIB  # bytes a second that are read of one neighbour
UNPROVEN_RATE, UNPROVEN_BURST = 400.0, 1200.0  # new messages a second of all who have not brought anything good
JUDGED_RATE, JUDGED_BURST = 1200.0, 3600.0  # new messages a second of all: each costs a signature, 0.2 ms or so
ORIGIN_RATE, ORIGIN_BURST = 2.0, 40.0  # messages a second that one author signed
BUCKETS = 4096  # peers whose rates are remembered
BYTES_PAUSE = 0.1  # seconds before a neighbour over SENDER_BYTES is read again
HEARTBEAT = 1.0  # seconds
INBOUND_GOSSIP = 3  # streams of one neighbour; the next takes the place of the oldest
GOSSIP_READ = 64 * KIB
OUTBOX = 512 * KIB  # bytes that wait for one neighbour to take them
OUTBOX_WRITE = 64 * KIB  # bytes written at once
OUTBOX_PATIENCE = 10.0  # seconds for that, after which the stream is opened anew and what waited is lost
REOPEN, REOPEN_MAX = 0.1, 30.0  # seconds before a stream that broke is opened anew

# the gossip mesh: of one topic, unless it says otherwise
D, D_LOW, D_HIGH = 6, 4, 12  # neighbours that are sent every message: how many it should be, and must be
D_TRIM = 8  # at a heartbeat, more than these become D again; those up to D_HIGH are newcomers who are tried
D_OUT, D_SCORE = 2, 4  # of those who stay: the best that we dialled, and the best by score
D_LAZY, LAZY_PART = 6, 4  # others that are offered ids at a heartbeat: so many, or one of so many
MESH_PER_RANGE = 2  # neighbours of one mesh in one range of addresses
MESH_PER_WIDE = 3  # as above, in one /16 or IPv6 /32, while others want a place; below D_LOW anybody has one
MESH_SCORE = -0.5  # below this score a neighbour has no place in a mesh
GOSSIP_SCORE = -3.0  # below this one it is offered nothing, and asked for nothing
OPPORTUNITY_BEATS, OPPORTUNITY_PEERS, OPPORTUNITY_SCORE = 10, 2, 1.0  # heartbeats between two looks for better ones
PRUNE_BACKOFF, LEFT_BACKOFF = 60.0, 10.0  # seconds before the next graft, after a prune and after leaving
# As above, after a prune for want of room. With a minute, peers behind routers, who have few to choose among, are left
# out in turn; with less than 10 s, peers of 0.1 and others take the next graft for a flood.
FULL_BACKOFF = 12.0
BACKOFF_MOST, BACKOFF_SLACK = 600.0, 2.0  # seconds of it that a peer may ask for; by which we are late, and it early
BACKOFFS = 16384
FLOOD_PEERS = 64  # beyond the mesh that hear our own messages at once
LARGE = 2 * KIB  # bytes of a message from which on neighbours are told that it is here
HISTORY, HISTORY_OFFERED = 5, 3  # heartbeats for which messages are kept, and their ids offered
HISTORY_BYTES = 16 * MIB
SEEN_GENERATION, SEEN_GENERATIONS = 60.0, 3  # seconds of one: an id is known for two of them at least
SEEN = 65536  # ids
IHAVE_IDS, IHAVE_IDS_READ = 200, 1000  # ids in one IHAVE: of ours (a peer of 0.1 takes 256 parts), and of others
IHAVES = 16  # of one peer between two heartbeats
IWANT_IDS = 200  # ids asked of one peer between two heartbeats; twice as many messages are sent it for its asking
RETELLS = 3  # times one message is sent to one peer for its asking
PROMISE = 3.0  # seconds in which what was offered has to come
ASKED = 7  # ids asked of one peer that have not come: as many as fit one RPC, for some send them all in one
OWED = 8192
UNWANTED = 1024  # ids that a peer need not be sent, in five heartbeats
CONTROLS = 128  # subscriptions, GRAFTs and PRUNEs of one peer between two heartbeats

# the DHT: as a client
PROVIDERS = 16  # of one key that a lookup gives back
PROVIDED = 4096  # keys that one peer provides, ours and of others here
PROVIDE_EVERY = 3600.0  # seconds after which a provider says so again, less up to a quarter
PROVIDE_RETRY, PROVIDE_RETRY_MOST = 5.0, 600.0  # as above, where nobody took it
PROVIDE_PACE, PROVIDE_BURST = 1.1, 8  # seconds a key, so many at once: a peer of 0.1 takes ten in ten from one
LOOKUP_TIMEOUT = 10.0
PROVIDE_TIMEOUT = 15.0
CLOSEST = 20  # peers nearest to a key that are asked about it, told of it and named; peers of one bucket
LOOKUP_AT_ONCE = 10
LOOKUP_SLOW = 0.75  # seconds after which a peer that has not answered is waited for beside the others
LOOKUP_PEERS = 64  # asked in one lookup
LOOKUP_SEEN = 1024  # known in one lookup
LOOKUP_PER_WIDE = 4  # that answer in one /16 or IPv6 /32, among strangers; as many providers come before others
REFRESH_PAUSE = 1.0  # seconds of quiet between two looks at the routing table
REFRESH_EVERY, REFRESH_WALK = 60.0, 600.0  # seconds after which it is looked at, and our place walked to, anyway
REFRESH_REST = 15.0  # seconds between two walks to our own place, once the table has CLOSEST peers
DHT_QUIET = 600.0  # seconds of silence after which a peer of the routing table is asked whether it is there
DHT_PROBES = 4  # such peers that are asked between two looks

# the DHT: as a server
DHT_MESSAGE = 256 * KIB  # bytes of one message of the DHT's: twenty peers with their addresses, or one record
DHT_KEY = 80  # bytes of a provided key
DHT_TOLD = 4  # addresses of one peer that is named
DHT_ADDRESSES_AGAIN = 30.0  # seconds for which those are not looked up again
DHT_STREAMS_PER_PEER = 4  # of the DHT's, incoming; the next is reset
DHT_STREAM_TIME = 15.0  # seconds such a stream may last
DHT_RATE, DHT_BURST = 40.0, 400.0  # messages a second of one peer: some 0.2 ms of processor each
STORE_RATE, STORE_BURST = 4.0, 64.0  # of these, those that leave something here
PROVIDER_LIFE = 4 * 3600.0  # seconds without its provider's word after which a record lapses
PROVIDER_RECORDS = 32768  # pairs of a key and a provider
PROVIDERS_PER_KEY, PROVIDERS_TOLD = 64, 20

# value records in the DHT
RECORD_KEY = 56  # bytes; twice that and the namespace are what other implementations take as a key
RECORD_VALUE = MAX_NAME_RECORD + 256  # bytes: a name record with its signature
RECORDS, RECORDS_BYTES = 16384, 32 * MIB  # held for others; the one farthest from this peer goes first
RECORDS_PER_OWNER, RECORDS_PER_GIVER = 256, 2048  # of one signer; that one peer put here
RECORD_LIFE = 24 * 3600.0  # seconds a record is held after it was put last
RECORD_EVERY = 3600.0  # seconds after which its owner puts it again
RECORDS_OWNED = 4096
RECORD_PATIENCE = 3.0  # seconds that one peer has for one answer in a lookup, or to take a record

# joining: the peer book, seeds, whom to dial
BOOK_PEERS = 256
BOOK_BYTES = 512 * KIB
BOOK_PAUSE = 30.0  # seconds between two saves
BOOK_WORKED = 4  # addresses of one peer that are kept because we reached it there
BOOK_WORKED_MS = 56 * 24 * 3600 * 1000  # for how long after the last time
BOOK_TOLD_MS = 14 * 24 * 3600 * 1000  # how long addresses are kept that others only said
BOOTSTRAPS = 64
BOOT_RETRY, BOOT_RETRY_MAX = 1.0, 60.0  # seconds before one that failed is tried again, alone; give or take a quarter
BOOT_PATIENCE = 10.0  # times that, with company
BOOT_BATCH, BOOT_STAGGER = 8, 0.5  # dials begun at once, and seconds before the next while nobody answers
BOOT_AT_ONCE = 64
BOOT_GROW = 10.0  # seconds between two dials for more company
BOOT_LOOK = 0.25  # seconds between two looks at who is connected, in company
BOOT_HEARD = 32  # peers heard of that are considered for one
BOOT_REMEMBERED = 1024  # peers of whose last dial something is remembered
OUTBOUND = 4  # ranges in which a peer that listens has dialled somebody, where there are so many
ANCHORS = 2  # dialled peers that are tried first after a restart
SEED_QUERY, SEED_TIME = 4.0, 8.0  # seconds for one question to DNS, and for all about one seed
SEED_DEPTH, SEED_NAMES = 4, 16  # names behind a name; all names of one seed
SEED_RECORDS, SEED_ADDRESSES = 100, 64  # TXT records read of one name; addresses taken of one seed
SEED_AGAIN = 60.0  # seconds before a name is asked for again, alone

# meeting through a public network
RENDEZVOUS_NAMED = 64  # addresses looked at of one of its peers, of all transports
RENDEZVOUS_ADDRESSES = 8  # of those, tried one after the other
RENDEZVOUS_DIAL = 5.0  # seconds for one of them
RENDEZVOUS_PATIENCE = 12.0  # seconds for one of its peers in all: dialling it, and one answer
RENDEZVOUS_WALK = 60.0  # seconds to look, and as many to provide
RENDEZVOUS_FOUND = 64  # peers of ours that it may name in one walk
RENDEZVOUS_SLOW = 2.0  # seconds after which one of its peers that has not answered is waited for beside the others
RENDEZVOUS_DIALLED, RENDEZVOUS_AT_ONCE = 16, 4  # of those, the first, that are dialled
RENDEZVOUS_KNOWN = 1024  # peers that were dialled for it in vain, not dialled again for RENDEZVOUS_REST
RENDEZVOUS_REST = 3600.0
RENDEZVOUS_FEW = 4  # connected peers, below which it is looked every RENDEZVOUS_SOON
RENDEZVOUS_SOON, RENDEZVOUS_LATER = 180.0, 2 * 3600.0
RENDEZVOUS_PROVIDE = 12 * 3600.0  # seconds, of the 24 to 48 hours that such a word is kept there
RENDEZVOUS_MOVED = 300.0  # seconds before other addresses are said
RENDEZVOUS_RETRY, RENDEZVOUS_RETRY_MOST = 15.0, 1800.0  # seconds to the next try when nobody answers
RENDEZVOUS_PULSE = 5.0  # seconds between two looks at whether anything is due

# being reached directly
CHECKERS, CHECKERS_AGREEING, CHECKERS_MOST = 3, 2, 7  # networks asked; of them that must agree; asked when they do not
CHECK_STRIKES = 2  # polls in a row that take from an address what one gave it
CHECK_SETTLE = 1.0  # seconds from a change of addresses to the question about it: changes come in groups
CHECK_EVERY = 300.0  # seconds between two polls that were answered, less up to half of it: three connections each
CHECK_RETRY, CHECK_RETRY_MOST = 30.0, 600.0  # seconds before the next one where too few could be asked
CHECK_GRACE = 10.0  # seconds after the start in which no peer is no sign of being alone
CHECKER_REST, CHECKER_REST_LONG = 120.0, 3600.0  # before a peer that gave no answer, or knows no dial-back, is asked
CHECKERS_SHOWN = 16
INTERFACES_EVERY = 3.0  # seconds between two looks at this machine's own addresses
OBSERVERS = 256  # peers whose word on our address is remembered
DIAL_BACK_ADDRESSES = 4  # asked about at once
DIAL_BACK_TIME = 5.0  # seconds for one address
DIAL_BACK_PATIENCE = 15.0  # seconds for the whole answer
DIAL_BACK_RATE, DIAL_BACK_BURST = 1 / 10, 6.0  # questions a second of one peer
DIAL_BACK_NETWORK_RATE, DIAL_BACK_NETWORK_BURST = 0.5, 20.0  # of all peers in one network
DIAL_BACK_ALL_RATE, DIAL_BACK_ALL_BURST = 5.0, 50.0
DIAL_BACKS = 16  # under way at once

# peers in the same LAN
MDNS_PORT = 5353
MDNS_PACKET = 9000  # bytes (RFC 6762)
MDNS_RATE, MDNS_BURST = 20.0, 100.0  # packets a second that are looked at
MDNS_ANSWERS = 1.0  # a second, of ours
MDNS_FIRST, MDNS_EVERY = 1.0, 60.0  # seconds between two questions: at first, twice as long each time, and at most
MDNS_LIFE = 120  # seconds that others may remember an answer
LAN_RATE, LAN_BURST = 20 / 60, 20.0  # peers of the LAN that are dialled, a second

# mapping a port
MAPPING_LIFE = 3600.0  # seconds asked for; renewed at half of what is given, and after
MAPPING_AGAIN = 120.0  # seconds at the latest: routers forget, when they start anew, and tell nobody
MAPPING_TRIES, MAPPING_WAIT = 3, 0.25  # packets to a router, and seconds for the first answer, twice as long each time
MAPPING_RETRY, MAPPING_RETRY_MOST = 20.0, 1800.0  # before a router is asked again that forgot us, or that maps nothing
UPNP_WAIT, UPNP_TIME = 1.0, 12.0  # seconds for routers to answer a search; for all of it
UNMAPPING_TIME = 1.5  # seconds that the end waits for a router

# relaying for others
RELAY_RESERVATIONS, RELAY_RESERVATIONS_PER_RANGE, RELAY_RESERVATIONS_PER_WIDE = 128, 16, 32
RELAY_CIRCUITS, RELAY_CIRCUITS_PER_RANGE, RELAY_CIRCUITS_PER_PEER = 64, 32, 16
RELAY_LIFE = 3600.0  # seconds a reservation holds, unless its peer goes before
RELAY_TIME, RELAY_BYTES = 3600.0, 1024 * MIB  # of one circuit to a peer of our network; bytes each way
RELAY_TIME_STRANGER, RELAY_BYTES_STRANGER = 120.0, 128 * KIB  # as above, to any other: what libp2p's relays give
RELAY_RATE, RELAY_RATE_ALL = 16 * MIB, 64 * MIB  # bytes a second of one circuit, both ways, and of all of them
RELAY_BURST = 0.5  # seconds' worth of a rate that may pass at once
RELAY_WINDOW = 1 * MIB  # bytes that one side of a circuit may send before the other took them
RELAY_REQUESTS, RELAY_REQUESTS_BURST = 2.0, 40.0  # of one peer, a second
RELAY_MESSAGE = 4 * KIB  # bytes of one message of the relay's protocols
RELAY_TIMEOUT = 10.0  # seconds for one of them to come, or to be taken
RELAY_METERED = 4096  # peers whose bytes are remembered

# being reached over relays
RELAYS_WANTED, RELAYS_NEEDED = 3, 2  # reservations held, and below which more relays are looked for
RELAYS_KNOWN = 64
RELAY_LIFE_LEAST, RELAY_LIFE_MOST = 120.0, 24 * 3600.0  # seconds a reservation is taken to hold: relays' clocks differ
RELAY_SHAKING = 48  # circuits of one relay whose handshake is under way
RELAY_RETRY, RELAY_RETRY_MAX = 1.0, 20.0  # seconds before a relay that failed is asked again
RELAY_UNSURE = 20.0  # seconds after which who does not know whether it can be dialled takes it that it cannot
RELAY_DOUBT = 30.0  # seconds to have a reservation confirmed that may be lost
RELAY_SEARCH = 60.0  # seconds between two searches of the DHT
RELAY_REVIEW = 300.0  # seconds between two looks for nearer relays
RELAY_ADDRESSES = 3  # of one relay that we tell others
CIRCUIT_STAGGER = 0.5  # seconds that a peer's direct addresses have before a relay is tried beside them
STANDBY = 600.0  # seconds a relayed connection rests beside a direct one before it is closed
SURPLUS = 15.0  # and a second direct one, where both sides dialled

# hole punching
PUNCH_TRIES = 3
PUNCH_TIME = 4.0  # seconds of one try
PUNCH_PAUSE = 0.1  # seconds between two SYNs of it, where the other router refuses them
PUNCH_ADDRESSES = 4
PUNCHES = 16  # under way at once
PUNCH_RATE, PUNCH_BURST = 0.5, 16.0  # a second, with all peers together: beyond, they stay behind their relays
PUNCH_ANSWERS = 3  # times that whoever answers at an address may turn out to be another
PUNCH_REST = 600.0  # seconds before a pair that failed tries again

# services
RESTART, RESTART_MAX = 0.5, 30.0
