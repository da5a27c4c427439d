"""Who lies about names: with gossip, in a page of a catalogue, in the DHT, or with a name itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import node.intake
from node.catalogue import about
from node.errors import CommandError
from node.intake import Intake
from node.listing import Believed, believe, list_models
from node.naming import News, parse_reference, rank_in_dht, rule_on_announcement
from node.noticeboard import Notice, Ruling
from node.petnames import load_petnames
from storage import Store
from tests.node.records import DOMAIN, MINUTE, announced, name_record, named, signed_manifest, signed_name
from tests.verify.scenes import NOW, bent, key_of
from wire.canonical import encode
from wire.catalogue import AskModels, Listed, Models
from wire.cid import to_cid
from wire.eip712 import Domain
from wire.keys import show_address
from wire.manifest import SignedManifest
from wire.name import SignedName, name_key, sign_name

ELSEWHERE = Domain(chain_id=1, contract=b"\x22" * 20)
PUBLISHER = key_of("publisher").address


def on(data: bytes, known: int = -1) -> Notice | News:
    return rule_on_announcement(data, DOMAIN, NOW, lambda *_: known)


def is_rejected(data: bytes) -> bool:
    found = on(data)
    return isinstance(found, Notice) and found.ruling is Ruling.REJECT


def listed(manifest: SignedManifest, name: SignedName | None) -> Listed:
    return Listed(manifest=manifest, name=name, held=True, pulls=9, calls=9)


def page_of(store: Store, *entries: Listed, question: AskModels | None = None) -> Believed:
    """What of a hub's page is believed, and learnt as a peer learns it."""
    asked = question or about()
    found = believe(store, DOMAIN, asked, Models(entries=entries, cursor=None, gone=()), NOW)
    store.names.put_all(found.names)
    store.catalogue.put(found.manifests)
    return found


def test_what_is_said_to_be_gone_is_believed_of_the_name_that_was_asked_for_alone(store: Store) -> None:
    mine = signed_name(versions=named(signed_manifest(), withdrawn="bad"))
    other, whose = signed_name(name="letters"), key_of("publisher").address
    over = signed_name("bob", issued_ms=NOW - 100 * MINUTE, expires_ms=NOW - MINUTE)
    forged = bent(signed_name("eve"), signature=mine.signature)
    page = Models(entries=(), cursor=None, gone=(forged, other, over, mine))
    assert believe(store, DOMAIN, about("digits"), page, NOW).names == (mine,)
    assert believe(store, DOMAIN, about("digits", whose), page, NOW).names == (mine,)
    assert believe(store, DOMAIN, about("digits", key_of("eve").address), page, NOW).names == ()
    assert believe(store, DOMAIN, about(), page, NOW).names == ()


def search(store: Store) -> list[bytes]:
    return [signed.model for signed in store.catalogue.search("digits").models]


def test_a_record_signed_by_another_key_is_rejected() -> None:
    mine, theirs = signed_name(), signed_name("eve")
    assert is_rejected(announced(bent(mine, signature=theirs.signature)))
    forged = bent(name_record(), publisher=key_of("eve").address)
    assert is_rejected(announced(bent(sign_name(forged, key_of("eve"), DOMAIN), body=mine.body)))


def test_an_older_record_that_is_replayed_undoes_nothing(store: Store) -> None:
    manifest = signed_manifest()
    before, after = signed_name(sequence=1), signed_name(sequence=2, versions=named(manifest, withdrawn="bad"))
    intake = Intake(store, DOMAIN)
    store.names.put(after)
    notice = intake.take(announced(before, manifest), "eve", NOW)
    assert (notice.ruling, "replay" in notice.rule) == (Ruling.IGNORE, True)
    assert page_of(store, listed(manifest, before)).page.entries == ()
    assert (store.names.get(PUBLISHER, "digits"), search(store)) == (after, [])


def test_a_record_of_another_network_is_rejected() -> None:
    assert is_rejected(announced(signed_name(domain=ELSEWHERE)))
    assert is_rejected(announced(signed_name(), signed_manifest(domain=ELSEWHERE)))


def test_a_manifest_that_is_not_of_the_record_is_rejected() -> None:
    for foreign in (
        signed_manifest("eve"),
        signed_manifest(name="letters"),
        signed_manifest(version="1.0.1"),
        signed_manifest(description="another under the same version"),
    ):
        assert is_rejected(announced(signed_name(), signed_manifest(), foreign))


def test_a_hub_that_leaves_out_a_withdrawal_does_not_bring_the_model_back(store: Store) -> None:
    manifest = signed_manifest()
    store.names.put(signed_name(sequence=2, versions=named(manifest, withdrawn="bad")))  # gossip, or another hub
    for told in (None, signed_name(sequence=1)):
        found = page_of(store, listed(manifest, told))
        assert (found.page.entries, search(store)) == ((), [])


