"""Addresses of strangers and of our own."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p import bounds
from p2p.addresses import AddressBook, Multiaddr, is_circuit, listenable, parse_peer, read_address, relay_of
from wire.errors import ErrorCode, RemoteError
from wire.keys import NodeKey

ONE, TWO = (NodeKey(secret.to_bytes(32, "big")).peer_id for secret in (1, 2))


def test_a_full_address_says_whose_it_is() -> None:
    owner, address = read_address(f"/ip4/192.0.2.1/tcp/4001/p2p/{ONE}")
    assert (owner, str(address)) == (ONE, "/ip4/192.0.2.1/tcp/4001")
    assert read_address("/dns4/peer.example/tcp/1", ONE)[0] == ONE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "/ip4/192.0.2.1/tcp/4001",  # nobody's
        f"/ip4/192.0.2.1/udp/4001/p2p/{ONE}",
        f"/ip4/192.0.2.1/tcp/4001/ws/p2p/{ONE}",
        f"/ip4/192.0.2.1/tcp/4001/p2p/{ONE}/p2p/{TWO}",
        f"/ip4/192.0.2.1/tcp/4001/p2p/{ONE}/p2p-circuit",  # whose?
        f"/ip4/192.0.2.1/tcp/4001/p2p-circuit/p2p/{TWO}",  # over which relay?
        f"/p2p/{ONE}/p2p-circuit/p2p/{TWO}",  # where is it?
        f"/ip4/192.0.2.1/tcp/4001/p2p/{ONE}/p2p-circuit/p2p/{ONE}",
        f"/ip4/192.0.2.1/tcp/4001/p2p/{ONE}/p2p-circuit/p2p/{TWO}/p2p-circuit/p2p/{ONE}",
        "/ip4/192.0.2.1/tcp/4001/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",  # an RSA key
        "/unix/etc/passwd",
        "/ip4/192.0.2.1/tcp/4001/p2p/" + "1" * 300,
    ],
)
def test_what_cannot_be_dialled_is_named(text: str) -> None:
    with pytest.raises(RemoteError, match="cannot be used") as caught:
        read_address(text)
    assert caught.value.code is ErrorCode.UNREACHABLE


def test_an_address_over_a_relay_names_both() -> None:
    owner, address = read_address(f"/ip6/2001:db8::1/tcp/4001/p2p/{ONE}/p2p-circuit/p2p/{TWO}")
    assert (owner, str(address)) == (TWO, f"/ip6/2001:db8::1/tcp/4001/p2p/{ONE}/p2p-circuit")
    assert read_address(str(address), TWO) == (TWO, address)
    assert is_circuit(address)
    assert relay_of(address) == (ONE, Multiaddr("/ip6/2001:db8::1/tcp/4001"))


def test_an_address_of_another_peer_is_refused() -> None:
    with pytest.raises(RemoteError, match="another peer"):
        read_address(f"/ip4/192.0.2.1/tcp/4001/p2p/{ONE}", TWO)


@settings(max_examples=80, deadline=None)
@given(st.one_of(st.text(max_size=80), st.text(alphabet="/ip46tcpdns0123456789.:", max_size=60)))
def test_any_text_gives_an_address_or_a_remote_error(text: str) -> None:
    for owner in (None, ONE):
        message = "fine"
        try:
            read_address(text, owner)
        except RemoteError as error:
            message = error.message
        assert message.isprintable()


def test_a_port_in_use_is_noticed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="choose another port"):
            listenable(f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}")
    for text in ("/ip4/127.0.0.1/udp/1", "/dns4/localhost/tcp/1", "4001", "/ip4/127.0.0.1/tcp/70000"):
        with pytest.raises(ValueError, match="cannot be listened on"):
            listenable(text)


def test_the_book_is_bounded_and_keeps_the_latest() -> None:
    book = AddressBook()
    book.learn(ONE, [f"/ip4/192.0.2.1/tcp/{port}" for port in range(1, 100)])
    assert len(book.of(ONE)) == bounds.ADDRESSES
    book.learn(ONE, ["/ip4/192.0.2.9/tcp/9", "nonsense", f"/ip4/192.0.2.8/tcp/8/p2p/{TWO}"])
    assert book.of(ONE)[:2] == ("/ip4/192.0.2.9/tcp/9", "/ip4/192.0.2.1/tcp/1")
    assert len(book.of(ONE)) == bounds.ADDRESSES
    assert book.of(TWO) == ()


def test_the_book_forgets_the_peer_longest_unheard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "KNOWN_PEERS", 2)
    book = AddressBook()
    ids = [NodeKey.generate().peer_id for _ in range(3)]
    for peer in (ids[0], ids[1], ids[0], ids[2]):
        book.learn(peer, ["/ip4/192.0.2.1/tcp/1"])
    assert [bool(book.of(peer)) for peer in ids] == [True, False, True]


def test_a_text_that_is_no_peer_is_refused() -> None:
    assert str(parse_peer(ONE)) == ONE
    for text in ("", "../etc", "1" * 60):
        with pytest.raises(RemoteError):
            parse_peer(text)
