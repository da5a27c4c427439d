"""`hallmark bench` against real providers, one of which lies; and who gets a countersignature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from p2p import Channel
from wire.benchmark import (
    AskCountersignature,
    Benchmark,
    Countersigned,
    SignedBenchmark,
    is_countersigned,
    sample_hash,
    sign_benchmark,
)
from wire.errors import RemoteError
from wire.inference import SignedReceipt
from wire.keys import NodeKey

from .running import Ended, hallmark
from .strangers import SECONDS, Stranger, stranger
from .town import Fort, Town

QUICK = ["--duration", "500ms", "--max-price", 1, "--json"]


def steps_of(ended: Ended) -> dict[tuple[str, int], dict[str, Any]]:
    (model,) = ended.json["models"]
    return {(step["peer"], step["clients"]): step for step in model["steps"]}


def test_an_honest_provider_is_measured_and_one_that_lies_counts_for_nothing(town: Town, tmp_path: Path) -> None:
    a, liar = town.a.key.peer_id, town.liar.key.peer_id
    report, records = tmp_path / "report.html", tmp_path / "records"
    asked = ["--all", "--local", "--concurrency", "1,4", "--report", report, "--records", records]
    ended = town.a.run("bench", "--model", "twin", *asked, *QUICK)
    assert ended.code == 8, ended.said
    steps = steps_of(ended)
    assert set(steps) == {(peer, clients) for peer in (a, liar) for clients in (1, 4)}
    for clients in (1, 4):
        honest, wrong = steps[a, clients], steps[liar, clients]
        assert (honest["wrong"], honest["failed"]) == (0, 0), honest
        assert honest["requests"] == honest["items"] > 0
        assert 0 < honest["p50_us"] <= honest["p99_us"] <= honest["max_us"]
        assert honest["backend"].startswith("onnxruntime ")
        assert honest["backend"].endswith(" on cpu")
        assert honest["price_per_1000"] == 1000
        assert 1 <= honest["batch_p50"] <= honest["batch_max"] <= clients
        assert 0 < honest["share_of_direct"] < 1
        assert honest["countersigned"], honest["unsigned"]
        assert wrong["wrong"] > 0
        assert wrong["why_wrong"]
        assert wrong["requests"] < wrong["wrong"]  # but for inputs whose answer looks alike when it is turned
    told = [line for line in ended.out.splitlines() if '"event": "step"' in line]
    assert len(told) == 4
    assert "own engine" in ended.json["models"][0]["reference"]
    assert a in report.read_text()
    signed = [path for path in records.iterdir() if a[-8:] in path.name]
    assert len(signed) == 2
    for path in signed:
        verified = hallmark("verify", path, "--network", town.file(), "--json")
        assert (verified.code, verified.json["countersigned"]) == (0, True), verified.said
        assert verified.json["provider"] == a
        assert verified.json["backend"].endswith(" on cpu")
        assert 1 <= verified.json["batch_p50"] <= verified.json["batch_max"] <= 4


def test_a_machine_without_the_model_compares_with_what_a_committee_certified(town: Town) -> None:
    """From a short-lived peer, and at tier quorum: every counted answer has its certificate."""
    asked = ["--peer", town.a.key.peer_id, "--tier", "quorum", "--concurrency", 2]
    ended = hallmark(
        "bench", "--model", town.cids["logs"], *asked, *QUICK, "--bootstrap", town.a.address, directory=town.desk()
    )
    assert ended.code == 0, ended.said
    assert "certified" in ended.json["models"][0]["reference"]
    (step,) = steps_of(ended).values()
    assert step["tier"] == "quorum"
    assert step["requests"] > 0
    assert step["countersigned"]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--peer", "16Uiu2HAmEWQnHq2jLKJypwVnVoQeFCULuyop6atvq2eWjYSUjzNi"], 5, "does not offer this model"),
        (["--max-price", 0], 5, "you allow 0"),
    ],
)
def test_whom_it_cannot_measure_it_names(town: Town, flags: list[str], code: int, words: str) -> None:
    asked = ["bench", "--model", "logs", "--duration", "100ms", "--concurrency", 1, *flags]
    ended = town.b.run(*asked)
    assert (ended.code, words in ended.err) == (code, True), ended.said
    assert "Traceback" not in ended.said


@pytest.fixture
async def measured(fort: Fort) -> Any:
    """A stranger whom the fort has answered three times, and the honest figures of that."""
    async with stranger(fort) as who:
        receipts = [(await who.ask(who.request()))[0].receipt for _ in range(3)]
        yield who, receipts, figures(who, receipts)


def figures(who: Stranger, receipts: list[SignedReceipt]) -> Benchmark:
    times = [signed.receipt.finished_ms for signed in receipts]
    first = receipts[0].receipt
    return Benchmark(
        model=first.model,
        measurer=who.key.address,
        provider=first.provider,
        tier=first.tier,
        profile=first.runtime.profile,
        backend=first.runtime.backend,
        concurrency=1,
        requests=len(receipts),
        items=len(receipts),
        failed=0,
        wrong=0,
        duration_us=60_000_000,
        p50_us=1000,
        p99_us=2000,
        max_us=2000,
        together_p50=1,
        together_max=max(signed.receipt.runtime.together for signed in receipts),
        inputs=bytes(32),
        sampled=sample_hash(receipts, who.fort.network.domain),
        begun_ms=min(times),
        ended_ms=max(times),
        measured_ms=max(times),
    )


async def sign(channel: Channel, signed: SignedBenchmark) -> bytes:
    await channel.send(AskCountersignature(benchmark=signed))
    reply: Countersigned = await channel.receive(Countersigned, timeout=SECONDS)
    return reply.signature


async def test_a_provider_signs_what_it_answered_and_nothing_more(measured: Any) -> None:
    who, _, honest = measured
    domain = who.fort.network.domain

    def changed(key: NodeKey = who.key, **changes: Any) -> SignedBenchmark:
        return sign_benchmark(msgspec.structs.replace(honest, **changes), key, domain)

    another = NodeKey.generate()
    card = msgspec.structs.replace(honest.backend, name="tensorrt", device="NVIDIA H200")
    refused = {
        "more answers": changed(requests=4, items=4),
        "more items": changed(items=4),
        "somebody else's answers": changed(another, measurer=another.address),
        "another provider's": changed(provider=another.address),
        "another model's": changed(model=bytes(32)),
        "a card's, of a processor": changed(backend=card),
        "a certified answer's": changed(tier="quorum"),
        "of another time": changed(begun_ms=honest.begun_ms - 60_000, ended_ms=honest.begun_ms - 50_000),
        "from the future": changed(measured_ms=honest.measured_ms + 600_000),
        "figures that cannot be": changed(p50_us=2001),
        "not the measurer's word": msgspec.structs.replace(changed(), signature=another.sign(bytes(32))),
        "no benchmark": SignedBenchmark(body=b"\x80", signature=bytes(65)),
    }
    async with who.host.exchange(who.target, "benchmarks") as channel:
        signature = await sign(channel, changed())
    assert is_countersigned(changed(), honest.provider, signature, domain)
    for what, signed in refused.items():
        with pytest.raises(RemoteError) as caught:
            async with who.host.exchange(who.target, "benchmarks") as channel:
                await sign(channel, signed)
        assert caught.value.code.value in ("refused", "bad_record"), what
    await who.honest_question()
