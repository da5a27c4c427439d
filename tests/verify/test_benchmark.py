"""A benchmark's file: what of it a stranger believes, and that nothing in it can be changed unseen."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verify import benchmarks as made
from tests.verify.scenes import NOW, bent, key_of
from verify.benchmark import BenchmarkReport, verify_benchmark
from wire.benchmark import check_figures, countersign, sample_hash, sign_benchmark
from wire.canonical import encode
from wire.errors import RecordError
from wire.keys import peer_id_of

NETWORK = made.SCENE.network


def report(about: Any) -> BenchmarkReport:
    return verify_benchmark(encode(about), NETWORK)


def failed(about: Any) -> set[str]:
    found = report(about)
    assert found.valid == (not any(not c.ok for c in found.checks))
    assert bool(found.rests_on) == found.valid
    return {check.name for check in found.checks if not check.ok}


def test_a_good_file_says_who_measured_whom_and_what_is_left_to_trust() -> None:
    found = report(made.file())
    assert found.valid
    assert found.countersigned
    assert found.model_name == "digits@1.0.0"
    assert found.provider_peer == peer_id_of(made.SCENE.provider.public)
    assert found.items_per_s == 10.0
    assert "both signed" in found.rests_on[0]
    assert "The measurer alone, for the latencies" in found.rests_on[1]


def test_without_a_countersignature_it_rests_on_the_measurer() -> None:
    found = report(made.file(countersigned=False))
    assert found.valid
    assert not found.countersigned
    assert "The measurer alone, for 10 requests" in found.rests_on[0]


@given(st.data())
def test_no_byte_can_be_changed_unseen(data: st.DataObject) -> None:
    whole = bytearray(encode(made.file()))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(RecordError):  # it is no such file any more
        assert not verify_benchmark(bytes(whole), NETWORK).valid


@pytest.mark.parametrize("garbage", [b"", b"\x80", b"\xc1" * 99, encode(made.SCENE.file)])
def test_what_is_no_benchmark_is_a_record_error(garbage: bytes) -> None:
    with pytest.raises(RecordError):
        verify_benchmark(garbage, NETWORK)


def test_figures_signed_by_nobody_who_measured() -> None:
    liar = key_of("liar")
    other = sign_benchmark(made.benchmark(measurer=liar.address), liar, made.DOMAIN)
    assert failed(bent(made.file(countersigned=False), benchmark=other)) == {"receipts"}
    stolen = bent(made.file().benchmark, signature=liar.sign(bytes(32)))
    assert "measurer" in failed(bent(made.file(), benchmark=stolen))


def test_a_countersignature_is_the_provider_s_and_over_these_figures() -> None:
    signed = made.file().benchmark
    by_another = countersign(signed, key_of("liar"), made.DOMAIN)
    assert failed(bent(made.file(), countersignature=by_another)) == {"countersignature"}
    better = made.file(made.benchmark(requests=20, items=20, p50_us=50_000), countersigned=False)
    assert failed(bent(better, countersignature=made.file().countersignature)) == {"countersignature"}
    measurer_s = bent(made.file(), countersignature=signed.signature)  # same bytes, another purpose
    assert failed(measurer_s) == {"countersignature"}


@pytest.mark.parametrize(
    "changes",
    [
        {"tier": "quorum"},
        {"profile": "fp16"},
        {"backend": bent(made.benchmark().backend, name="tensorrt", device="NVIDIA H200")},
        {"model": bytes(32)},
        {"together_p50": 1, "together_max": 1},
        {"begun_ms": NOW + 30},
        {"ended_ms": NOW + 400},
        {"provider": key_of("another").address},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_receipts_are_of_what_the_figures_claim(changes: dict[str, Any]) -> None:
    assert "receipts" in failed(made.file(made.benchmark(**changes), countersigned=False))


def test_the_sample_is_the_one_that_was_signed() -> None:
    every = made.receipts(5)
    for others in ((), every[:4], (*every[1:], every[0]), (*every, every[0])):
        assert "sample" in failed(bent(made.file(), receipts=others))
    for sample in ((), (every[0], every[0]), made.receipts(9)):
        about = made.benchmark(sampled=sample_hash(sample, made.DOMAIN), requests=8, items=8)
        assert failed(bent(made.file(about), receipts=sample)) == {"receipts"}


def test_another_network_s_file() -> None:
    other = bent(NETWORK, name="other", chain_id=5)
    found = verify_benchmark(encode(made.file()), other)
    assert not found.valid
    assert {c.name for c in found.checks if not c.ok} >= {"network", "measurer", "countersignature"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"requests": 0}, "no request"),
        ({"items": 0}, "no request"),
        ({"p50_us": 150_001}, "not in order"),
        ({"max_us": 149_999}, "not in order"),
        ({"together_p50": 9}, "median above the largest"),
        ({"requests": 47}, "cannot have waited"),
        ({"concurrency": 1, "duration_us": 300_000, "ended_ms": NOW + 100}, "cannot have waited"),
        ({"begun_ms": NOW + 901}, "provider's clock"),
        ({"ended_ms": NOW + 1162}, "provider's clock"),
    ],
    ids=str,
)
def test_figures_that_contradict_each_other(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordError, match=words):
        check_figures(made.benchmark(**changes))
    assert "figures" in failed(made.file(made.benchmark(**changes), countersigned=False))


@pytest.mark.parametrize("changes", [{"requests": 46}, {"ended_ms": NOW + 1161}, {"p50_us": 150_000}], ids=str)
def test_figures_at_their_limits_are_believed(changes: dict[str, Any]) -> None:
    check_figures(made.benchmark(**changes))


@given(
    st.integers(1, 4).flatmap(
        lambda clients: st.lists(
            st.lists(st.integers(1, 400_000), min_size=1, max_size=20), min_size=clients, max_size=clients
        )
    ),
    st.integers(1, 1_500_000),
    st.integers(100_000, 2_000_000),
)
def test_what_a_closed_loop_really_gives_never_contradicts_itself(
    waits: list[list[int]], start: int, duration: int
) -> None:
    """Clients that wait so long, one request after another; counted as the machine does."""
    counted: list[tuple[int, int]] = []
    for latencies in waits:
        at = 0
        for latency in latencies:
            at += latency
            if start <= at < start + duration:
                counted.append((at, latency))
    if not counted:
        return
    ordered = sorted(latency for _, latency in counted)
    ended = [at // 1000 for at, _ in counted]  # a provider that answers at once
    check_figures(
        made.benchmark(
            concurrency=len(waits), requests=len(counted), items=len(counted), duration_us=duration,
            p50_us=ordered[-(-len(ordered) // 2) - 1], p99_us=ordered[-1], max_us=ordered[-1],
            begun_ms=NOW + min(ended), ended_ms=NOW + max(ended),
        )
    )  # fmt: skip
