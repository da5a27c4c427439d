"""Where a peer lives: which place is chosen, and for whose eyes it is made."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from node.datadir import DataDir, find_data_dir
from node.errors import CommandError, Exit
from node.keyfile import create_key
from node.local import find_network, initialise, keep_network
from node.networkfile import new_network, save_network
from tests.verify.scenes import key_of

IDS = [key_of("v").peer_id]


def test_the_flag_wins_over_the_environment_over_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HALLMARK_DATA_DIR", str(tmp_path / "environment"))
    assert find_data_dir(str(tmp_path / "flag")).path == tmp_path / "flag"
    assert find_data_dir(None).path == tmp_path / "environment"
    monkeypatch.delenv("HALLMARK_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert find_data_dir(None).path.name == "hallmark"


def test_a_relative_place_and_a_home_are_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert find_data_dir("here").path == tmp_path / "here"
    assert find_data_dir("~/there").path == tmp_path / "home" / "there"


def test_nobody_s_home_is_a_sentence() -> None:
    with pytest.raises(CommandError) as caught:
        find_data_dir("~no-such-user-anywhere/x")
    assert caught.value.exit_code is Exit.CONFIG


def test_it_is_made_for_its_owner_alone_with_what_lies_above(tmp_path: Path) -> None:
    directory = DataDir(tmp_path / "above" / "peer")
    directory.create()
    directory.create()
    for place in (directory.path, directory.networks):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not directory.initialised
    create_key(directory.key)
    assert directory.initialised


def test_everything_lies_inside(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    places = [
        directory.key, directory.config, directory.networks, directory.store, directory.peerbook, directory.socket,
    ]  # fmt: skip
    assert len(set(places)) == 6
    assert all(place.parent == tmp_path for place in places)


def test_a_file_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(CommandError) as caught:
            DataDir(place).create()
        assert (caught.value.exit_code, bool(caught.value.next_step)) == (Exit.CONFIG, True)


def test_a_new_peer_has_a_network_of_its_own(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    key, place = initialise(directory, None)
    assert place == directory.networks / f"home-{key.address.hex()[:6]}.toml"
    assert find_network(directory, "") == place
    with pytest.raises(CommandError, match="exists already"):
        initialise(directory, None)


def test_a_wrong_network_file_makes_no_peer(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("name = 1")
    directory = DataDir(tmp_path / "peer")
    with pytest.raises(CommandError):
        initialise(directory, tmp_path / "bad.toml")
    assert not directory.path.exists()


def test_a_stored_network_is_never_replaced_by_another_of_its_name(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    directory.create()
    mine, theirs = new_network("town", IDS), new_network("town", IDS)
    place = keep_network(directory, mine)
    assert keep_network(directory, mine) == place
    with pytest.raises(CommandError, match="another network named 'town'"):
        keep_network(directory, theirs)


def test_which_network_is_meant(tmp_path: Path) -> None:
    directory = DataDir(tmp_path)
    directory.create()
    with pytest.raises(CommandError, match="no network file") as none:
        find_network(directory, "")
    assert "hallmark network new" in none.value.next_step
    for name in ("one", "two"):
        save_network(directory.networks / f"{name}.toml", new_network(name, IDS))
    with pytest.raises(CommandError, match="one, two") as several:
        find_network(directory, "")
    assert "--network" in several.value.next_step
    assert find_network(directory, "two") == directory.networks / "two.toml"
    assert find_network(directory, "./two") == Path("two")
    assert find_network(directory, "two.toml") == Path("two.toml")
