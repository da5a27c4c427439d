"""`hallmark stake`, `unstake`, `delegate`, `fraud submit` and `income`, as a user types them, on a real chain."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from node.cli.stake import node_address
from node.errors import CommandError, Exit
from node.networkfile import save_network
from settle.accounts import create
from tests.node.commands import Hallmark
from tests.settle.town import TOKEN, Town, deployed_devnet
from tests.verify.scenes import key_of
from wire.keys import show_address

from .purses import network_of

OWNER = 3  # of the town's accounts


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    """A town that stays while commands of this process run one after the other."""
    ready, over = threading.Event(), threading.Event()
    found: list[Town] = []

    async def work() -> None:
        async with deployed_devnet() as opened:
            await opened.give(opened.account(OWNER).address, 1_000 * TOKEN)
            found.append(opened)
            ready.set()
            await trio.to_thread.run_sync(over.wait)

    def stay() -> None:
        with suppress(Exception):  # the test says what failed: there is no town
            trio.run(work)
        ready.set()

    thread = threading.Thread(target=stay)
    thread.start()
    ready.wait()
    yield found[0]
    over.set()
    thread.join()


@pytest.fixture
def here(hallmark: Hallmark, home: Path, town: Town, monkeypatch: pytest.MonkeyPatch) -> Hallmark:
    """A peer on the town's network with an account that has tokens."""
    save_network(Path("town.toml"), network_of(town))
    assert hallmark("init", "--network", "town.toml").code == 0
    secret = Path("passphrase")
    secret.write_text("open")
    secret.chmod(0o600)
    (home / "accounts").mkdir(mode=0o700)
    create(home / "accounts" / "owner.json", "open", town.account(OWNER), cost=2)
    monkeypatch.setenv("HALLMARK_PASSPHRASE_FILE", str(secret.absolute()))
    return hallmark


def test_contracts_go_to_the_chain_that_was_meant(here: Hallmark, town: Town) -> None:
    elsewhere = here("chain", "deploy", "--chain", "base-sepolia", "--rpc", town.spec.rpcs[0], "--out", "meant.toml")
    assert elsewhere.code == Exit.CHAIN
    assert "speaks for chain 31337, and chain 84532 was meant" in elsewhere.err
    assert not Path("meant.toml").exists()
    nowhere = here("chain", "deploy", "--out", "meant.toml")
    assert nowhere.code == Exit.USAGE
    assert "--chain base-sepolia" in nowhere.err


def test_a_user_stakes_and_takes_back(here: Hallmark, home: Path) -> None:
    assert "Nobody has registered yet." in here("stake", "show").out
    ran = here("stake", "150.5", "--role", "verifier", "--role", "hub", "--commission", "5")
    assert ran.code == 0, ran.err
    assert "Behind this node stand 150.5 tokens, 150.5 of them your own." in ran.out
    assert "verifier, hub, from the epoch after" in ran.out
    shown = here("stake", "show")
    assert "this node" in shown.out
    assert "5%" in shown.out
    (told,) = here("stake", "show", "--json").lines
    (mine,) = told["operators"]
    assert (mine["stake"], mine["active"], mine["commission_bps"]) == (150.5 * TOKEN, ["verifier", "hub"], 500)

    more = here("stake", "--role", "settler", "10", "--json").lines[-1]  # options may come first
    assert (more["stake"], more["active"], more["event"]) == (160.5 * TOKEN, ["settler"], "stake")

    behind = here("delegate", mine["peer_id"], "39.5")  # anybody may, its owner too
    assert f"You have 200 tokens behind {mine['peer_id']}." in behind.out
    assert "Unbonding from" in here("unstake", "50").out
    assert "\n50 tokens from behind 0x" in here("unstake").out
    assert "free on" in here("unstake", "--withdraw").out
    assert here("unstake", "10000").code == 2
    assert not (home / "intents.json").exists() or (home / "intents.json").read_text() == "{}"


def test_income_of_who_earned_nothing(here: Hallmark, home: Path) -> None:
    (home / "config.toml").write_text(
        "price = 0.001\n[costs]\npower_watts = 300\npower_price = 0.2\nrent = 20\ncapacity = 3600\n"
    )
    ran = here("income")
    assert ran.code == 0, ran.err
    assert "Nothing was earned." in ran.out
    assert "0 in fees, 0 in incentives" in ran.out
    assert "answers an hour on" in ran.out
    (told,) = [line for line in here("income", "--since", "30d", "--json").lines if line["event"] == "income"]
    assert (told["earned"], told["incentives"], told["spent"]) == (0, 0, 0)
    hourly = 0.3 * 0.2 + 20 * 12 / 8766
    assert told["costs"]["hourly"] == pytest.approx(hourly * TOKEN, rel=1e-6)
    kept = 3600 * 0.001 * (1 - told["costs"]["take"])
    assert told["costs"]["utilisation"] == pytest.approx(hourly / kept, rel=1e-6)
    for by in ("model", "epoch"):
        assert here("income", "--by", by).code == 0
    whole = here("income", "--network")
    assert whole.code == 0
    assert "0.0% of all fees" in whole.out
    assert here("income", "--since", "yesterday").code == 2


def test_what_is_wrong_is_a_sentence(here: Hallmark, home: Path) -> None:
    assert here("stake").code == 2
    assert "there is nothing to do" in here("stake", "--json", "--account", "owner").out
    for wrong in (("stake", "much"), ("stake", "0"), ("unstake", "5", "--all"), ("delegate", "nobody", "5")):
        assert here(*wrong).code == 2, wrong
    stranger = here("delegate", show_address(key_of("nobody").address), "5")
    assert stranger.code == 5
    assert "no node" in stranger.err
    poor = here("stake", "100000")
    assert "tokens, this takes 100,000" in poor.err
    assert here("fraud", "submit", "abcd").code == 5
    assert here("fraud", "contest", "abcd").code == 2
    unknown = here("fraud", "contest", "ab" * 32)
    assert unknown.code == 11
    assert "UnknownAccusation" in unknown.err
    epochs = here("network", "epoch", "--verifier", key_of("x").peer_id)
    assert epochs.code == 2
    assert "the epochs of network 'town' are its chain's" in epochs.err
    (home / "config.toml").write_text("[costs]\nfun = 3\n")
    assert "there is no 'fun'" in here("config", "show").err


def test_a_node_is_named_by_peer_id_or_address() -> None:
    key = key_of("a node")
    assert node_address(key.peer_id) == node_address(show_address(key.address)) == key.address
    with pytest.raises(CommandError):
        node_address("0x12")
