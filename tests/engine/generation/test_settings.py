"""What a decoder's configuration files say; they are strangers' and may say anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.models.decoder import END
from engine.bounds import MAX_CONTEXT, MAX_SETTINGS
from engine.generation.settings import DecoderSettings, read_settings
from engine.tokeniser import Tokeniser
from tests.models.tokenisers import byte_level

BYTES = Tokeniser(byte_level().encode(), truncates=False)


def settings(**files: Any) -> DecoderSettings:
    named = {f"{name}.json": json.dumps(value).encode() for name, value in files.items()}
    return read_settings(named, BYTES)


def test_the_first_file_that_names_the_end_is_believed() -> None:
    config = {"eos_token_id": 5, "max_position_embeddings": 128}
    assert settings(generation_config={"eos_token_id": [2, 3]}, config=config) == DecoderSettings(
        frozenset({2, 3}), 128
    )
    assert settings(config=config) == DecoderSettings(frozenset({5}), 128)
    assert settings(config={"n_ctx": 64}, tokenizer_config={"eos_token": "<end>"}).ends == {END}
    assert settings(tokenizer_config={"eos_token": {"content": "<end>"}}).ends == {END}
    assert settings(tokenizer_config={"eos_token": "<nowhere>"}) == settings()
    assert settings() == DecoderSettings(frozenset(), MAX_CONTEXT)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"[1]", b"nonsense", b"[" * 5_000, b'{"eos_token_id": ' + b"9" * MAX_SETTINGS + b"}", b"9" * 5000],
)
def test_what_cannot_be_read_says_nothing(data: bytes) -> None:
    names = ("generation_config.json", "config.json", "tokenizer_config.json")
    assert read_settings(dict.fromkeys(names, data), None) == settings()


def test_what_is_of_the_wrong_kind_says_nothing() -> None:
    for wrong in ("5", None, {}, [[]], ["5"], 1.5):
        assert settings(config={"eos_token_id": wrong, "max_position_embeddings": wrong}) == settings()
    for wrong in (0, -1, MAX_CONTEXT + 1):
        assert settings(config={"max_position_embeddings": wrong}) == settings()
