"""Petnames: one small file, the command that keeps it, and names that must not be taken for another thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.errors import CommandError, Exit
from node.petnames import calling, check_petname, find_publisher, load_petnames, save_petnames
from tests.node.commands import Hallmark
from tests.verify.scenes import key_of
from wire.keys import show_address

ALICE, BOB = key_of("alice"), key_of("bob")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "petnames.toml"
    assert load_petnames(path) == {}
    save_petnames(path, {"bob": BOB.address, "alice-of-acme.com": ALICE.address})
    assert load_petnames(path) == {"alice-of-acme.com": ALICE.address, "bob": BOB.address}
    assert [entry.name for entry in tmp_path.iterdir()] == ["petnames.toml"]


def test_a_file_that_cannot_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "petnames.toml"
    save_petnames(path, {"bob": BOB.address})
    (tmp_path / "petnames.toml.new").mkdir()  # so that nothing can be written there
    with pytest.raises(CommandError) as caught:
        save_petnames(path, {})
    assert caught.value.exit_code is Exit.STORAGE
    assert load_petnames(path) == {"bob": BOB.address}


@pytest.mark.parametrize(
    "text",
    [
        "bob",
        "bob = 1",
        'bob = "bob"',
        f'Bob = "{show_address(BOB.address)}"',
        f'"{show_address(ALICE.address).lower()}" = "{show_address(BOB.address)}"',
        f'bob = "{show_address(BOB.address)[:-1]}"',
        f'bob = "{show_address(BOB.address).lower()[:-2]}  "',
        "[[bob]]\n" * 10,
        "\x00",
        "a=" + "[" * 100_000,
    ],
)
def test_a_file_that_is_wrong_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "petnames.toml"
    path.write_text(text)
    with pytest.raises(CommandError) as caught:
        load_petnames(path)
    assert (caught.value.exit_code, str(path) in caught.value.message) == (Exit.CONFIG, True)


@pytest.mark.parametrize(
    "name",
    ["", "Bob", "a b", "a/b", "a@b", "-a", "a" * 33, "bøb", "0x", "0xabc", "a" * 40, "0" * 32 + "\n", "b\n"],
)
def test_what_is_no_petname(name: str) -> None:
    with pytest.raises(CommandError) as caught:
        check_petname(name)
    assert caught.value.exit_code is Exit.USAGE


def test_a_publisher_is_a_petname_an_address_or_a_peer_id() -> None:
    petnames = {"bob": BOB.address}
    for text in ("bob", show_address(BOB.address), show_address(BOB.address).lower(), BOB.peer_id):
        assert find_publisher(text, petnames) == BOB.address
    assert calling(BOB.address, petnames) == "bob"
    assert calling(ALICE.address, petnames) == show_address(ALICE.address)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("alice", "nobody is called 'alice'"),
        (show_address(ALICE.address).swapcase().replace("X", "x"), "mistyped"),
        ("0x12", "is not an address"),
        ("16Uiu2HAmNonsense", "is not"),
    ],
)
def test_whoever_is_meant_by_nobody_is_told(text: str, said: str) -> None:
    with pytest.raises(CommandError) as caught:
        find_publisher(text, {})
    assert (caught.value.exit_code, said in caught.value.message) == (Exit.USAGE, True)
    assert "hallmark petname set" in caught.value.next_step


class TestCommand:
    @pytest.fixture(autouse=True)
    def _peer(self, hallmark: Hallmark) -> None:
        assert hallmark("init").code == 0

    def test_set_ls_and_rm(self, hallmark: Hallmark, home: Path) -> None:
        assert "hallmark petname set" in hallmark("petname", "ls").out
        ran = hallmark("petname", "set", "bob", show_address(BOB.address).lower())
        assert ran.out.startswith(f"bob is {show_address(BOB.address)}\n")
        assert "Next: hallmark model search --publisher bob" in ran.out
        (line,) = hallmark("petname", "set", "friend", "bob", "--json").lines
        assert (line["publisher"], line["before"]) == (show_address(BOB.address), None)
        ran = hallmark("petname", "set", "friend", ALICE.peer_id)
        assert f"friend is {show_address(ALICE.address)}, and no longer {show_address(BOB.address)}" in ran.out
        (line,) = hallmark("petname", "ls", "--json").lines
        assert line["petnames"] == {"bob": show_address(BOB.address), "friend": show_address(ALICE.address)}
        assert hallmark("petname", "rm", "bob").out.startswith("bob is nobody now")
        assert load_petnames(home / "petnames.toml") == {"friend": ALICE.address}

    def test_what_is_not_there_is_not_found(self, hallmark: Hallmark) -> None:
        ran = hallmark("petname", "rm", "bob")
        assert (ran.code, "hallmark petname ls" in ran.err) == (Exit.NOT_FOUND, True)

    def test_a_petname_never_hides_an_address(self, hallmark: Hallmark) -> None:
        ran = hallmark("petname", "set", show_address(ALICE.address).lower(), BOB.peer_id)
        assert ran.code == Exit.USAGE
        assert hallmark("petname", "ls", "--json").lines[0]["petnames"] == {}
