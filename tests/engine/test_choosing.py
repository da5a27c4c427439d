"""Which backends a model is tried on: profile, operator, and what executed here, in that order."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from engine import choosing
from engine.choosing import Choice
from engine.errors import EngineError, ModelRefused
from engine.probing import Probe
from engine.profiles import KINDS, PROFILES, BackendKind
from wire.inference import Backend

SOME = Backend(name="some", version="1", device="a card", compute_capability="9.0")


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[BackendKind]:
    return machine(monkeypatch, executes=["onnxruntime-cuda", "tensorrt"])


def machine(
    monkeypatch: pytest.MonkeyPatch, executes: Collection[BackendKind], *, card: bool = True
) -> list[BackendKind]:
    """A machine where these backends of a card execute; what was probed on it."""
    asked: list[BackendKind] = []

    async def probe_backend(kind: BackendKind) -> Probe:
        asked.append(kind)
        if kind in executes:
            return Probe(kind, True, SOME)
        return Probe(kind, False, None, problem="pip install it")

    monkeypatch.setattr(choosing, "probe_backend", probe_backend)
    monkeypatch.setattr(choosing, "has_card", lambda: card)
    return asked


async def test_auto_takes_the_best_that_executed_and_probes_each_once(probed: list[BackendKind]) -> None:
    choice = Choice("auto")
    for _ in range(2):
        assert await choice.backends("fp32", "tensors") == KINDS
        assert await choice.backends("tf32", "text") == KINDS
    assert probed == ["tensorrt", "onnxruntime-cuda"]


async def test_without_a_card_nothing_of_a_card_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = machine(monkeypatch, executes=KINDS, card=False)
    assert await Choice("auto").backends("fp32", "tensors") == ("onnxruntime-cpu",)
    assert asked == []
    with pytest.raises(ModelRefused, match="'fp32-cuda' needs onnxruntime-cuda for this model, and none executes here"):
        await Choice("auto").backends("fp32-cuda", "tensors")


async def test_tokens_have_one_backend_under_every_profile(probed: list[BackendKind]) -> None:
    assert all(len(profile.generates) <= 1 for profile in PROFILES.values())
    assert await Choice("auto").backends("fp32", "generate") == ("onnxruntime-cpu",)
    assert await Choice("auto").backends("fp32-cuda", "generate") == ("onnxruntime-cuda",)
    with pytest.raises(ModelRefused, match="nothing is generated under the runtime profile 'tf32'"):
        await Choice("auto").backends("tf32", "generate")
    assert probed == ["onnxruntime-cuda"]


async def test_a_wanted_backend_is_the_only_one_and_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, executes=["onnxruntime-cuda"])
    assert await Choice("onnxruntime-cuda").backends("fp32", "tensors") == ("onnxruntime-cuda",)
    assert await Choice("onnxruntime-cpu").backends("fp32", "tensors") == ("onnxruntime-cpu",)
    with pytest.raises(
        EngineError, match="tensorrt does not execute here: it is not installed; pip install it"
    ) as never:
        await Choice("tensorrt").backends("fp32", "tensors")
    assert not isinstance(never.value, ModelRefused), "the model is not to blame"
    with pytest.raises(ModelRefused, match="this peer's backend is onnxruntime-cuda: change that setting"):
        await Choice("onnxruntime-cuda").backends("fp32", "generate")


async def test_a_profile_that_nobody_knows_is_refused(probed: list[BackendKind]) -> None:
    with pytest.raises(ModelRefused, match="'bf16'; this release has fp32, fp32-cuda, tf32"):
        await Choice("auto").backends("bf16", "tensors")
    assert probed == []
