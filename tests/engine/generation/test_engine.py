"""Generators and text models through real workers: streamed, stopped, killed, and lied to by what they were given."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from bench.models.decoder import CONTEXT, END, Shape, decoder
from bench.models.minilm import convert
from engine import (
    Engine,
    Execution,
    ExecutionTimeout,
    ModelFailed,
    ModelFile,
    ModelRefused,
    NotLoaded,
    Settings,
    WorkerDied,
    inspect,
    link,
    open_engine,
    sealed,
)
from engine.bounds import MOST_ROWS
from tests.models.directly import directly
from tests.models.tokenisers import byte_level
from tests.models.weights import SMALL, random_weights
from wire.arrays import to_array
from wire.generation import Tokens, generator_signature
from wire.tensors import Tensor, join_bytes, split_bytes

from .asking import asking
from .direct import Direct

MIB = 1024 * 1024
CONFIG = json.dumps({"eos_token_id": END, "max_position_embeddings": CONTEXT}).encode()


def files_of(model: Any, **side: bytes | str) -> Callable[[], Sequence[ModelFile]]:
    """The graph and its side files, whose names are given without `.json`."""
    content = {f"{name}.json": data.encode() if isinstance(data, str) else data for name, data in side.items()}

    def open_files() -> Sequence[ModelFile]:
        graph = ModelFile("model.onnx", sealed([model.SerializeToString()]))
        return [graph, *(ModelFile(path, sealed([data])) for path, data in content.items())]

    return open_files


def speaking(shape: Shape | None = None) -> Callable[[], Sequence[ModelFile]]:
    return files_of(decoder(shape), tokenizer=byte_level(), config=CONFIG)


async def inspected(open_files: Callable[[], Sequence[ModelFile]]) -> Any:
    files = open_files()
    try:
        return await inspect(files, interface="auto", memory=1024 * MIB, timeout=60)
    finally:
        for file in files:
            os.close(file.fd)


def text_of(outputs: Sequence[Tensor]) -> str:
    return split_bytes(outputs[1].data)[0].decode()


async def test_a_generator_streams_what_its_answer_then_holds() -> None:
    told: list[Tokens] = []
    async with open_engine() as engine:
        ready = await engine.load(b"decoder", speaking(), interface="generate")
        assert (ready.signature.inputs, ready.signature.outputs) == generator_signature(has_text=True)
        assert ready.compute_us > 0
        execution = await engine.execute(b"decoder", asking("Grüße", 60), deadline=60, on_tokens=told.append)
        tokens = to_array(execution.outputs[0]).tolist()
        assert tokens == Direct(decoder()).greedy("Grüße".encode(), 60)
        assert text_of(execution.outputs) == bytes(tokens).decode(errors="replace")
        assert bytes(execution.outputs[2].data[4:]) == b"length"
        assert (execution.tokens_in, execution.tokens_out) == (7, 60)
        assert [token for step in told for token in step.ids] == tokens
        assert "".join(step.text for step in told) == text_of(execution.outputs)
        again = await engine.execute(b"decoder", asking("Grüße", 60), deadline=60)  # nobody listens: the same
        assert again.outputs == execution.outputs
        await refusals_leave_the_worker_as_it_was(engine)


async def refusals_leave_the_worker_as_it_was(engine: Engine) -> None:
    for inputs, match in (
        (asking("x", 0), "max_tokens"),
        (asking("x" * 500, 100), "made for"),
        (asking([1]), "the model has prompt"),
        (asking("x", stop=["a"] * 9), "up to 8"),
    ):
        with pytest.raises(ModelFailed, match=match):
            await engine.execute(b"decoder", inputs, deadline=60)
    stopped = await engine.execute(
        b"decoder", asking("once", 200, temperature=1.5, seed=3, stop=["a", "e", "i", "o", "u"]), deadline=60
    )
    assert bytes(stopped.outputs[2].data[4:]) == b"stop"
    assert not set(text_of(stopped.outputs)) & set("aeiou")
    (status,) = engine.loaded()
    assert (status.runs, status.failures) == (3, 3)  # one never reached the worker


async def test_whoever_leaves_stops_the_generation_and_nothing_else() -> None:
    async with open_engine() as engine:
        await engine.load(b"decoder", files_of(decoder(Shape(context=9000))), interface="generate")
        (before,) = engine.loaded()
        for _ in range(3):
            await leave_after_a_token(engine)
        with pytest.raises(ExecutionTimeout, match="while it ran"):
            await engine.execute(b"decoder", asking([1], 8000), deadline=0.3)
        execution = await engine.execute(b"decoder", asking([1], 2), deadline=60)  # as soon as the last has stopped
        assert execution.tokens_out == 2
        (after,) = engine.loaded()
        assert after.pid == before.pid
        assert (after.runs, after.failures) == (1, 0)


async def leave_after_a_token(engine: Engine) -> None:
    heard = trio.Event()

    async def ask() -> None:
        await engine.execute(b"decoder", asking([1], 8000), deadline=60, on_tokens=lambda _: heard.set())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await heard.wait()
        nursery.cancel_scope.cancel()


async def test_unloading_ends_a_generation_at_once() -> None:
    async with open_engine() as engine:
        await engine.load(b"decoder", files_of(decoder(Shape(context=9000))), interface="generate")
        heard = trio.Event()

        async def ask() -> None:
            with pytest.raises(NotLoaded):
                await engine.execute(b"decoder", asking([1], 8000), deadline=60, on_tokens=lambda _: heard.set())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await heard.wait()
            await engine.unload(b"decoder")


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        (Shape(cache="long"), "cache 'present.0.key' has shape"),
        (Shape(not_a_number_after=0), "highest logit is nan"),
    ],
)
async def test_a_decoder_that_fails_its_trial_is_never_served(shape: Shape, match: str) -> None:
    async with open_engine() as engine:
        with pytest.raises(ModelRefused, match=match):
            await engine.load(b"bad", speaking(shape), interface="generate")


async def test_the_interface_is_found_from_the_files_that_are_there() -> None:
    reader = convert(random_weights(SMALL), SMALL)
    for open_files, interface in (
        (speaking(), "generate"),
        (files_of(decoder()), "generate"),
        (files_of(reader, tokenizer=byte_level()), "text"),
        (files_of(reader, config=CONFIG), "tensors"),
    ):
        signature = await inspected(open_files)
        assert signature.interface == interface
    async with open_engine() as engine:
        for interface in ("generate", "text"):
            with pytest.raises(ModelRefused):
                await engine.load(interface.encode(), files_of(reader), interface=interface)


async def test_texts_become_vectors_each_its_own_whatever_its_company() -> None:
    config = {**SMALL, "vocab_size": 260, "max_position_embeddings": 64}
    reader = convert(random_weights(config), config)
    limit = {"direction": "Right", "max_length": 32, "strategy": "LongestFirst", "stride": 0}
    tokeniser = json.dumps(json.loads(byte_level()) | {"truncation": limit})
    texts = ["Grüße", "a", "x" * 100, "two words"]
    async with open_engine() as engine:
        ready = await engine.load(b"reader", files_of(reader, tokenizer=tokeniser), interface="text")
        assert [(s.name, s.datatype, s.shape) for s in ready.signature.inputs] == [("text", "BYTES", ("batch",))]

        async def embed(*some: str | bytes) -> Any:
            data = join_bytes([t.encode() if isinstance(t, str) else t for t in some])
            execution = await engine.execute(b"reader", [Tensor.of("text", "BYTES", (len(some),), data)], deadline=60)
            return to_array(execution.outputs[0])

        found = await embed(*texts)
        for row, text in zip(found, texts, strict=True):
            ids = np.array([list(text.encode()[:32])])
            feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            (wanted,) = directly(reader.SerializeToString(), feeds)
            np.testing.assert_allclose(row, wanted[0], atol=1e-5)
            np.testing.assert_allclose(row, (await embed(text))[0], atol=1e-5)
        with pytest.raises(ModelFailed, match="not UTF-8"):
            await embed(b"\xff")
        with pytest.raises(ModelFailed, match="too much at once"):
            await embed(*["x" * 32] * 9000)


async def test_a_texts_tokens_are_counted_for_whoever_sent_it() -> None:
    config = {**SMALL, "vocab_size": 260, "max_position_embeddings": 64}
    reader = files_of(convert(random_weights(config), config), tokenizer=byte_level())
    told: dict[str, Execution] = {}
    async with open_engine() as engine:
        ready = await engine.load(b"reader", reader, interface="text")
        assert ready.joins

        async def ask(*texts: str) -> None:
            tensor = Tensor.of("text", "BYTES", (len(texts),), join_bytes([text.encode() for text in texts]))
            told[texts[0]] = await engine.execute(b"reader", [tensor], deadline=60)

        async with trio.open_nursery() as nursery:
            for texts in (["Grüße"], ["ab", "c"], ["x" * 9], ["xyz", "", "uv"]):
                nursery.start_soon(ask, *texts)
        many = ["m"] * (MOST_ROWS + 1)
        await ask(*many)
    assert max(execution.company for execution in told.values()) > 1
    assert {text: execution.tokens_in for text, execution in told.items()} == {
        "Grüße": 7, "ab": 3, "x" * 9: 9, "xyz": 5, "m": len(many),
    }  # fmt: skip
    assert {execution.tokens_out for execution in told.values()} == {0}


EXPLODING = json.dumps(
    json.loads(byte_level())
    | {
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "Replace", "pattern": {"String": "1"}, "content": "1" * 1000}] * 4,
        }
    }
)


@pytest.mark.parametrize("tokeniser", ["nonsense", "[" * 100_000, byte_level()[:-5]], ids=["text", "deep", "cut"])
async def test_a_file_that_is_no_tokeniser_is_refused(tokeniser: str) -> None:
    with pytest.raises(ModelRefused, match=r"tokenizer\.json cannot be used"):
        await inspected(files_of(decoder(), tokenizer=tokeniser, config=CONFIG))


async def test_a_tokeniser_that_takes_all_memory_costs_only_its_worker() -> None:
    async with open_engine(Settings(memory=512 * MIB)) as engine:
        with pytest.raises(ModelRefused, match="3 times"):  # the library aborts, which nothing can catch
            await engine.load(b"trap", files_of(decoder(), tokenizer=EXPLODING), interface="generate")
        await engine.load(b"good", speaking(), interface="generate")
        assert (await engine.execute(b"good", asking("x", 3), deadline=60)).tokens_out == 3


LIES = {
    "tokens without end": ("Tokens(ids=(1,) * 64, text='')", 1000),
    "an answer of another kind": ("Loaded(signature=SIGNATURE, backend=BACKEND, sandbox=())", 1),
    "no tensors": ("Ran(outputs=(), compute_us=1, tokens_in=(1,))", 1),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_worker_that_was_taken_over_while_it_generates_loses_its_life(
    lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, times = LIES[lie]
    script = f"""
