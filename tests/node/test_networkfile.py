"""The network file: what is written is read back, and whatever is wrong with one is a sentence."""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CommandError, Exit
from node.networkfile import (
    load_network,
    new_network,
    next_epoch,
    parse_network,
    save_network,
    show_chain,
    show_network,
)
from tests.verify.scenes import Scene, bent, key_of
from wire.bounds import MAX_EPOCHS
from wire.chain import ChainSpec
from wire.errors import RecordError
from wire.keys import peer_id_of
from wire.network import Network, Profile, Verifier

LINES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
IDS = [key_of(f"v{n}").peer_id for n in range(3)]
TEXT = show_network(bent(Scene().network, bootstraps=("/ip4/10.0.0.1/tcp/4001/p2p/" + IDS[0],)))
ENTRIES = tomllib.loads(TEXT)
OVER = {"epoch": 3, "from_ms": 0, "beacon": "0x" + "33" * 32, "committee_size": 4}  # an epoch that came before


def written(**changes: Any) -> str:
    return tomli_w.dumps({k: v for k, v in (ENTRIES | changes).items() if v is not None})


def is_a_network_or_a_sentence(text: str) -> bool:
    try:
        return isinstance(parse_network(text), Network)
    except RecordError as error:
        return bool(str(error))


networks = st.builds(
    Network,
    from_ms=st.integers(0, 2**53),
    past=st.just(()),
    sample_bps=st.integers(0, 10_000),
    name=st.from_regex(r"[a-z0-9][a-z0-9\-]{0,31}", fullmatch=True),
    chain_id=st.integers(0, 2**63 - 1),
    contract=st.binary(min_size=20, max_size=20),
    epoch=st.integers(0, 2**63 - 1),
    beacon=st.binary(min_size=32, max_size=32),
    committee_size=st.integers(1, 256),
    quorum_numerator=st.integers(1, 499),
    quorum_denominator=st.integers(500, 1000),
    bootstraps=st.lists(LINES, max_size=3).map(tuple),
    relays=st.lists(LINES, max_size=3).map(tuple),
    verifiers=st.lists(
        st.builds(
            Verifier,
            key=st.sampled_from([key_of(f"v{n}").public for n in range(9)]),
            weight=st.integers(1, 2**40),
            addresses=st.lists(LINES, max_size=2).map(tuple),
        ),
        max_size=4,
        unique_by=lambda v: v.key,
    ).map(tuple),
    profiles=st.lists(
        st.builds(
            Profile,
            name=st.from_regex(r"[a-z0-9][a-z0-9\-]{0,31}", fullmatch=True),
            tolerance=st.floats(0, 1).filter(lambda f: str(f) != "-0.0"),
        ),
        max_size=3,
        unique_by=lambda p: p.name,
    ).map(tuple),
)


@given(networks)
def test_what_is_shown_is_read_back(network: Network) -> None:
    assert parse_network(show_network(network)) == network


addresses = st.binary(min_size=20, max_size=20)
urls = st.lists(st.sampled_from(["https://a.example/n.toml", "https://b.example/?n=1"]), max_size=3).map(tuple)


@given(networks, addresses, st.integers(0, 2**63 - 1), urls)
def test_a_publisher_is_read_back(network: Network, publisher: bytes, version: int, updates: tuple[str, ...]) -> None:
    published = bent(network, publisher=publisher, version=version, updates=updates)
    assert parse_network(show_network(published)) == published


def test_a_file_without_relays_and_publisher_is_one_of_the_first_release() -> None:
    assert not ENTRIES.keys() & {"relays", "publisher", "version", "updates"}


chains = st.builds(
    ChainSpec,
    rpcs=st.lists(
        st.sampled_from(["http://127.0.0.1:8545", "https://rpc.example/v3/key?x=1"]), min_size=1, max_size=3
    ).map(tuple),
    token=addresses,
    channels=addresses,
    evidence=addresses,
    split=addresses,
    epochs=addresses,
    confirmations=st.integers(0, 2**32 - 1),
    from_block=st.integers(0, 2**63 - 1),
    lead=st.integers(0, 2**32 - 1),
)
CHAIN = show_chain(
    ChainSpec(
        rpcs=("http://127.0.0.1:8545",), token=b"\1" * 20, channels=b"\2" * 20, evidence=b"\3" * 20, split=b"\4" * 20,
        epochs=b"\5" * 20, confirmations=12, from_block=7, lead=60,
    )
)  # fmt: skip


