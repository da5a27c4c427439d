"""What a name means as somebody types it, and the rulings on name records, rule by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CommandError
from node.naming import News, Reference, parse_reference, rank_in_dht, rule_on_announcement, rule_on_record
from node.noticeboard import Notice, Ruling
from tests.node.records import DOMAIN, MINUTE, announced, named, signed_manifest, signed_name
from tests.verify.scenes import NOW, bent, key_of
from wire.bounds import CLOCK_SKEW_MS, MAX_NAME_LIFE_MS
from wire.canonical import encode
from wire.keys import show_address
from wire.name import name_key

ALICE = key_of("alice").address
PETNAMES = {"alice": ALICE}


def ruling(found: News | Notice) -> Ruling:
    return Ruling.ACCEPT if isinstance(found, News) else found.ruling


def on(data: bytes, now: int = NOW, known: int = -1) -> Ruling:
    return ruling(rule_on_announcement(data, DOMAIN, now, lambda *_: known))


class TestReferences:
    @pytest.mark.parametrize(
        ("text", "publisher", "name", "version"),
        [
            ("magika", None, "magika", ""),
            ("magika@1.2.0", None, "magika", "1.2.0"),
            ("magika@1.2.0-rc.1", None, "magika", "1.2.0-rc.1"),
            ("alice/magika", ALICE, "magika", ""),
            ("alice/magika@1.2.0", ALICE, "magika", "1.2.0"),
            (f"{show_address(ALICE)}/magika", ALICE, "magika", ""),
            (f"{show_address(ALICE).lower()}/magika", ALICE, "magika", ""),
        ],
    )
    def test_what_is_one(self, text: str, publisher: bytes | None, name: str, version: str) -> None:
        assert parse_reference(text, PETNAMES) == Reference(publisher, name, version)

    @pytest.mark.parametrize(
        "text",
        ["", "/", "@", "Magika", "magika@", "magika@1", "magika@1.0.0+x", "@1.0.0", "/magika", "alice/", "a b", "-rf",
         "--json", "../magika", "./magika.onnx", "magika\n", "a" * 65, "alice/@1.0.0", "alice/bob/magika",
         "m@1.0.0@2.0.0", "é"],
    )  # fmt: skip
    def test_what_is_none(self, text: str) -> None:
        assert parse_reference(text, PETNAMES) is None

    def test_a_mistyped_address_is_refused(self) -> None:
        address = show_address(ALICE)
        swapped = address[:2] + address[2:].swapcase()
        for bad in (swapped, address[:-1], address + "0", "0x" + "g" * 40):
            with pytest.raises(CommandError):
                parse_reference(f"{bad}/magika", PETNAMES)

    def test_a_publisher_whom_nobody_knows_is_refused(self) -> None:
        for text in ("bob/magika", "models/magika.onnx"):
            with pytest.raises(CommandError, match="nobody is called"):
                parse_reference(text, PETNAMES)

    @given(st.text(alphabet="ab0x/@.-1 \u202e", max_size=12) | st.text(max_size=90))
    def test_any_text_is_one_or_none_or_refused(self, text: str) -> None:
        try:
            found = parse_reference(text, PETNAMES)
        except CommandError:
            return
        if found is not None:
            whose = {None: "", ALICE: "alice/"}[found.publisher]
            assert text == whose + found.name + ("@" + found.version if found.version else "")


class TestAnnouncements:
    """Each row of the table in docs/protocol.md, in its order."""

    def test_new_and_valid_is_accepted(self) -> None:
        signed, manifest = signed_name(), signed_manifest()
        news = rule_on_announcement(announced(signed, manifest), DOMAIN, NOW, lambda *_: -1)
        assert isinstance(news, News)
        assert (news.signed, news.manifests) == (signed, (manifest,))
        assert on(announced(signed)) is Ruling.ACCEPT

    def test_bytes_that_are_none_are_rejected(self) -> None:
        good = announced(signed_name(), signed_manifest())
        for data in (b"", b"\x00", b"\xc1", good[:-1], good + b"\0", encode(signed_name())):
            assert on(data) is Ruling.REJECT

    def test_a_life_beyond_the_bound_is_rejected(self) -> None:
        assert on(announced(signed_name(expires_ms=NOW + MAX_NAME_LIFE_MS))) is Ruling.ACCEPT
        assert on(announced(signed_name(expires_ms=NOW + MAX_NAME_LIFE_MS + 1))) is Ruling.REJECT

    def test_its_time_is_ignored_and_no_offence(self) -> None:
        data = announced(signed_name(expires_ms=NOW + MINUTE))
        assert on(data, NOW + MINUTE) is Ruling.IGNORE
        assert on(data, NOW + MINUTE - 1) is Ruling.ACCEPT
        assert on(data, NOW - CLOCK_SKEW_MS - 1) is Ruling.IGNORE
        assert on(data, NOW - CLOCK_SKEW_MS) is Ruling.ACCEPT

    def test_what_is_not_newer_is_ignored(self) -> None:
        data = announced(signed_name(sequence=5))
        assert [on(data, known=known) for known in (4, 5, 6)] == [Ruling.ACCEPT, Ruling.IGNORE, Ruling.IGNORE]

    def test_a_manifest_that_is_badly_signed_is_rejected(self) -> None:
        manifest = signed_manifest()
        assert on(announced(signed_name(), bent(manifest, signature=bytes(65)))) is Ruling.REJECT
        assert on(announced(signed_name(), manifest, bent(manifest, body=b"x"))) is Ruling.REJECT

    def test_a_withdrawn_versions_manifest_is_of_its_record(self) -> None:
        manifest = signed_manifest()
        assert on(announced(signed_name(versions=named(manifest, withdrawn="bad")), manifest)) is Ruling.ACCEPT


def test_a_record_alone_is_ruled_on_alike() -> None:
    def rule(known: int, now: int = NOW) -> Ruling:
        return ruling(rule_on_record(signed_name(sequence=5), DOMAIN, now, lambda *_: known))

    assert [rule(known) for known in (4, 5)] == [Ruling.ACCEPT, Ruling.IGNORE]
    assert rule(-1, NOW + 61 * MINUTE) is Ruling.IGNORE
    assert ruling(rule_on_record(bent(signed_name(), signature=bytes(65)), DOMAIN, NOW, lambda *_: -1)) is Ruling.REJECT


def test_the_dht_ranks_by_sequence_and_forgets_with_time() -> None:
    key, value = name_key(key_of("publisher").address, "digits"), encode(signed_name(sequence=7))
    assert rank_in_dht(key, value, DOMAIN, NOW) == (7, key_of("publisher").address)
    assert rank_in_dht(key, value, DOMAIN, NOW + 60 * MINUTE) is None
    for bad in (b"", value[:-1], announced(signed_name())):
        assert rank_in_dht(key, bad, DOMAIN, NOW) is None