import socket, sys
from engine.messages import FromNode, Loaded, Ran, Signature
from engine.parcels import ParcelDecoder, pack
from wire.generation import Tokens, generator_signature
from wire.inference import Backend
channel = socket.socket(fileno=int(sys.argv[1]))
decoder = ParcelDecoder(FromNode)
def hear():
    while (parcel := decoder.next()) is None:
        decoder.feed(channel.recv(65536))
def say(message):
    channel.sendall(b"".join(pack(message)))
inputs, outputs = generator_signature(has_text=False)
SIGNATURE = Signature(inputs=inputs, outputs=outputs, opset=23, interface="generate")
BACKEND = Backend(name="liar", version="1", device="cpu", compute_capability="")
hear()
say(Loaded(signature=SIGNATURE, backend=BACKEND, sandbox=()))
hear()
for _ in range({times}):
    say({message})
channel.recv(1)
channel.recv(1)
"""
    monkeypatch.setattr(link, "COMMAND", ["-c", script])
    files = files_of(decoder())()
    try:
        async with link.open_worker(files, tmp_path, threads=1, memory=512 * MIB, interface="generate") as worker:
            with pytest.raises(WorkerDied, match="what none may send"):
                await worker.generate(asking([1]), lambda _: None, trio.Event())
        with pytest.raises(WorkerDied, match="it serves generate, and was to serve text"):
            async with link.open_worker(files, tmp_path, threads=1, memory=512 * MIB, interface="text"):
                pass
    finally:
        for file in files:
            os.close(file.fd)


async def test_a_long_story_takes_the_memory_of_its_cache_and_little_more() -> None:
    async with open_engine() as engine:
        await engine.load(b"decoder", files_of(decoder(Shape(context=4096))), interface="generate")
        before = engine.loaded()[0].memory
        execution = await engine.execute(b"decoder", asking([1], 3000), deadline=120)
        assert execution.tokens_out == 3000
        assert engine.loaded()[0].memory - before < 192 * MIB  # the steps' outputs one after another take 4 GiB
