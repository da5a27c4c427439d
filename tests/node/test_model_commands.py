"""`hallmark model search | versions | show | ls | edit | withdraw`, as a user without a network calls them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.clock import now_ms
from node.errors import Exit
from node.keyfile import load_key
from node.networkfile import load_network
from node.petnames import save_petnames
from storage import open_store
from tests.node.commands import Hallmark
from tests.verify.scenes import bent, key_of
from wire.canonical import decode
from wire.keys import NodeKey, show_address
from wire.manifest import Manifest, SignedManifest, sign_manifest
from wire.name import Named, NameRecord, sign_name

from .records import signed_manifest

DAY = 24 * 3600 * 1000
ALICE = key_of("alice")

Publish = Callable[..., SignedManifest]


@pytest.fixture
def publish(hallmark: Hallmark, home: Path) -> Publish:
    """Puts a model of somebody into the catalogue, with that publisher's word; of this peer into the store too."""
    assert hallmark("init").code == 0
    (file,) = (home / "networks").glob("*.toml")
    rules, own = load_network(file), load_key(home / "node.key")
    said: dict[tuple[bytes, str], tuple[Named, ...]] = {}

    def publish(
        key: NodeKey | None = None, *, withdrawn: str | None = None, life: int = DAY, here: bool = False, **changes: Any
    ) -> SignedManifest:
        key = key or own
        read = bent(decode(signed_manifest(**changes).body, Manifest), publisher=key.address)
        signed = sign_manifest(read, key, rules.domain)
        others = said.get((key.address, read.name), ())
        versions = (Named(version=read.version, model=signed.model, withdrawn=withdrawn), *others)
        said[key.address, read.name] = versions
        now = now_ms() + len(versions)
        record = NameRecord(
            publisher=key.address, name=read.name, versions=versions, sequence=now, issued_ms=now - DAY // 2,
            expires_ms=now - DAY // 2 + life,
        )  # fmt: skip
        with open_store(home / "store") as store:
            store.names.put(sign_name(record, key, rules.domain), own=key is own)
            store.catalogue.put([signed])
            if key is own or here:
                store.models.put(signed)
        return signed

    return publish