def test_a_withdrawal_that_comes_after_the_lie_takes_the_model_away(store: Store) -> None:
    manifest = signed_manifest()
    assert len(page_of(store, listed(manifest, signed_name())).page.entries) == 1
    assert search(store) == [manifest.model]
    withdrawn = signed_name(sequence=2, versions=named(manifest, withdrawn="bad"))
    assert page_of(store, listed(manifest, withdrawn)).page.entries == ()
    assert search(store) == []


def test_a_hub_cannot_list_a_model_under_a_foreign_name(store: Store) -> None:
    mine, hers = signed_manifest(), signed_manifest("eve", description="hers")
    under = signed_name("eve", versions=named(hers))
    assert page_of(store, listed(mine, under), listed(hers, signed_name())).page.entries == ()
    claimed = signed_name("eve", versions=named(mine))  # her record says that her name means his model
    assert page_of(store, listed(mine, claimed)).page.entries == ()
    assert (search(store), store.names.count) == ([], 0)


def test_a_hubs_page_is_about_what_was_asked(store: Store) -> None:
    hers = listed(signed_manifest("eve"), None)
    for question in (about("letters"), about("digits", PUBLISHER)):
        assert page_of(store, hers, question=question).page.entries == ()
    assert len(page_of(store, hers, question=about("digits")).page.entries) == 1


def test_a_hubs_forged_entries_are_left_out_and_the_good_ones_stay(store: Store) -> None:
    good, manifest = signed_manifest(), signed_manifest(version="2.0.0")
    entries = (
        listed(bent(manifest, signature=bytes(65)), None),
        listed(manifest, bent(signed_name(), signature=bytes(65))),
        listed(bent(manifest, body=b"\xc1"), None),
        listed(good, signed_name()),
    )
    assert [entry.manifest for entry in page_of(store, *entries).page.entries] == [good]


def test_a_known_model_with_another_signature_is_told_on_under_its_own(store: Store) -> None:
    good = signed_manifest()
    store.catalogue.put([good])
    found = page_of(store, listed(bent(good, signature=bytes(65)), None))
    assert [entry.manifest for entry in found.page.entries] == [good]
    assert list_models(store, about(), lambda _: False).entries[0].manifest == good


def test_an_expired_record_is_no_word_at_all(store: Store) -> None:
    old = signed_name(issued_ms=NOW - 2 * MINUTE, expires_ms=NOW - MINUTE, sequence=9)
    found = on(announced(old))
    assert isinstance(found, Notice)
    assert found.ruling is Ruling.IGNORE
    believed = page_of(store, listed(signed_manifest(), old))
    assert [entry.name for entry in believed.page.entries] == [None]
    assert store.names.count == 0


def test_a_flood_of_names_waits_for_nobody_and_takes_bounded_room(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.intake, "MAX_NEWS", 8)
    intake = Intake(store, DOMAIN)
    rulings = [intake.take(announced(signed_name(name=f"n{i}")), "eve", NOW).ruling for i in range(20)]
    assert rulings == [Ruling.ACCEPT] * 8 + [Ruling.IGNORE] * 12
    assert intake.take(announced(signed_name(name="n3", sequence=2)), "eve", NOW).ruling is Ruling.ACCEPT


@pytest.mark.parametrize("text", [to_cid(bytes(32))[:12], to_cid(b"\x01" * 32), "../../etc/passwd", "--json", "-h"])
def test_a_name_that_looks_like_a_cid_a_path_or_an_option_is_no_name(text: str) -> None:
    assert parse_reference(text, {}) is None


def test_the_dht_holds_no_value_of_another_names_key() -> None:
    value = encode(signed_name())
    assert rank_in_dht(name_key(PUBLISHER, "digits"), value, DOMAIN, NOW) == (1, PUBLISHER)
    for key in (name_key(PUBLISHER, "digit"), name_key(key_of("eve").address, "digits"), bytes(32), b""):
        assert rank_in_dht(key, value, DOMAIN, NOW) is None
    assert rank_in_dht(name_key(PUBLISHER, "digits"), encode(signed_name(domain=ELSEWHERE)), DOMAIN, NOW) is None


def test_a_petname_cannot_stand_for_an_address(tmp_path: Path) -> None:
    eve, mine = show_address(key_of("eve").address), show_address(PUBLISHER)
    for name in (mine.lower(), mine.lower().removeprefix("0x"), "0x"):
        (tmp_path / "petnames.toml").write_text(f'"{name}" = "{eve}"\n')
        with pytest.raises(CommandError):
            load_petnames(tmp_path / "petnames.toml")
