"""A tokeniser from a stranger's file: what it gives, and that no file gives anything but ids or a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import tokeniser
from engine.errors import ModelFailed, ModelRefused
from engine.tokeniser import Tokeniser
from tests.models.tokenisers import byte_level

GOOD = json.loads(byte_level())


def changed(**parts: Any) -> bytes:
    return json.dumps({**GOOD, **parts}).encode()


def splitting(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def test_ids_and_back() -> None:
    it = Tokeniser(changed(), truncates=False)
    assert it.encode("aé") == ([0x61, 0xC3, 0xA9], [0, 0, 0])
    assert it.text([0x61, 0xC3, 0xA9, 256, 9999]) == "aé"  # special ones are not shown, unknown ones are nothing
    assert (it.id_of("<end>"), it.id_of("nothing")) == (256, None)
    assert it.encode("") == ([], [])


def test_only_a_text_model_is_cut_where_its_file_says() -> None:
    padding = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 7,
        "pad_type_id": 0,
    }
    limited = changed(
        truncation={"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        padding={**padding, "pad_token": "x"},
    )
    assert len(Tokeniser(limited, truncates=True).encode("abcdef")[0]) == 3
    assert len(Tokeniser(limited, truncates=False).encode("abcdef")[0]) == 6
    short = Tokeniser(limited, truncates=True)
    assert (len(short.encode("a")[0]), short.pad) == (1, 7)  # padding is the session's to do


NESTED = changed(pre_tokenizer="HERE").replace(
    b'"HERE"', b'{"type":"Sequence","pretokenizers":[' * 500 + b"null" + b"]}" * 500
)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"nonsense", b"\xff\xfe", b"[]", b"null", b"[" * 100_000, NESTED, byte_level().encode()[:-9],
        changed(pre_tokenizer=splitting("(" * 5000 + "a" + ")" * 5000)),
        changed(pre_tokenizer=splitting("(")),
        changed(model={**GOOD["model"], "merges": [["q", "nowhere"]]}),
        changed(model={"type": "Wondrous"}),
    ],
    ids=str,
)  # fmt: skip
def test_a_file_that_is_no_tokeniser_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(ModelRefused, match=r"tokenizer\.json cannot be used: .*; take the one made with the model"):
        Tokeniser(data, truncates=False)


def test_a_file_over_its_bound_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokeniser, "MAX_TOKENISER", 1000)
    with pytest.raises(ModelRefused, match="the most is 1000"):
        Tokeniser(changed(), truncates=False)


MISSING = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[X]", "type_id": 0}}], "pair": []}
BACKWARDS = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 5}


@pytest.mark.parametrize(
    "data",
    [
        changed(pre_tokenizer=splitting("^(a+)+$")),
        changed(post_processor={**MISSING, "special_tokens": {}}),
        changed(truncation=BACKWARDS),
    ],
    ids=["a pattern without end", "a template with a hole", "a stride beyond its length"],
)
def test_a_trap_in_a_sound_file_fails_the_text_that_steps_into_it(data: bytes) -> None:
    it = Tokeniser(data, truncates=True)
    with pytest.raises(ModelFailed, match="the tokeniser failed"):  # two of these are panics of the library
        it.encode("a" * 60 + "!")
