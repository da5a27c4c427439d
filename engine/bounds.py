"""Every size, count and time that a model, or a worker it may have taken over, controls: all of the engine's bounds."""

from __future__ import annotations

from wire.bounds import KIB, MIB

GIB = 1024 * MIB

MAX_MODEL = 2 * GIB - 1  # an ONNX file: protobuf itself ends there
MAX_NESTING = 64  # messages within messages: subgraphs, functions, types
MAX_NODES = 500_000  # of all graphs together; the largest model in use has about a tenth
MIN_MEMORY = 64 * MIB  # below that not even a small model's threads find room
MEMORY = 4 * GIB  # what a model may add to its worker's own memory
MAX_THREADS = 255
MAX_MODELS = 8  # workers at once
MAX_QUEUE = 32  # requests waiting for one model
MAX_LOG = 4 * KIB  # of a worker's last words, kept for the error message
MAX_WITHDRAWN = 1024  # models remembered as refused

LOAD_TIMEOUT = 120.0  # seconds: start a worker, load, run once
PROBE_TIMEOUT = 30.0
EXIT_TIMEOUT = 1.0  # seconds a worker that closed its stream has to end before it is killed
# A payer picks the deadline, so a short one must not cost the worker: a run whose caller is gone goes on for this long.
LEAST_RUN = 1.0  # seconds
PATIENCE = 4  # or this many times what the model's trial run took, whichever is more
RESTART_DELAYS = (0.0, 2.0)  # seconds, after the first and the second death within the window; the third withdraws
DEATH_WINDOW = 600.0  # seconds
START_RETRY = 5.0  # seconds until the next try where the system had no room for a process
