"""Every size, count and time that a model, or a worker it may have taken over, controls: all of the engine's bounds."""

from __future__ import annotations

from wire.bounds import KIB, MIB

GIB = 1024 * MIB

MAX_MODEL = 2 * GIB - 1  # an ONNX file: protobuf itself ends there
MAX_INLINED = KIB  # an external tensor of at most so much is moved into the graph, where most tools keep it anyway
MAX_NESTING = 64  # messages within messages: subgraphs, functions, types
MAX_NODES = 500_000  # of all graphs together; the largest model in use has about a tenth
MIN_MEMORY = 64 * MIB  # below that not even a small model's threads find room
MEMORY = 4 * GIB  # what a model may add to its worker's own memory
ALL_MEMORY = 8 * GIB  # of all workers, before one of them has to go
WORKER_MEMORY = 96 * MIB  # of one that holds a small model
MAX_THREADS = 255
MAX_MODELS = 8  # workers at once
MAX_QUEUE = 128  # requests waiting for one model
MAX_ROWS = 64  # rows of one execution
MOST_ROWS = 1024  # the most that MAX_ROWS can be set to
LENGTH = 512  # a free dim that is not a row's can be so large, in an engine that is built for sizes
MAX_LENGTH = 1 << 20  # the most that LENGTH can be set to
MAX_ENGINES = 16 * GIB  # built engines on disk; the least recently used goes first
CARD_MEMORY = 4 * GIB  # of the host's, that a card's libraries and pinned buffers take beside the model's own
CARD_SHARE = 0.9  # of a card's memory, for all models; the rest is for its libraries, and for others
CARD_DESCRIPTORS = 256  # that a card's driver may open besides those it has when the model is read
FOLDER_DESCRIPTORS = 64  # of a worker that works on files in a folder of its own
SHARED_FROM = 64 * KIB  # of a request's inputs, or outputs, from which on they go through shared memory
SHARED_KEPT = 16 * MIB  # of either half of that memory, which the worker keeps between two runs
MAX_LEFT_BEHIND = 4096  # empty folders of killed processes that one start removes
MAX_LOG = 4 * KIB  # of a worker's last words, kept for the error message
MAX_WITHDRAWN = 1024  # models remembered as refused

LOAD_TIMEOUT = 120.0  # seconds: start a worker, load, run once
BUILD_TIMEOUT = 1800.0  # seconds: the same, where an engine has to be built first
PROBE_TIMEOUT = 30.0
PROBE_MEMORY = 2 * GIB  # of a probe beside a card: what its libraries take for themselves
QUICK_TRIAL = 2.0  # seconds of one run, above which no trial of joined requests is made: little is gained there
COMPANY_SHARE = 0.25  # of a profile's tolerance: what a row's result may differ by in company, on a card
WATCH_EVERY = 0.25  # seconds, between two looks at the memory of a worker beside a card
EXIT_TIMEOUT = 1.0  # seconds a worker that closed its stream has to end before it is killed
# A payer picks the deadline, so a short one must not cost the worker: a run whose caller is gone goes on for this long.
LEAST_RUN = 1.0  # seconds
PATIENCE = 4  # or this many times what the model's trial run took, whichever is more
RESTART_DELAYS = (0.0, 2.0)  # seconds, after the first and the second death within the window; the third withdraws
DEATH_WINDOW = 600.0  # seconds
START_RETRY = 5.0  # seconds until the next try where the system had no room for a process

# Generation: what one request may ask of a decoder, and a decoder's files of the worker.
MAX_PROMPT = 32_768  # tokens
MAX_PROMPT_BYTES = 4 * MIB  # of text, before it is known how many tokens that makes
MAX_NEW_TOKENS = 8_192
MAX_CONTEXT = MAX_PROMPT + MAX_NEW_TOKENS
MAX_CACHE = GIB  # bytes of keys and values, counted before the first is made; a step holds them twice
MAX_STOPS = 8
MAX_STOP = 256  # bytes of one stop text
MAX_TEXT_OUT = MIB  # characters
MAX_TEMPERATURE = 100.0  # beyond it all tokens are equal
MAX_TOKENISER = 64 * MIB  # of tokenizer.json
MAX_SETTINGS = MIB  # of a configuration file
MAX_TEXT_TOKENS = 262_144  # of all texts of one request to a text model, padding counted
CHUNK = 256  # tokens of a prompt that run at once

# Proofs: a worker with EZKL in it.
PROOF_MEMORY = 4 * GIB  # what it may add; a circuit of 2**16 rows takes about one
PROOF_DISK = 4 * GIB  # of one file; the proving key is the largest, about 4 KiB a row
PROOF_SECONDS = 1800  # of processor time, over all threads
VERIFY_MEMORY = GIB
VERIFY_SECONDS = 3600  # of processor time, of one that stays for many checks
VERIFY_TIMEOUT = 10.0  # seconds, for one check, the start of a worker counted
