"""The contract with the card's bindings, kept over a FAKE of them (see fake_card): what no fake can show is a card."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backends.card import Card, Staging, import_cuda
from engine.errors import CardError, CardLost, EngineError

from .fake_card import Error, FakeCuda


def test_a_card_says_what_it_is() -> None:
    card = Card(FakeCuda())
    assert (card.name, card.compute_capability, card.processors, card.cuda) == ("FAKE card", "9.0", 3, "13.5")
    assert "13.0" in card.driver


@pytest.mark.parametrize(
    ("cuda", "sentence"),
    [
        (FakeCuda(driver=0), "no NVIDIA driver on this machine; install one"),
        (FakeCuda(cards=0), "shows no card; look at nvidia-smi"),
        (FakeCuda(fails={"cudaGetDeviceCount": Error.cudaErrorIllegalAddress}), "cudaErrorIllegalAddress"),
    ],
)
def test_without_a_card_a_sentence_says_why(cuda: FakeCuda, sentence: str) -> None:
    with pytest.raises(CardError, match=sentence):
        Card(cuda)


def test_bindings_that_find_no_driver_are_no_exception_of_ours() -> None:
    class Broken(FakeCuda):
        def cudaDriverGetVersion(self) -> Any:
            raise RuntimeError("libcuda.so.1 is not there")

    with pytest.raises(CardError, match=r"libcuda\.so\.1 is not there"):
        Card(Broken())


def test_absent_bindings_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cuda.bindings", None)
    with pytest.raises(EngineError, match=r"pip install 'hallmark\[gpu\]'"):
        import_cuda()


@given(runs=st.lists(st.lists(st.binary(max_size=2000), min_size=1, max_size=6), min_size=1, max_size=5))
def test_what_goes_to_the_card_comes_back_from_it(runs: list[list[bytes]]) -> None:
    cuda = FakeCuda()
    staging = Staging(Card(cuda))
    for tensors in runs:
        places = staging.lay([len(t) for t in tensors])
        assert all(place % 256 == places[0] % 256 for place in places)  # aligned as the card's own allocations are
        staging.send(tensors)
        assert staging.fetch() == tensors
        assert staging.fetch(places) == tensors  # also from places that somebody else chose
    assert (len(cuda.device), len(cuda.pinned)) == (1, 1)
    staging.close()
    assert (cuda.device, cuda.pinned) == ({}, {})


def test_places_stay_while_nothing_larger_comes() -> None:
    staging = Staging(Card(FakeCuda()))
    first = staging.lay([1000, 24])
    assert staging.lay([1000, 24]) == first
    assert staging.lay([10, 24])[0] == first[0]


def test_a_full_card_fails_the_request_and_anything_else_the_process() -> None:
    cuda = FakeCuda()
    staging = Staging(Card(cuda))
    cuda.fails["cudaHostAlloc"] = Error.cudaErrorMemoryAllocation
    for _ in range(3):
        with pytest.raises(CardError, match="no memory left") as full:
            staging.lay([100])
        assert not isinstance(full.value, CardLost)
        assert len(cuda.device) <= 1, "memory leaks with every request that finds none"
    cuda.fails.clear()
    staging.lay([100])
    cuda.fails["cudaStreamSynchronize"] = Error.cudaErrorIllegalAddress
    with pytest.raises(CardLost, match="cudaErrorIllegalAddress"):
        staging.fetch()
