"""What is signed of a benchmark: by who measured it, and by the provider, which says that it answered so often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p import Channel
from wire.benchmark import (
    AskCountersignature,
    Benchmark,
    BenchmarkFile,
    Countersigned,
    countersign,
    is_countersigned,
    read_benchmark,
    sample_hash,
    sign_benchmark,
)
from wire.bounds import CLOCK_SKEW_MS
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import address_of, peer_id_of
from wire.manifest import SignedManifest
from wire.tier import Tier

from ..clock import now_ms
from . import bounds
from .samples import percentile
from .witness import Witness

if TYPE_CHECKING:
    from ..local import Local
    from ..peer import Peer
    from .driving import Step


def make_file(local: Local, manifest: SignedManifest, tier: Tier, inputs: bytes, step: Step) -> BenchmarkFile:
    """The measurer's signed benchmark of a step that is over; `inputs` is the hash of its pool.

    RecordError with the reason where a step is nothing to sign: no answer counted, or of more than one backend.
    """
    domain = local.network.domain
    if step.finished is None:
        raise RecordError("no answer was counted")
    if len(step.backends) > 1 or len(step.profiles) > 1:
        raise RecordError("more than one backend answered")
    (backend,), (profile,) = step.backends, step.profiles
    latencies, batches = sorted(step.samples.latencies), sorted(step.samples.together)
    receipts = tuple(step.receipts.kept)
    benchmark = Benchmark(
        model=manifest.model,
        measurer=local.key.address,
        provider=address_of(step.offer.peer),
        tier=tier,
        profile=profile,
        backend=backend,
        concurrency=step.load.clients,
        requests=len(latencies),
        items=sum(step.samples.items),
        failed=step.samples.failed,
        wrong=step.samples.wrong,
        duration_us=int(step.duration * 1e6),
        p50_us=percentile(latencies, 0.50),
        p99_us=percentile(latencies, 0.99),
        max_us=latencies[-1],
        together_p50=percentile(batches, 0.50),
        together_max=batches[-1],
        inputs=inputs,
        sampled=sample_hash(receipts, domain),
        begun_ms=step.finished[0],
        ended_ms=step.finished[1],
        measured_ms=now_ms(),
    )
    return BenchmarkFile(
        format=1,
        network=local.network.name,
        chain_id=domain.chain_id,
        contract=domain.contract,
        manifest=manifest,
        benchmark=sign_benchmark(benchmark, local.key, domain),
        countersignature=None,
        receipts=receipts,
    )


async def ask_countersignature(peer: Peer, provider: bytes, file: BenchmarkFile) -> bytes:
    """The provider's signature (65 bytes) over the benchmark; RemoteError when it gives none."""
    domain = peer.network.domain
    async with peer.host.exchange(peer_id_of(provider), "benchmarks") as channel:
        await channel.send(AskCountersignature(benchmark=file.benchmark))
        reply = await channel.receive(Countersigned, timeout=bounds.COUNTERSIGN_SECONDS)
    if not is_countersigned(file.benchmark, address_of(provider), reply.signature, domain):
        raise RemoteError(ErrorCode.BAD_RECORD, "the countersignature is not the provider's")
    return reply.signature


async def serve_benchmarks(channel: Channel, local: Local, witness: Witness) -> None:
    """Countersign a benchmark of this provider, when it answered as many requests as that counts."""
    question = await channel.receive(AskCountersignature, timeout=bounds.COUNTERSIGN_SECONDS)
    domain = local.network.domain
    benchmark = read_benchmark(question.benchmark, domain)
    if benchmark.provider != local.key.address:
        raise RemoteError(ErrorCode.REFUSED, "the benchmark is of another provider")
    if benchmark.measured_ms > now_ms() + CLOCK_SKEW_MS:
        raise RemoteError(ErrorCode.REFUSED, "the benchmark is from the future: set your clock")
    answers, items = witness.answered(benchmark)
    if benchmark.requests > answers or benchmark.items > items:
        raise RemoteError(
            ErrorCode.REFUSED,
            f"the benchmark counts {benchmark.requests} answers with {benchmark.items} items; this provider remembers "
            f"{answers} with {items} to you in that time, of that model, tier, profile and backend",
        )
    await channel.send(Countersigned(signature=countersign(question.benchmark, local.key, domain)))