@given(networks, chains)
def test_a_chain_is_read_back(network: Network, chain: ChainSpec) -> None:
    with_chain = bent(network, chain=chain)
    assert parse_network(show_network(with_chain)) == with_chain


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rpcs": []}, "rpcs"),
        ({"rpcs": ["127.0.0.1:8545"]}, "an RPC is a URL"),
        ({"rpcs": ["ftp://host"]}, "an RPC is a URL"),
        ({"rpcs": ["http://"]}, "an RPC is a URL"),
        ({"rpcs": ["http://h"] * 9}, "rpcs"),
        ({"rpcs": ["http://" + "h" * 300]}, "rpcs"),
        ({"token": "0x12"}, "chain: token: '0x12' is not an address"),
        ({"epochs": "0x" + "zz" * 20}, "chain: epochs"),
        ({"split": None}, "split"),
        ({"confirmations": -1}, "confirmations"),
        ({"confirmations": "12"}, "confirmations"),
        ({"confirmations": None}, "confirmations"),
        ({"lead": 2**32}, "lead"),
        ({"from_block": 1.5}, "from_block"),
        ({"typo": 1}, "typo"),
    ],
)
def test_what_is_wrong_with_a_chain_is_said(changes: dict[str, Any], says: str) -> None:
    table = {k: v for k, v in (CHAIN | changes).items() if v is not None}
    with pytest.raises(RecordError, match=says):
        parse_network(written(chain=table))


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000, "a = " + "9" * 5_000, "a = {b = " * 9_999, "\0", "a"])
def test_what_is_no_toml_is_a_sentence_too(text: str) -> None:
    with pytest.raises(RecordError, match=r"not TOML|too deep"):
        parse_network(text)


def test_a_chains_rpc_is_never_quoted() -> None:
    with pytest.raises(RecordError) as refused:
        parse_network(written(chain=CHAIN | {"rpcs": ["wss://host/geheim"]}))
    assert "geheim" not in str(refused.value)


def test_a_new_network_is_its_own_and_lists_each_verifier_once() -> None:
    first, second = new_network("home", [*IDS, IDS[0]]), new_network("home", IDS)
    assert first.domain != second.domain
    assert first.beacon != second.beacon
    assert [v.key for v in first.verifiers] == [key_of(f"v{n}").public for n in range(3)]
    assert (first.committee_size, first.quorum_numerator, first.quorum_denominator) == (3, 2, 3)
    assert new_network("home", IDS, committee=2).committee_size == 2
    assert first.tolerance("fp32") == 1e-5


@given(networks, st.lists(st.sampled_from(IDS), min_size=1, max_size=3), st.integers(1, 2**40))
def test_the_next_epoch_has_another_beacon_and_the_old_one_behind_it(
    network: Network, verifiers: list[str], wait: int
) -> None:
    network = bent(network, epoch=min(network.epoch, 2**62), from_ms=min(network.from_ms, 2**52))
    opened = next_epoch(network, verifiers, network.from_ms + wait)
    assert (opened.epoch, opened.from_ms) == (network.epoch + 1, network.from_ms + wait)
    assert opened.beacon != network.beacon
    assert {peer_id_of(v.key) for v in opened.verifiers} == set(verifiers)
    stay = {v.key: v for v in network.verifiers}
    assert all(v == stay.get(v.key, Verifier(key=v.key, weight=1)) for v in opened.verifiers)
    assert opened.at(network.from_ms) == bent(network, bootstraps=opened.bootstraps)
    assert parse_network(show_network(opened)) == opened


def test_epochs_follow_each_other_and_the_oldest_are_forgotten() -> None:
    network = Scene().network
    for n in range(1, MAX_EPOCHS + 3):
        network = next_epoch(network, IDS, n * 10)
    assert len(network.past) == MAX_EPOCHS
    assert [r.from_ms for r in network.past] == [n * 10 for n in range(2, MAX_EPOCHS + 2)]
    with pytest.raises(RecordError, match="does not come after"):
        next_epoch(network, IDS, network.from_ms)
    with pytest.raises(RecordError):
        next_epoch(network, ["nobody"], network.from_ms + 1)
    assert next_epoch(network, IDS, network.from_ms + 1, committee=2).committee_size == 2


