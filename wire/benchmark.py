"""A benchmark: what one peer measured of another, signed by who measured, and countersigned by who answered.

The receipts of a sample travel with it, so that a stranger need not believe that the provider answered at all, with
which backend and when. What no signature covers is how long the answers took on their way: that is the measurer's word.

measurer → provider   AskCountersignature
provider → measurer   Countersigned, or REFUSED when it did not answer so many requests
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from .bounds import KIB, MAX_RECORD, U63, Address, Hash32, Name, Signature65, TimeMs
from .canonical import Record, decode, encode
from .cid import content_hash
from .eip712 import Domain, StructType
from .errors import RecordError
from .inference import Backend, SignedReceipt, Together
from .keys import NodeKey, signed_by
from .manifest import SignedManifest
from .signed import Signed, check_signature, sign
from .tier import Tier

BENCHMARK = StructType("Benchmark", ("address", "measurer"), ("bytes32", "benchmark"))
COUNTERSIGNATURE = StructType("Countersignature", ("address", "provider"), ("bytes32", "benchmark"))

MAX_SAMPLED = 64  # receipts that travel with a benchmark
MAX_CLIENTS = 4096  # requests in flight at once
MAX_BENCHMARK_FILE = MAX_RECORD + MAX_SAMPLED * 2 * KIB


class Benchmark(Record):
    """One step of a closed loop: `concurrency` clients, each with one request in flight, for `duration_us`.

    Counted are the requests whose right answer came within that time. A percentile is the smallest latency that at
    least so many of them did not exceed (nearest rank). `begun_ms` and `ended_ms` are the first and the last
    `finished_ms` of the counted receipts, so of the provider's clock.
    """

    model: Hash32
    measurer: Address
    provider: Address
    tier: Tier
    profile: Name
    backend: Backend  # as every counted receipt names it
    concurrency: Annotated[int, Meta(ge=1, le=MAX_CLIENTS)]
    requests: U63
    items: U63  # the counted receipts' units
    failed: U63  # requests that brought no proved answer
    wrong: U63  # answers that differ from the measurer's reference
    duration_us: U63
    p50_us: U63
    p99_us: U63
    max_us: U63
    together_p50: Together  # of the counted receipts' `runtime.together`
    together_max: Together
    inputs: Hash32  # of the inputs' tensor hashes, joined in the order in which they took turns
    sampled: Hash32  # see `sample_hash`
    begun_ms: TimeMs
    ended_ms: TimeMs
    measured_ms: TimeMs  # the measurer's clock


class SignedBenchmark(Signed):
    """A benchmark's canonical bytes with the measurer's signature over their hash."""


class BenchmarkFile(Record):
    """A benchmark with all that a stranger needs to check it offline."""

    format: Annotated[int, Meta(ge=1, le=1)]
    network: Name
    chain_id: U63
    contract: Address
    manifest: SignedManifest
    benchmark: SignedBenchmark
    countersignature: Signature65 | None
    receipts: Annotated[tuple[SignedReceipt, ...], Meta(max_length=MAX_SAMPLED)]


class AskCountersignature(Record, tag="countersign", tag_field="type"):
    """Did you answer so many requests? Then sign it."""

    benchmark: SignedBenchmark


class Countersigned(Record, tag="countersigned", tag_field="type"):
    """The provider's signature over the same bytes, under a struct type of its own."""

    signature: Signature65


def sample_hash(receipts: Sequence[SignedReceipt], domain: Domain) -> bytes:
    """What a benchmark says of the receipts that travel with it: the hash of their digests, joined."""
    return content_hash(b"".join(receipt.receipt.digest(domain) for receipt in receipts))


def sign_benchmark(benchmark: Benchmark, key: NodeKey, domain: Domain) -> SignedBenchmark:
    """The measurer's signed benchmark; ValueError when `key` is not the measurer's."""
    if benchmark.measurer != key.address:
        raise ValueError("the benchmark names another measurer than the key that would sign it")
    return sign(SignedBenchmark, BENCHMARK, encode(benchmark), key, domain)


def read_benchmark(signed: SignedBenchmark, domain: Domain) -> Benchmark:
    """The benchmark inside, its bounds, its figures and the measurer's signature checked."""
    benchmark = decode(signed.body, Benchmark)
    check_signature(signed, BENCHMARK, benchmark.measurer, domain)
    check_figures(benchmark)
    return benchmark


def check_figures(benchmark: Benchmark) -> None:
    """RecordError when the figures contradict each other, whoever measured them.

    A client's counted requests follow each other, and only its first may have begun before the time that counts. So
    their latencies sum to no more than the clients' time, and half of them are at least the median (Little's law). The
    provider's clock ran no longer than the measurer's, but for one request's time.
    """
    b = benchmark
    if not b.requests or not b.items:
        raise RecordError("Benchmark: it counts no request")
    if not b.p50_us <= b.p99_us <= b.max_us:
        raise RecordError("Benchmark: its percentiles are not in order")
    if b.together_p50 > b.together_max:
        raise RecordError("Benchmark: its batches have a median above the largest")
    room = b.duration_us + b.max_us
    if b.requests * b.p50_us > 2 * b.concurrency * room:
        raise RecordError(f"Benchmark: {b.concurrency} clients cannot have waited for {b.requests} answers so long")
    if not b.begun_ms <= b.ended_ms or (b.ended_ms - b.begun_ms - 1) * 1000 > room:
        raise RecordError("Benchmark: by the provider's clock its answers took longer than they were counted")


def countersign(signed: SignedBenchmark, key: NodeKey, domain: Domain) -> bytes:
    """The provider's signature over a measurer's benchmark."""
    return key.sign(COUNTERSIGNATURE.digest(domain, key.address, signed.hash))


def is_countersigned(signed: SignedBenchmark, provider: bytes, signature: bytes, domain: Domain) -> bool:
    """Whether the provider with this address signed the benchmark, for this network."""
    return signed_by(provider, COUNTERSIGNATURE.digest(domain, provider, signed.hash), signature)
