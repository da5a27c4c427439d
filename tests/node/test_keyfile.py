"""The key on disk: made once, for its owner alone, and refused when it is anything else."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.errors import CommandError, Exit
from node.keyfile import create_key, load_key

ORDER = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"


def refusal(path: Path) -> CommandError:
    with pytest.raises(CommandError) as caught:
        load_key(path)
    assert caught.value.exit_code is Exit.CONFIG
    assert caught.value.next_step
    return caught.value


def test_what_was_made_is_read_back_and_only_its_owner_may(tmp_path: Path) -> None:
    made = create_key(tmp_path / "node.key")
    assert load_key(tmp_path / "node.key").peer_id == made.peer_id
    assert stat.S_IMODE((tmp_path / "node.key").stat().st_mode) == 0o600


def test_two_keys_are_two_peers(tmp_path: Path) -> None:
    assert create_key(tmp_path / "a").peer_id != create_key(tmp_path / "b").peer_id


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    made = create_key(tmp_path / "node.key")
    with pytest.raises(CommandError, match="exists already") as caught:
        create_key(tmp_path / "node.key")
    assert caught.value.exit_code is Exit.CONFIG
    assert load_key(tmp_path / "node.key").public == made.public


def test_a_link_at_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "node.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CommandError):
        create_key(tmp_path / "node.key")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o610])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    create_key(tmp_path / "node.key")
    (tmp_path / "node.key").chmod(mode)
    error = refusal(tmp_path / "node.key")
    assert f"{mode:04o}" in error.message
    assert error.next_step == f"Run: chmod 600 {tmp_path / 'node.key'}"


def test_without_a_key_the_next_step_is_init(tmp_path: Path) -> None:
    error = refusal(tmp_path / "node.key")
    assert "no peer" in error.message
    assert error.next_step == "Run: hallmark init; and to join a network, before that: hallmark network add FILE|URL"


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"garbage", b"ab" * 31, b"ab" * 33, b"0x" + b"ab" * 32, b"\xff\xfe\x00", b"00" * 32, ORDER.encode()],
)
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(content)
    path.chmod(0o600)
    assert str(path) in refusal(path).message


def test_what_is_said_of_a_bad_key_does_not_show_it(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    path.write_text("5ec7e7" * 11)
    path.chmod(0o600)
    error = refusal(path)
    assert "5ec7e7" not in error.message + error.next_step


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80))
def test_any_bytes_are_a_key_or_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with suppress(CommandError):
        assert len(load_key(path).secret) == 32


def test_places_that_cannot_be_used_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        create_key(tmp_path / "no such folder" / "node.key")
    assert caught.value.exit_code is Exit.CONFIG
    (tmp_path / "folder").mkdir(mode=0o700)
    refusal(tmp_path / "folder")