@pytest.mark.parametrize(("name", "verifiers"), [("Home", IDS), ("", IDS), ("a/b", IDS), ("home", ["nobody"])])
def test_a_new_network_with_a_wrong_name_or_id_is_refused(name: str, verifiers: list[str]) -> None:
    with pytest.raises(RecordError):
        new_network(name, verifiers)


def test_what_may_be_left_out_may_be_left_out() -> None:
    network = parse_network(written(quorum=None, bootstraps=None, profiles=None, verifiers=[{"peer": IDS[0]}]))
    assert (network.quorum_numerator, network.quorum_denominator, network.sample_bps) == (2, 3, 500)
    assert (network.bootstraps, network.profiles) == ((), ())
    assert network.verifiers == (Verifier(key=key_of("v0").public, weight=1),)


NEGATED = bytes([key_of("v0").public[0] ^ 1]) + key_of("v0").public[1:]
BAD_POINT = b"\x00\x25\x08\x02\x12\x21\x02" + b"\xff" * 32


def wrong_entries() -> list[tuple[dict[str, Any], str]]:
    from base58 import b58encode

    from wire.keys import peer_id_of

    good = {"peer": IDS[0], "weight": 1}
    return [
        ({"name": None}, "name"),
        ({"name": "Has Capitals"}, "name"),
        ({"name": "../../etc/passwd"}, "name"),
        ({"name": 5}, "name"),
        ({"chain_id": -1}, "chain_id"),
        ({"chain_id": True}, "chain_id"),
        ({"chain_id": 2**63}, "chain_id"),
        ({"contract": None}, "contract"),
        ({"contract": 7}, "contract"),
        ({"contract": "0x12"}, "address"),
        ({"contract": "0x" + "g" * 40}, "address"),
        ({"contract": "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}, "checksum"),
        ({"epoch": "7"}, "epoch"),
        ({"beacon": "0x22"}, "beacon"),
        ({"beacon": "no hex"}, "beacon"),
        ({"beacon": [1]}, "beacon"),
        ({"committee_size": 0}, "committee_size"),
        ({"committee_size": 257}, "committee_size"),
        ({"quorum": [2]}, "quorum"),
        ({"quorum": [2, 3, 4]}, "quorum"),
        ({"quorum": "2/3"}, "quorum"),
        ({"quorum": ["2", "3"]}, "quorum"),
        ({"quorum": [3, 3]}, "quorum"),
        ({"quorum": [0, 3]}, "quorum"),
        ({"quorum": [2, 0]}, "quorum"),
        ({"quorum": [-3, -2]}, "quorum"),
        ({"sample": 1.01}, "sample"),
        ({"sample": -0.01}, "sample"),
        ({"sample": float("nan")}, "sample"),
        ({"sample": "5 %"}, "sample"),
        ({"bootstraps": "one"}, "bootstraps"),
        ({"bootstraps": [1]}, "bootstraps"),
        ({"bootstraps": ["x" * 257]}, "bootstraps"),
        ({"bootstraps": ["x"] * 65}, "bootstraps"),
        ({"profiles": []}, "profiles"),
        ({"profiles": {"fp32": 1}}, "profiles"),
        ({"profiles": {"fp32": {}}}, "tolerance"),
        ({"profiles": {"fp32": {"tolerance": float("nan")}}}, "tolerance"),
        ({"profiles": {"fp32": {"tolerance": -0.1}}}, "tolerance"),
        ({"profiles": {"fp32": {"tolerance": 1.5}}}, "tolerance"),
        ({"profiles": {"FP 32": {"tolerance": 0.5}}}, "profiles"),
        ({"profiles": {"fp32": {"tolerance": 0.5, "more": 1}}}, "more"),
        ({"version": 1}, "publisher"),
        ({"updates": ["https://x.example/"]}, "publisher"),
        ({"publisher": "0x12"}, "0x12"),
        ({"publisher": "0x" + "11" * 20, "version": -1}, "version"),
        ({"publisher": "0x" + "11" * 20, "updates": ["http://x.example/"]}, "https"),
        ({"relays": ["x"] * 65}, "relays"),
        ({"verifiers": {}}, "verifiers"),
        ({"verifiers": [1]}, "verifiers"),
        ({"verifiers": [{"weight": 1}]}, "peer"),
        ({"verifiers": [good | {"weight": 0}]}, "weight"),
        ({"verifiers": [good | {"weight": 1.5}]}, "weight"),
        ({"verifiers": [good | {"weight": 2**41}]}, "weight"),
        ({"verifiers": [good | {"addresses": "x"}]}, "addresses"),
        ({"verifiers": [good | {"stake": 1}]}, "stake"),
        ({"verifiers": [good, good]}, "twice"),
        ({"verifiers": [good, good | {"peer": peer_id_of(NEGATED)}]}, "twice"),
        ({"verifiers": [{"peer": "16Uiu2HAmNobody"}]}, "16Uiu2HAmNobody"),
        ({"verifiers": [{"peer": "0OIl"}]}, "0OIl"),
        ({"verifiers": [{"peer": b58encode(BAD_POINT).decode()}]}, "secp256k1"),
        ({"verifiers": [{"peer": 5}]}, "peer"),
        ({"past": [OVER | {"quorum": [3, 3]}]}, "quorum"),
        ({"past": [OVER | {"beacon": "0x22"}]}, "beacon"),
        ({"past": [OVER | {"verifiers": [good, good]}]}, "twice"),
        ({"past": [OVER | {"name": "home"}]}, "name"),
        ({"past": [{}]}, "epoch"),
        ({"past": [OVER] * 65}, "past"),
        ({"past": [OVER], "epoch": 3}, "epoch 3 does not come after epoch 3"),
        ({"past": [OVER | {"from_ms": 9}]}, "epoch 7 does not come after epoch 3"),
        ({"past": [OVER, OVER | {"epoch": 2, "from_ms": 5}]}, "epoch 2 does not come after epoch 3"),
        ({"from_ms": -1}, "from_ms"),
        ({"surprise": 1}, "surprise"),
        ({"quorum_numerator": 1}, "quorum_numerator"),
    ]


@pytest.mark.parametrize(("changes", "named"), wrong_entries(), ids=lambda value: str(value)[:40])
def test_every_wrong_entry_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(RecordError, match=named):
        parse_network(written(**changes))


@given(st.data())
def test_a_damaged_file_is_a_sentence_or_a_network(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT)))
    text = TEXT[:at] + data.draw(st.text(max_size=3)) + TEXT[at + data.draw(st.integers(0, 4)) :]
    assert is_a_network_or_a_sentence(text)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_none(v) for v in value if v is not None]
    return value


