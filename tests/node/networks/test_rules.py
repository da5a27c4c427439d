"""Which file may follow which: the publisher's newer one, and nothing that would make another network of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.networkfile import next_epoch, show_network
from node.networks.rules import follow_text, read_signed
from tests.verify.scenes import bent, key_of
from wire.bounds import MAX_NETWORK_FILE
from wire.errors import RecordError
from wire.keys import show_address
from wire.network import Network
from wire.networkfile import read_file, sign_file

from .files import CHAIN, FIRST, HEIR, PUBLISHER, SEED, STRANGER, changed, text_of

ON_CHAIN = bent(FIRST, chain=CHAIN, epoch=0)


def test_a_newer_file_of_the_publisher_brings_seeds_relays_and_urls() -> None:
    newer = changed(
        FIRST, bootstraps=(SEED, "/dnsaddr/seeds.example"), relays=(SEED,), updates=("https://x.example/n",)
    )
    file, network = follow_text(FIRST, text_of(newer))
    assert network == newer == file.network
    assert not file.hands_over


def test_it_may_open_coming_epochs_where_no_chain_does() -> None:
    opened = next_epoch(FIRST, [key_of("w").peer_id], FIRST.from_ms + 1)
    _, network = follow_text(FIRST, text_of(changed(opened, version=2)))
    assert (network.epoch, network.past[-1].epoch) == (FIRST.epoch + 1, FIRST.epoch)


def test_where_a_chain_does_those_that_were_followed_stay() -> None:
    followed = next_epoch(ON_CHAIN, [key_of("w").peer_id], ON_CHAIN.from_ms + 1)
    newer = changed(ON_CHAIN, chain=bent_chain(rpcs=("https://other.example/",), confirmations=9))
    _, network = follow_text(followed, text_of(newer))
    assert (network.epoch, network.past, network.verifiers) == (followed.epoch, followed.past, followed.verifiers)
    assert network.chain is not None
    assert network.chain.rpcs == ("https://other.example/",)


def bent_chain(**fields: Any) -> Any:
    return msgspec.structs.replace(CHAIN, **fields)


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        (FIRST, changed(FIRST, version=1), "version 1, and 1 is here already"),
        (bent(FIRST, version=5), changed(FIRST, version=4), "version 4, and 5 is here already"),
        (FIRST, changed(FIRST, name="other"), "another network"),
        (FIRST, changed(FIRST, chain=CHAIN), "put the network on a chain"),
        (ON_CHAIN, changed(ON_CHAIN, chain=None), "take the chain away"),
        (ON_CHAIN, changed(ON_CHAIN, chain=bent_chain(channels=b"\x66" * 20)), "another `channels`"),
        (ON_CHAIN, changed(ON_CHAIN, chain=bent_chain(epochs=b"\x66" * 20)), "another `epochs`"),
        (ON_CHAIN, changed(ON_CHAIN, chain=bent_chain(lead=7)), "another `lead`"),
        (FIRST, changed(FIRST, verifiers=FIRST.verifiers[:2]), "it changes epoch 7"),
        (FIRST, changed(FIRST, beacon=b"\x99" * 32), "it changes epoch 7"),
        (FIRST, changed(FIRST, quorum_numerator=1), "it changes epoch 7"),
        (FIRST, changed(FIRST, profiles=()), "it changes epoch 7"),
        (bent(FIRST, epoch=8, from_ms=5), changed(FIRST, epoch=7), "it ends with epoch 7"),
    ],
)
def test_what_would_make_another_network_of_it_is_refused(ours: Network, theirs: Network, why: str) -> None:
    with pytest.raises(RecordError, match=why):
        follow_text(ours, text_of(theirs))


@pytest.mark.parametrize("fields", [{"chain_id": 8453}, {"contract": b"\x77" * 20}])
def test_another_chain_or_contract_is_refused_whoever_signs(fields: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="not signed by the publisher of scene"):  # a signature is of one domain
        follow_text(FIRST, text_of(changed(FIRST, **fields)))
    text = sign_file(show_network(changed(FIRST, **fields)), PUBLISHER, FIRST.domain).text
    with pytest.raises(RecordError, match="another network"):
        follow_text(FIRST, text)


def test_only_the_publisher_has_the_word() -> None:
    for text in (
        text_of(changed(FIRST), by=STRANGER),
        text_of(changed(FIRST, publisher=STRANGER.address), by=STRANGER),
        show_network(changed(FIRST)),
    ):
        with pytest.raises(RecordError, match="not signed"):
            follow_text(FIRST, text)
    with pytest.raises(RecordError, match="names no publisher"):
        follow_text(bent(FIRST, publisher=None, version=0), text_of(FIRST))


def test_a_publisher_hands_over_by_its_own_signature_and_the_heir_goes_on() -> None:
    file, handed = follow_text(FIRST, text_of(changed(FIRST, publisher=HEIR.address)))
    assert file.hands_over
    with pytest.raises(RecordError, match=show_address(HEIR.address)):
        follow_text(handed, text_of(changed(handed)))  # the old one's word is over
    _, later = follow_text(handed, text_of(changed(handed, bootstraps=(SEED,)), by=HEIR))
    assert later.bootstraps == (SEED,)


def test_where_verifiers_are_reached_is_no_rule_of_their_epoch() -> None:
    moved = tuple(msgspec.structs.replace(v, addresses=(SEED,)) for v in reversed(FIRST.verifiers))
    _, network = follow_text(FIRST, text_of(changed(FIRST, verifiers=moved)))
    assert network.verifiers == moved


def test_any_byte_of_it_changed_is_another_file() -> None:
    text = text_of(changed(FIRST, bootstraps=(SEED,)))
    for at in range(0, len(text) - 1, 7):
        forged = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
        with pytest.raises(RecordError):
            follow_text(FIRST, forged)


def test_a_line_below_the_signature_is_told() -> None:
    with pytest.raises(RecordError, match="below it"):
        read_signed(text_of(FIRST) + "name = 'evil'\n")


def test_a_file_of_a_megabyte_is_not_parsed() -> None:
    with pytest.raises(RecordError, match="bytes"):
        follow_text(FIRST, sign_file("#" * MAX_NETWORK_FILE, STRANGER, FIRST.domain).text)


@given(st.text() | st.text().map(lambda text: text + "\n# signature 0x" + "11" * 65))
def test_whatever_a_stranger_gives_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(RecordError) as told:
        follow_text(FIRST, text)
    assert str(told.value)


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([PUBLISHER, HEIR, STRANGER]))
def test_it_follows_exactly_when_it_is_newer_and_the_publishers(ours: int, theirs: int, by: Any) -> None:
    newer = bent(FIRST, version=theirs)
    try:
        _, network = follow_text(bent(FIRST, version=ours), text_of(newer, by=by))
    except RecordError:
        assert theirs <= ours or by is not PUBLISHER
    else:
        assert network == newer
        assert theirs > ours
        assert by is PUBLISHER


def test_what_is_written_is_read_back() -> None:
    signed = sign_file(show_network(FIRST), PUBLISHER, FIRST.domain)
    assert read_file(signed.text) == signed
    assert read_file(show_network(FIRST)) is None