class TestSearch:
    def test_what_is_known_is_shown_with_what_to_do_next(
        self, hallmark: Hallmark, home: Path, publish: Publish
    ) -> None:
        publish(ALICE, name="magika", task="file-type", tags=("bytes", "tiny"), licence="Apache-2.0")
        own = publish()
        save_petnames(home / "petnames.toml", {"alice": ALICE.address})
        ran = hallmark("model", "search")
        assert ran.code == 0
        first, second, third, fourth, *_ = ran.out.splitlines()
        assert first.split() == ["digits@1.0.0", "1", "B", "MIT"]
        assert second == "  no provider · 0 pulls · 0 calls"
        assert third.split() == ["alice/magika@1.0.0", "1", "B", "Apache-2.0", "file-type", "#bytes", "#tiny"]
        assert fourth == second
        assert "2 models, as this peer knew; no hub was reached" in ran.out
        assert ran.out.endswith("Next: hallmark model show digits\n")
        assert own.cid not in ran.out
        assert own.cid in hallmark("model", "search", "--cids").out

    def test_each_option_narrows_and_json_has_it_all(self, hallmark: Hallmark, home: Path, publish: Publish) -> None:
        magika = publish(ALICE, name="magika", task="file-type", tags=("bytes",), licence="Apache-2.0")
        publish()
        save_petnames(home / "petnames.toml", {"alice": ALICE.address})
        for words in (
            ["magi"], ["--task", "file-type"], ["--tag", "bytes"], ["--licence", "apache-2.0"],
            ["--publisher", "alice"], ["--publisher", show_address(ALICE.address), "file", "--tag", "bytes"],
        ):  # fmt: skip
            (line,) = hallmark("model", "search", *words, "--json").lines
            assert [m["cid"] for m in line["models"]] == [magika.cid], words
        (found,) = line["models"]
        assert (found["called"], found["publisher"]) == ("alice", show_address(ALICE.address))
        assert (found["state"], found["here"], found["hubs"], found["providers"]) == ("current", False, 0, 0)
        assert (line["hubs"], line["more"]) == (0, False)
        (line,) = hallmark("model", "search", "--limit", 1, "--json").lines
        assert (len(line["models"]), line["more"]) == (1, True)
        assert "More: --limit 2" in hallmark("model", "search", "--limit", 1).out

    def test_a_withdrawn_or_edited_model_is_never_found(self, hallmark: Hallmark, publish: Publish) -> None:
        publish(ALICE, withdrawn="wrong")
        before = publish()
        hallmark("model", "edit", "digits", "--description", "mended")
        (line,) = hallmark("model", "search", "--json").lines
        assert [m["description"] for m in line["models"]] == ["mended"]
        assert before.cid not in str(line)

    def test_of_two_publishers_each_row_says_whose_it_is(self, hallmark: Hallmark, publish: Publish) -> None:
        for who in (ALICE, key_of("bob")):
            publish(who)
        out = hallmark("model", "search").out
        for who in (ALICE, key_of("bob")):
            address = show_address(who.address)
            assert f"{address[:6]}…{address[-4:]}/digits@1.0.0" in out
        assert f"Next: hallmark model show {show_address(key_of('bob').address)}/digits\n" in out

    def test_a_publisher_that_fell_silent_is_said(self, hallmark: Hallmark, publish: Publish) -> None:
        publish(ALICE, life=DAY // 4)
        assert "publisher silent since" in hallmark("model", "search").out

    @pytest.mark.usefixtures("publish")
    def test_nothing_found_is_no_failure(self, hallmark: Hallmark) -> None:
        ran = hallmark("model", "search", "nothing")
        assert (ran.code, "--bootstrap ADDRESS" in ran.out) == (0, True)
        assert hallmark("model", "search", "nothing", "--json").lines[0]["models"] == []

    @pytest.mark.usefixtures("publish")
    @pytest.mark.parametrize(
        "words", [["?"], ["a b c d e f g h i"], ["x" * 300], ["--publisher", "nobody"], ["--limit", "0"]]
    )
    def test_a_question_that_is_none(self, hallmark: Hallmark, words: list[str]) -> None:
        ran = hallmark("model", "search", *words)
        assert ran.code == Exit.USAGE
        assert "Traceback" not in ran.err


class TestVersions:
    def test_all_are_listed_newest_first_with_what_became_of_each(self, hallmark: Hallmark, publish: Publish) -> None:
        first = publish(version="1.0.0", created_ms=1_700_000_000_000)
        second = publish(version="1.1.0", withdrawn="wrong weights", previous=first.model)
        ran = hallmark("model", "versions", "digits")
        lines = [line.split() for line in ran.out.splitlines()]
        assert ["1.1.0", "1970-01-01", "withdrawn:", "wrong", "weights", second.cid] in lines
        made = time.strftime("%Y-%m-%d", time.localtime(1_700_000_000))
        assert ["1.0.0", made, "stands,", "here", first.cid] in lines
        assert ["follows", first.cid] in lines
        assert re.search(r"signed .*, holds until ", ran.out)
        (line,) = hallmark("model", "versions", "digits", "--json").lines
        assert [(v["version"], v["withdrawn"], v["here"]) for v in line["versions"]] == [
            ("1.1.0", "wrong weights", True),
            ("1.0.0", None, True),
        ]

    def test_between_publishers_nobody_is_guessed(self, hallmark: Hallmark, home: Path, publish: Publish) -> None:
        publish(ALICE)
        publish()
        ran = hallmark("model", "versions", "digits")
        assert (ran.code, show_address(ALICE.address) in ran.err) == (Exit.NOT_FOUND, True)
        save_petnames(home / "petnames.toml", {"alice": ALICE.address})
        ran = hallmark("model", "versions", "alice/digits")
        assert ran.out.startswith(f"digits, published by alice ({show_address(ALICE.address)})\n")

    def test_what_is_no_name(self, hallmark: Hallmark, publish: Publish) -> None:
        signed = publish()
        for text in (signed.cid, "digits@1.0.0", "./digits", "Digits"):
            assert hallmark("model", "versions", text).code == Exit.USAGE
        assert hallmark("model", "versions", "alice/digits").code == Exit.USAGE  # nobody is called alice
        assert hallmark("model", "versions", "nothing").code == Exit.NO_PEERS


class TestShow:
    def test_what_its_publisher_says_now(self, hallmark: Hallmark, home: Path, publish: Publish) -> None:
        save_petnames(home / "petnames.toml", {"alice": ALICE.address})
        signed = publish(ALICE, here=True, tags=("audio", "tiny"), royalty_bps=250, description="Reads digits.")
        shown = " ".join(hallmark("model", "show", "alice/digits").out.split())
        for words in (
            f"publisher alice ({show_address(ALICE.address)})", "name means this model, until", "tags audio, tiny",
            "royalty 2.5 % of each price", "seen here 0 pulls, 0 calls", "description Reads digits.", signed.cid,
        ):  # fmt: skip
            assert words in shown
        publish(ALICE, version="2.0.0", withdrawn="all wrong", here=True)
        (line,) = hallmark("model", "show", signed.cid, "--json").lines
        assert (line["state"], line["tags"], line["previous"]) == ("current", ["audio", "tiny"], None)

    def test_a_withdrawn_one_is_shown_by_its_cid_with_the_reason(self, hallmark: Hallmark, publish: Publish) -> None:
        gone = publish(withdrawn="leaks its training data")
        ran = hallmark("model", "show", gone.cid)
        assert (ran.code, "WITHDRAWN by its publisher: leaks its training data" in ran.out) == (0, True)
        assert " withdrawn" in next(line for line in hallmark("model", "ls").out.splitlines() if gone.cid in line)

    def test_an_edited_one_names_its_successor(self, hallmark: Hallmark, publish: Publish) -> None:
        before = publish()
        edited = hallmark("model", "edit", "digits", "--tag", "b", "--tag", "a", "--json").lines[-1]
        ran = hallmark("model", "show", before.cid)
        assert f"means another model now: {edited['cid']}" in " ".join(ran.out.split())
        shown = " ".join(hallmark("model", "show", "digits").out.split())
        assert (f"CID {edited['cid']}" in shown, f"follows {before.cid}" in shown) == (True, True), shown
        rows = {m["cid"]: m for m in hallmark("model", "ls", "--json").lines[-1]["models"]}
        assert {cid: m["state"] for cid, m in rows.items()} == {before.cid: "replaced", edited["cid"]: "current"}


class TestEditAndWithdraw:
    def test_edit_says_what_it_did_and_what_follows(self, hallmark: Hallmark, publish: Publish) -> None:
        before = publish(tags=("old",))
        ran = hallmark("model", "edit", "digits@1.0.0", "--no-tags", "--task", "ocr", "--licence", "apache-2.0")
        assert ran.out.startswith("Edited digits@1.0.0\n  CID ")
        assert f"instead  {before.cid}" in ran.out
        assert "Next: hallmark serve" in ran.out
        (line,) = hallmark("model", "show", "digits", "--json").lines
        assert (line["tags"], line["task"], line["licence"]) == ([], "ocr", "Apache-2.0")

    def test_an_edit_of_nothing_or_of_both_is_refused(self, hallmark: Hallmark, publish: Publish) -> None:
        publish()
        for words in ([], ["--tag", "a", "--no-tags"]):
            ran = hallmark("model", "edit", "digits", *words)
            assert ran.code == Exit.USAGE
        assert len(hallmark("model", "ls", "--json").lines[-1]["models"]) == 1

    def test_withdraw_asks_on_a_terminal_and_takes_no_for_an_answer(
        self, hallmark: Hallmark, publish: Publish, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish()
        answers = iter([False, True])
        asked: list[str] = []

        def confirm(question: str, *, abort: bool) -> None:
            asked.append(question)
            if not next(answers) and abort:
                raise KeyboardInterrupt

        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        monkeypatch.setattr("click.confirm", confirm)
        assert hallmark("model", "withdraw", "digits").code == Exit.INTERRUPTED
        assert hallmark("model", "versions", "digits", "--json").lines[0]["versions"][0]["withdrawn"] is None
        ran = hallmark("model", "withdraw", "digits@1.0.0", "--reason", "wrong")
        assert (ran.code, ran.out.startswith("Withdrawn: digits@1.0.0\n")) == (0, True)
        assert asked == ["Withdraw the highest version of digits for good?", "Withdraw digits@1.0.0 for good?"]
        assert hallmark("model", "versions", "digits", "--json").lines[0]["versions"][0]["withdrawn"] == "wrong"

    def test_withdraw_of_what_is_not_our_own(self, hallmark: Hallmark, publish: Publish) -> None:
        signed = publish(ALICE, here=True)
        for text in (signed.cid, f"{show_address(ALICE.address)}/digits"):
            ran = hallmark("model", "withdraw", text, "--yes")
            assert (ran.code, "Only its publisher" in ran.err) == (Exit.NOT_FOUND, True)