@given(st.dictionaries(st.sampled_from(sorted(ENTRIES)), plain, min_size=1))
def test_any_value_in_any_entry_is_a_sentence_or_a_network(changes: dict[str, Any]) -> None:
    assert is_a_network_or_a_sentence(tomli_w.dumps(without_none(ENTRIES | changes)))


def test_tables_without_end_are_a_sentence() -> None:
    with pytest.raises(RecordError):
        parse_network("name = " + "[" * 20_000)


def test_a_file_is_written_whole_and_read(tmp_path: Path) -> None:
    network = Scene().network
    save_network(tmp_path / "scene.toml", network)
    assert load_network(tmp_path / "scene.toml") == network
    assert [p.name for p in tmp_path.iterdir()] == ["scene.toml"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"name = ", b"[[verifiers]]\npeer = 5"])
def test_a_file_that_is_none_says_which_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "n.toml").write_bytes(content)
    with pytest.raises(CommandError, match=r"n\.toml") as caught:
        load_network(tmp_path / "n.toml")
    assert (caught.value.exit_code, bool(caught.value.next_step)) == (Exit.CONFIG, True)


def test_a_missing_file_and_a_directory_are_sentences(tmp_path: Path) -> None:
    for place in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(CommandError) as caught:
            load_network(place)
        assert caught.value.exit_code is Exit.CONFIG


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        save_network(tmp_path / "no such folder" / "n.toml", Scene().network)
    assert caught.value.exit_code is Exit.STORAGE
    assert stat.S_ISDIR(tmp_path.stat().st_mode)
