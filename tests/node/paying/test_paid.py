"""Paid answers, from the first quote to the money: real processes on a devnet. Each test follows the one before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

from node.chain.amounts import typed_amount
from tests.node.processes.choir import story
from tests.node.processes.running import until

from .town import PER_1K, PRICE, TOKEN, Paid, account, come_up


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paid]:
    yield from come_up(tmp_path_factory.mktemp("paid"))


def test_a_quote_says_what_it_costs_and_spends_nothing(town: Paid) -> None:
    def quoted() -> dict[str, int] | None:
        ended = town.payer.run("quote", town.cid, "--tier", "quorum", "--json")
        return ended.json["quotes"][0] if ended.code == 0 and ended.json.get("quotes") else None

    (quote,) = [until(quoted, "a quote")]
    assert (quote["most"], quote["provider"], quote["channel"]) == (PRICE, town.provider.key.peer_id, None)
    assert 0 < quote["holds_ms"] <= 180_000
    assert town.tokens(account(1).address) == TOKEN


def test_without_a_channel_nothing_is_asked_and_the_command_is_said(town: Paid) -> None:
    ended = town.infer()
    assert ended.code == 7, ended.said
    assert f"hallmark channel open {town.provider.key.peer_id} --deposit AMOUNT" in ended.json["message"]


def test_a_node_says_how_it_stands_and_what_is_missing(town: Paid) -> None:
    told = trio.run(partial(town.provider.call, "money"))
    assert (told["unlocked"], told["gas_low"], told["registered"], told["active"]) == (True, False, False, [])
    assert told["tokens"] == 0
    (lack,) = told["lacks"]
    assert f"--role provider --data-dir {town.provider.directory.path}" in lack["next"]
    assert lack["next"].startswith("hallmark stake ")


def test_a_channel_is_opened(town: Paid) -> None:
    ended = town.payer.run("channel", "open", town.provider.key.peer_id, "--deposit", f"{20 * PRICE}u", "--json")
    assert ended.code == 0, ended.said
    assert (ended.json["deposit"], ended.json["left"]) == (20 * PRICE, 20 * PRICE)
    assert town.tokens(account(1).address) == TOKEN - 20 * PRICE


def test_an_answer_that_a_quorum_proved_is_paid(town: Paid) -> None:
    ended = town.infer("--tier", "quorum")
    assert ended.code == 0, ended.said
    assert (ended.json["price"], len(ended.json["signers"])) == (PRICE, 3)
    (pays,) = town.channels(town.payer)["paying"]
    assert (pays["owed"], pays["left"]) == (PRICE, 19 * PRICE)
    (paid,) = until(lambda: [c for c in town.channels(town.provider)["earning"] if c["charged"]], "the charge")
    assert (paid["charged"], paid["voucher"], paid["claimed"]) == (PRICE, PRICE, 0)


def test_more_than_the_payer_allows_is_not_asked(town: Paid) -> None:
    ended = town.infer(price=PRICE - 1)
    assert ended.code == 5, ended.said
    assert f"--max-price {typed_amount(PRICE)}" in ended.json["next"]


@pytest.mark.parametrize("who", ["provider", "payer"])
def test_either_side_is_killed_and_goes_on_where_it_was(town: Paid, who: str) -> None:
    (before,) = town.channels(town.payer)["paying"]
    town.restart(getattr(town, who))

    def again() -> bool:
        return town.infer().code == 0

    until(again, "an answer after the restart")
    (pays,) = town.channels(town.payer)["paying"]
    assert pays["owed"] == before["owed"] + PRICE


def test_a_provider_that_lost_its_store_has_its_vouchers_back(town: Paid, tmp_path: Path) -> None:
    until(lambda: town.channels(town.provider)["earning"][0]["charged"] == 3 * PRICE, "three charges")
    town.provider.kill()
    store = town.provider.directory.store
    shutil.move(store, tmp_path / "lost")
    assert town.channels(town.provider)["earning"] == []
    ended = town.provider.run("channel", "restore", town.backup, "--json")
    assert ended.code == 0, ended.said
    assert (ended.json["restored"], ended.json["foreign"], ended.json["damaged"]) == (1, 0, 0)
    (paid,) = town.channels(town.provider)["earning"]
    assert (paid["charged"], paid["voucher"]) == (3 * PRICE, 3 * PRICE)
    shutil.rmtree(store)
    shutil.move(tmp_path / "lost", store)
    town.provider.start(town.payer.address)


def test_a_withdrawal_is_seen_and_all_that_was_earned_is_claimed_before_it_ends(town: Paid) -> None:
    ended = town.payer.run("channel", "close", town.provider.key.peer_id, "--json")
    assert ended.code == 0, ended.said
    assert (ended.json["amount"], ended.json["done"]) == (17 * PRICE, False)
    until(lambda: town.channels(town.provider)["earning"][0]["claimed"] == 3 * PRICE, "the claim")
    assert town.infer().code == 7  # nothing is left to pay from
    town.forward(901)
    ended = town.payer.run("channel", "close", town.provider.key.peer_id, "--json")
    assert ended.code == 0, ended.said
    assert (ended.json["amount"], ended.json["done"]) == (17 * PRICE, True)
    assert town.tokens(account(1).address) == TOKEN - 3 * PRICE


def test_a_story_is_paid_while_it_is_told(town: Paid, tmp_path: Path) -> None:
    """In several steps, over the channel that was emptied before; and what is more than the risk limit is claimed."""
    cid = town.publish(story(tmp_path / "story"))
    ceiling = PRICE + 400 * PER_1K // 1000
    told = ("infer", cid, "--prompt", "Once upon a time", "--input", "max_tokens=400", "--json", "--max-price")
    refused = town.payer.run(*told, f"{ceiling - 1}u")
    assert refused.code == 5, refused.said
    assert f"--max-price {typed_amount(ceiling)}" in refused.json["next"]
    ended = town.payer.run("channel", "topup", town.provider.key.peer_id, "--deposit", f"{ceiling}u", "--json")
    assert ended.code == 0, ended.said
    ended = town.payer.run(*told, f"{ceiling}u")
    assert ended.code == 0, ended.said
    price = PRICE + ended.json["tokens_out"] * PER_1K // 1000
    assert ended.json["price"] == price > 100 * PER_1K // 1000  # a step is what 64 tokens cost
    (pays,) = town.channels(town.payer)["paying"]
    assert pays["owed"] == 3 * PRICE + price
    until(lambda: town.channels(town.provider)["earning"][0]["claimed"] == 3 * PRICE + price, "the claim")
