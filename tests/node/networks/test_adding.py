"""`hallmark network add | sign | update`, and what is stored by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.cli import networkfiles
from node.datadir import DataDir
from node.errors import Exit
from node.keyfile import load_key
from node.networkfile import load_network, show_network
from node.networks.archive import Archive
from tests.node.commands import Hallmark
from tests.verify.scenes import bent
from wire.keys import show_address

from .files import FIRST, HEIR, PUBLISHER, SEED, STRANGER, changed, text_of


def written(text: str, name: str = "scene.toml") -> str:
    Path(name).write_text(text)
    return f"./{name}"


def test_a_file_is_shown_stored_and_then_served_by_its_name_from_a_clean_directory(
    hallmark: Hallmark, home: Path
) -> None:
    added = hallmark("network", "add", written(text_of(changed(FIRST, bootstraps=("/dnsaddr/seeds.example",)))))
    assert added.code == 0, added.err
    assert "Network 'scene'" in added.out
    assert f"{show_address(PUBLISHER.address)}, version 2, signed" in added.out
    assert "/dnsaddr/seeds.example" in added.out
    assert "4 in epoch 7" in added.out
    assert added.out.endswith("Next: hallmark serve --network scene\n")
    assert load_network(home / "networks" / "scene.toml").version == 2
    made = hallmark("init", "--json")
    assert made.code == 0, made.err
    assert [place.name for place in (home / "networks").glob("*.toml")] == ["scene.toml"]  # and no network of its own


def test_a_peer_that_is_made_for_an_added_network_does_not_call_it_its_own(hallmark: Hallmark) -> None:
    assert hallmark("network", "add", written(text_of(FIRST))).code == 0
    assert "Network  scene: " in hallmark("init").out


def test_a_network_whose_file_is_signed_for_the_first_time_is_followed_by_hand(hallmark: Hallmark, home: Path) -> None:
    assert hallmark("network", "add", written(show_network(bent(FIRST, publisher=None, version=0)))).code == 0
    signed = hallmark("network", "add", written(text_of(FIRST), "signed.toml"))
    assert (signed.code, "version 1, signed" in signed.out) == (0, True), signed.err
    assert load_network(home / "networks" / "scene.toml") == FIRST


def test_a_publisher_that_is_asked_for_must_have_signed(hallmark: Hallmark) -> None:
    right, wrong = show_address(PUBLISHER.address), show_address(STRANGER.address)
    place = written(text_of(FIRST))
    refused = hallmark("network", "add", place, "--publisher", wrong)
    assert (refused.code, f"is not signed by {wrong}" in refused.err) == (Exit.CONFIG, True)
    bare = hallmark("network", "add", written(show_network(FIRST), "bare.toml"), "--publisher", right)
    assert (bare.code, "is not signed, and" in bare.err) == (Exit.CONFIG, True)
    assert hallmark("network", "add", place, "--publisher", right).code == 0


def test_a_file_that_was_changed_after_it_was_signed_is_refused(hallmark: Hallmark, home: Path) -> None:
    text = text_of(FIRST).replace("committee_size = 16", "committee_size = 1")
    refused = hallmark("network", "add", written(text))
    assert (refused.code, "or was changed since" in refused.err) == (Exit.CONFIG, True)
    assert not (home / "networks").exists()


def test_another_network_of_the_name_is_not_overwritten_unawares(hallmark: Hallmark, home: Path) -> None:
    assert hallmark("network", "add", written(text_of(FIRST))).code == 0
    place = written(text_of(bent(FIRST, contract=b"\x77" * 20), by=PUBLISHER))
    refused = hallmark("network", "add", place)
    assert (refused.code, "--replace" in refused.err) == (Exit.CONFIG, True)
    assert load_network(home / "networks" / "scene.toml") == FIRST
    assert hallmark("network", "add", place, "--replace").code == 0
    assert load_network(home / "networks" / "scene.toml").contract == b"\x77" * 20
    (file,) = Archive(DataDir(home).signed("scene")).all()
    assert file.network.contract == b"\x77" * 20


def test_an_older_file_of_the_network_leaves_the_newer_one(hallmark: Hallmark, home: Path) -> None:
    assert hallmark("network", "add", written(text_of(changed(FIRST)))).code == 0
    kept = hallmark("network", "add", written(text_of(FIRST), "old.toml"))
    assert (kept.code, "is stored" in kept.out and "stays" in kept.out) == (0, True)
    assert "not signed" not in kept.out
    assert load_network(home / "networks" / "scene.toml").version == 2


@pytest.mark.parametrize("by", [STRANGER, HEIR])
def test_a_newer_file_that_the_publisher_did_not_sign_is_not_taken(hallmark: Hallmark, home: Path, by: object) -> None:
    assert hallmark("network", "add", written(text_of(FIRST))).code == 0
    for text in (
        text_of(changed(FIRST, publisher=by.address), by=by),  # type: ignore[attr-defined, arg-type]
        show_network(changed(FIRST)),
        show_network(bent(FIRST, publisher=None, version=0)),
    ):
        refused = hallmark("network", "add", written(text, "new.toml"))
        assert (refused.code, "may not follow" in refused.err) == (Exit.CONFIG, True)
    assert load_network(home / "networks" / "scene.toml") == FIRST


def test_signing_makes_a_publisher_counts_versions_and_hands_over(hallmark: Hallmark, home: Path) -> None:
    assert hallmark("init").code == 0
    key = load_key(home / "node.key")
    place = written(show_network(bent(FIRST, publisher=None, version=0)))
    (first,) = hallmark("network", "sign", place, "--update-url", "https://x.example/scene.toml", "--json").lines
    assert (first["version"], first["publisher"]) == (1, show_address(key.address))
    assert hallmark("network", "add", place).code == 0
    ran = hallmark("network", "sign", place, "--hand-over", show_address(HEIR.address))
    assert "version 2" in ran.out
    assert load_network(Path(place)).publisher == HEIR.address
    assert load_network(Path(place)).updates == ("https://x.example/scene.toml",)
    assert hallmark("network", "add", place).code == 0
    assert load_network(home / "networks" / "scene.toml").publisher == HEIR.address
    mine = hallmark("network", "sign", place)
    assert (mine.code, "the publisher of network 'scene' is" in mine.err) == (Exit.USAGE, True)
    bad = hallmark(
        "network", "sign", written(text_of(bent(FIRST, publisher=key.address)), "b.toml"), "--update-url", "http://x"
    )
    assert (bad.code, "https://" in bad.err) == (Exit.USAGE, True)


def test_a_file_with_which_somebody_handed_over_needs_to_know_who(hallmark: Hallmark) -> None:
    place = written(text_of(changed(FIRST, publisher=HEIR.address)))
    refused = hallmark("network", "add", place)
    assert (refused.code, "--publisher ADDRESS" in refused.err) == (Exit.CONFIG, True)
    assert hallmark("network", "add", place, "--publisher", show_address(PUBLISHER.address)).code == 0


def test_a_url_is_fetched(hallmark: Hallmark, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networkfiles, "_text_at", lambda source: text_of(FIRST) if source.startswith("https") else "")
    assert hallmark("network", "add", "https://x.example/scene.toml").code == 0
    assert load_network(home / "networks" / "scene.toml") == FIRST


def test_a_network_without_a_publisher_has_no_updates(hallmark: Hallmark) -> None:
    assert hallmark("init").code == 0
    ran = hallmark("network", "update")
    assert (ran.code, "names no publisher" in ran.err) == (Exit.CONFIG, True)


def test_the_peer_of_a_file_given_to_init_has_its_signature_after_serve_takes_it(
    home: Path, hallmark: Hallmark
) -> None:
    place = written(text_of(changed(FIRST, bootstraps=(SEED,))))
    assert hallmark("init", "--network", place).code == 0
    assert Archive(DataDir(home).signed("scene")).newest is None
    assert hallmark("network", "add", place).code == 0  # as `serve --network FILE` does
    newest = Archive(DataDir(home).signed("scene")).newest
    assert newest is not None
    assert newest.version == 2


def test_an_epoch_of_a_published_network_is_signed_next_and_then_given_to_others(
    hallmark: Hallmark, home: Path
) -> None:
    assert hallmark("init").code == 0
    key = load_key(home / "node.key")
    place = written(show_network(bent(FIRST, publisher=None, version=0)))
    assert hallmark("network", "sign", place).code == 0
    assert hallmark("network", "add", place).code == 0
    stored = home / "networks" / "scene.toml"
    ran = hallmark("network", "epoch", "scene", "--verifier", key.peer_id)
    assert f"hallmark network sign {stored}" in ran.out
    assert hallmark("network", "sign", stored).code == 0
    (added,) = hallmark("network", "add", stored, "--json").lines
    assert (added["version"], added["signed"]) == (2, True)
    newest = Archive(DataDir(home).signed("scene")).newest
    assert newest is not None
    assert (newest.version, newest.network.epoch) == (2, 8)
