"""Settings: which source wins, where each value came from, and what is said about a wrong one."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from node.config import AMOUNTS, Config, load_config
from node.datadir import DataDir
from node.errors import CommandError, Exit
from tests.verify.scenes import key_of

TOKEN = 10**18
JOIN = f"/ip4/10.0.0.1/tcp/4001/p2p/{key_of('someone').peer_id}"


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in fields(Config):
        monkeypatch.delenv(f"HALLMARK_{field.name.upper()}", raising=False)


@pytest.fixture
def directory(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path)


def test_without_any_source_everything_is_the_default(directory: DataDir) -> None:
    found = load_config(directory, {})
    assert found.config == Config()
    assert set(found.origin.values()) == {"default"}
    assert set(found.origin) == {f.name for f in fields(Config)}


def test_an_upload_rate_may_be_written_as_a_size(directory: DataDir) -> None:
    directory.config.write_text('upload_rate = "5 MiB"\n')
    assert load_config(directory, {}).config.upload_rate == 5 << 20
    directory.config.write_text('upload_rate = "fast"\n')
    with pytest.raises(CommandError, match="fast"):
        load_config(directory, {})


def test_flags_over_environment_over_file_over_defaults(directory: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.config.write_text('price = 1\nthreads = 1\nmax_models = 11\nnetwork = "filed"\n')
    monkeypatch.setenv("HALLMARK_PRICE", "2")
    monkeypatch.setenv("HALLMARK_THREADS", "2")
    found = load_config(directory, {"price": 3, "network": None, "bootstraps": (), "roles": ()})
    config = found.config
    assert (config.price, config.threads, config.max_models, config.network) == (3 * TOKEN, 2, 11, "filed")
    assert config.roles == ("hub",)
    file = str(directory.config)
    origins = [found.origin[k] for k in ("price", "threads", "max_models", "network", "roles")]
    assert origins == ["flag", "environment", file, file, "default"]


def test_a_price_of_nothing_is_a_price(directory: DataDir) -> None:
    directory.config.write_text("price = 5")
    found = load_config(directory, {"price": 0})
    assert (found.config.price, found.origin["price"]) == (0, "flag")


def test_an_empty_variable_is_no_setting(directory: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALLMARK_PRICE", "")
    assert load_config(directory, {}).origin["price"] == "default"


def test_lists_come_from_each_source(directory: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.config.write_text('listen = ["/ip4/0.0.0.0/tcp/1", "/ip4/0.0.0.0/tcp/1"]')
    monkeypatch.setenv("HALLMARK_ROLES", "hub, verifier,,")
    config = load_config(directory, {"bootstraps": (JOIN,)}).config
    assert config.listen == ("/ip4/0.0.0.0/tcp/1",)
    assert config.roles == ("hub", "verifier")
    assert config.bootstraps == (JOIN,)


def test_what_a_hub_mirrors_comes_from_each_source(directory: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.config.write_text('hub_policy = "publishers"\nhub_publishers = ["alice"]')
    monkeypatch.setenv("HALLMARK_HUB_TAGS", "audio, tiny")
    config = load_config(directory, {"hub_policy": "tags"}).config
    assert (config.hub_policy, config.hub_publishers, config.hub_tags) == ("tags", ("alice",), ("audio", "tiny"))


def test_prices_by_tier_come_from_each_source_as_a_whole(directory: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.config.write_text('price = 3\n[tier_price]\nquorum = 0.5\n"tee+quorum" = "80u"\n')
    found = load_config(directory, {"tier_price": ()})
    prices = {"quorum": TOKEN // 2, "tee+quorum": 80}
    assert (found.config.price, found.config.tier_price) == (3 * TOKEN, prices)
    assert found.origin["tier_price"] == str(directory.config)
    monkeypatch.setenv("HALLMARK_TIER_PRICE", "zk=9u, quorum=0")
    assert load_config(directory, {}).config.tier_price == {"zk": 9, "quorum": 0}
    assert load_config(directory, {"tier_price": ("tee=0.04",)}).config.tier_price == {"tee": TOKEN // 25}


@pytest.mark.parametrize(
    ("written", "units"),
    [("0.01", TOKEN // 100), ('"0.01"', TOKEN // 100), ("3", 3 * TOKEN), ('"7u"', 7), ("0", 0), ("1e-18", 1),
     ("340282366920938463463.374607431768211455", 2**128 - 1)],
)  # fmt: skip
def test_amounts_are_tokens_exactly(directory: DataDir, written: str, units: int) -> None:
    for name in AMOUNTS:
        directory.config.write_text(f"{name} = {written}")
        assert getattr(load_config(directory, {}).config, name) == units


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"hub_policy": "some"}, "hub_policy"),
    ({"hub_policy": ["tags"]}, "hub_policy"),
    ({"hub_tags": ["Big"]}, "no tag"),
    ({"hub_tags": ["a" * 33]}, "no tag"),
    ({"hub_publishers": 1}, "hub_publishers"),
    ({"pirce": 1}, "pirce"),
    ({"price": -1}, "price"),
    ({"price": 2**69}, "price"),
    ({"price": f"{2**128}u"}, "price"),
    ({"price": 1e-19}, "price"),
    ({"price": float("nan")}, "price"),
    ({"deposit": "1,5"}, "deposit"),
    ({"threads": 1.0}, "threads"),
    ({"price": True}, "price"),
    ({"price": "many"}, "price"),
    ({"price": [1]}, "price"),
    ({"tier_price": 5}, "tier_price"),
    ({"tier_price": {"gold": 5}}, "gold"),
    ({"tier_price": {"quorum": -1}}, "price of tier quorum"),
    ({"tier_price": {"quorum": {"a": 1}}}, "price of tier quorum"),
    ({"tier_price": {"quorum": True}}, "price of tier quorum"),
    ({"tier_price": "quorum"}, "price of tier quorum is ''"),
    ({"tier_price": ["=5"]}, "no tier ''"),
    ({"tier_price": [5]}, "no tier '5'"),
    ({"max_models": 0}, "max_models"),
    ({"threads": 0}, "threads"),
    ({"backend": "cuda"}, "backend"),
    ({"max_length": 0}, "max_length"),
    ({"threads": 10**9}, "threads"),
    ({"network": 5}, "network"),
    ({"roles": 5}, "roles"),
    ({"roles": [5]}, "roles"),
    ({"roles": ["baker"]}, "baker"),
    ({"roles": ["gateway"]}, "gateway"),
    ({"listen": ["here"]}, "here"),
    ({"listen": [""]}, "listen|address"),
    ({"bootstraps": ["/ip4/1.2.3.4/tcp/99999"]}, "99999"),
    ({"bootstraps": ["/ip4/10.0.0.1/tcp/4001"]}, "lacks the peer's id"),
    ({"bootstraps": {"a": 1}}, "bootstraps"),
]


@pytest.mark.parametrize(("entries", "named"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_setting_is_named_with_its_place_and_a_next_step(
    directory: DataDir, entries: dict[str, Any], named: str
) -> None:
    directory.config.write_text(tomli_w.dumps(entries))
    with pytest.raises(CommandError, match=named) as caught:
        load_config(directory, {})
    assert caught.value.exit_code is Exit.CONFIG
    assert str(directory.config) in caught.value.message
    assert caught.value.next_step


def test_a_wrong_variable_and_a_wrong_flag_are_named(directory: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="flag: "):
        load_config(directory, {"bootstraps": ("nowhere",)})
    monkeypatch.setenv("HALLMARK_PRICE", "1e9")
    with pytest.raises(CommandError, match="environment: price is '1e9'"):
        load_config(directory, {})


def test_a_role_of_a_later_release_says_so(directory: DataDir) -> None:
    with pytest.raises(CommandError, match="in this release"):
        load_config(directory, {"roles": ("gateway",)})


@pytest.mark.parametrize("content", [b"\xff", b"price", b"price = 1\nprice = 2", b"x = " + b"[" * 20_000])
def test_a_file_that_is_not_toml_is_a_sentence(directory: DataDir, content: bytes) -> None:
    directory.config.write_bytes(content)
    with pytest.raises(CommandError) as caught:
        load_config(directory, {})
    assert caught.value.exit_code is Exit.CONFIG
    assert str(directory.config) in caught.value.message


def test_a_file_that_cannot_be_read_is_a_sentence(directory: DataDir) -> None:
    directory.config.mkdir()
    with pytest.raises(CommandError) as caught:
        load_config(directory, {})
    assert caught.value.exit_code is Exit.CONFIG
