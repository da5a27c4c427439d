"""Where a peer listens that was not told: everywhere, at one port, which stays the same; and what was told holds."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from node import listening
from node.errors import CommandError, Exit
from node.listening import LOOPBACK, Listening, choose


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> int:
    """In place of 4001, which this machine may use: the first of five ports that nobody has."""
    for port in range(20_000, 30_000, 5):
        if all(listening._free(port + i) for i in range(5)):
            monkeypatch.setattr(listening, "FIRST", port)
            monkeypatch.setattr(listening, "LAST", port + 4)
            return port
    raise AssertionError("no five ports are free")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "port"


@contextmanager
def taken(*ports: int, host: str = "127.0.0.1") -> Iterator[None]:
    """Another program listens there."""
    with ExitStack() as ending:
        for port in ports:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            ending.enter_context(socket.create_server((host, port), family=family))
        yield


def everywhere(port: int) -> tuple[str, ...]:
    """All addresses of this machine at that port."""
    six = (f"/ip6/::/tcp/{port}",) if socket.has_dualstack_ipv6() else ()
    return (f"/ip4/0.0.0.0/tcp/{port}", *six)


def test_the_usual_port_is_4001() -> None:
    assert listening.FIRST == 4001


def test_who_was_told_nothing_listens_everywhere_and_leaves_no_trace(first: int, kept: Path) -> None:
    assert choose((), kept) == Listening(everywhere(first))
    assert not kept.exists()


def test_where_the_port_is_taken_the_next_is_and_it_stays_so(first: int, kept: Path) -> None:
    with taken(first, first + 1):
        found = choose((), kept)
    assert found.addresses == everywhere(first + 2)
    assert f"another program has port {first}" in found.why
    again = choose((), kept)  # the usual one is free again, and others remember this one
    assert again.addresses == everywhere(first + 2)
    assert str(first) in again.why


def test_who_finds_its_own_port_taken_moves_once_more(first: int, kept: Path) -> None:
    kept.write_text(f"{first + 3}\n")
    with taken(first + 3):
        found = choose((), kept)
    assert (found.addresses, kept.read_text()) == (everywhere(first), f"{first}\n")
    assert f"another program has port {first + 3}" in found.why


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_a_port_that_is_taken_in_ipv6_alone_is_taken(first: int, kept: Path) -> None:
    with taken(first, host="::1"):
        assert choose((), kept).addresses == everywhere(first + 1)


def test_a_machine_without_ipv6_listens_in_ipv4(first: int, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without(family: int, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *rest)

    monkeypatch.setattr(socket, "socket", without)
    assert choose((), kept) == Listening((f"/ip4/0.0.0.0/tcp/{first}",))


@pytest.mark.parametrize("text", ["", "many", "0", "70000", "-1"])
def test_a_kept_port_that_is_none_is_forgotten(first: int, kept: Path, text: str) -> None:
    kept.write_text(text)
    assert choose((), kept).addresses == everywhere(first)


def test_where_all_are_taken_the_step_is_told(first: int, kept: Path) -> None:
    with taken(*range(first, first + 5)), pytest.raises(CommandError) as refused:
        choose((), kept)
    assert (refused.value.exit_code, "--listen" in refused.value.next_step) == (Exit.CONFIG, True)
    assert not kept.exists()


def test_what_was_told_is_obeyed_to_the_letter(first: int, kept: Path) -> None:
    kept.write_text(f"{first + 3}\n")
    told = (f"/ip4/127.0.0.1/tcp/{first}", *LOOPBACK)
    assert choose(told, kept) == Listening(told)
    with taken(first), pytest.raises(CommandError, match=f"cannot listen on /ip4/127.0.0.1/tcp/{first}"):
        choose(told, kept)
    with pytest.raises(CommandError, match="cannot be listened on"):
        choose(("/ip4/127.0.0.1/udp/4001",), kept)
