"""What a person is told of how this peer can be reached, and what to do."""

from __future__ import annotations

import pytest

from node.cli.reach import reach_lines
from node.reaching import describe
from p2p import Checker, Reach, Reachability

PORT = ("/ip4/0.0.0.0/tcp/4001",)
HOME = ("/ip4/127.0.0.1/tcp/4001", "/ip4/192.168.1.23/tcp/4001")
CIRCUIT = "/ip4/198.51.100.9/tcp/4001/p2p/16Uiu2Relay/p2p-circuit/p2p/16Uiu2Me"


def checker(number: int, *, reached: bool) -> Checker:
    detail = "/ip4/203.0.113.7/tcp/4001" if reached else "no answer within 5 s"
    return Checker(f"peer-{number}", f"10.{number}.0.0/16", reached, detail, 1_700_000_000_000)


def test_who_is_reached_is_told_where_and_by_how_many() -> None:
    found = Reachability(
        Reach.PUBLIC,
        confirmed=("/ip4/203.0.113.7/tcp/4001",),
        checkers=tuple(checker(i, reached=i > 0) for i in range(3)),
    )
    told = describe(found, PORT)
    assert told["line"] == "yes, at /ip4/203.0.113.7/tcp/4001 (public)"
    assert told["checked"] == "2 of 3 peers that were asked to dial back got through"
    assert told["steps"] == []
    assert (told["state"], told["checkers"][1]["reached"]) == ("public", True)


def test_a_mapped_port_is_named_with_its_router() -> None:
    found = Reachability(Reach.MAPPED, confirmed=("/ip4/203.0.113.7/tcp/4001",), mapping="UPnP, router 192.168.1.1")
    assert "through UPnP, router 192.168.1.1 (mapped)" in describe(found, PORT)["line"]


def test_who_is_not_reached_gets_steps_with_its_own_address_and_port() -> None:
    found = Reachability(
        Reach.PRIVATE, listening=HOME, gateway="192.168.1.1", checkers=(checker(1, reached=False),), relays=(CIRCUIT,)
    )
    told = describe(found, PORT)
    assert told["line"] == "over 1 relay, not directly (private)"
    assert told["checked"].endswith("2 more in other networks are needed")
    assert "On the router at 192.168.1.1, forward TCP port 4001 to 192.168.1.23 port 4001" in told["steps"][0]
    assert any("ufw allow 4001/tcp" in step for step in told["steps"])
    assert not any("stays the same" in step for step in told["steps"])


def test_a_port_that_changes_is_the_first_thing_to_mend() -> None:
    found = Reachability(Reach.PRIVATE, listening=("/ip4/192.168.1.23/tcp/39127",))
    assert "stays the same" in describe(found, ("/ip4/0.0.0.0/tcp/0",))["steps"][0]


def test_a_machine_with_a_global_address_is_told_of_its_firewall_and_not_of_a_router() -> None:
    found = Reachability(Reach.PRIVATE, listening=("/ip4/8.8.4.4/tcp/4001",))
    steps = " ".join(describe(found, PORT)["steps"])
    assert "firewall" in steps
    assert "router" not in steps


def test_on_loopback_alone_the_step_is_to_listen() -> None:
    told = describe(Reachability(Reach.LOCAL, scope="machine", listening=HOME[:1]), ("/ip4/127.0.0.1/tcp/0",))
    assert told["line"] == "from this machine only (local)"
    assert told["checked"] == ""
    assert "--listen /ip4/0.0.0.0/tcp/4001" in told["steps"][0]


def test_a_machine_without_a_network_is_told_that_and_not_to_listen_as_it_does() -> None:
    (step,) = describe(Reachability(Reach.LOCAL, scope="machine", listening=HOME[:1]), PORT)["steps"]
    assert "connect it to a network" in step


def test_before_anybody_was_asked_that_is_what_is_said() -> None:
    told = describe(Reachability(listening=HOME), PORT)
    assert told["line"] == "not known before 3 peers, each in another network, have dialled back"
    assert told["checked"] == ""
    assert told["steps"] == []


def test_with_too_few_networks_to_ask_it_is_said_how_many_are_missing() -> None:
    found = Reachability(listening=HOME, checkers=(checker(1, reached=True), checker(2, reached=True)))
    told = describe(found, PORT)
    assert told["line"].startswith("it seems so, at /ip4/203.0.113.7/tcp/4001; sure when 3 peers")
    expected = "2 of 2 peers that were asked to dial back got through; 1 more in other networks is needed"
    assert told["checked"] == expected


def test_where_one_of_too_few_did_not_get_through_nothing_seems_so() -> None:
    found = Reachability(listening=HOME, checkers=(checker(1, reached=True), checker(2, reached=False)))
    assert describe(found, PORT)["line"].startswith("not known before 3 peers")


def test_who_is_private_and_could_ask_nobody_is_told_so() -> None:
    assert describe(Reachability(Reach.PRIVATE, listening=HOME), PORT)["checked"] == "nobody was asked to dial back"


def test_a_private_peer_that_listens_on_this_machine_only_gets_that_step_and_no_router() -> None:
    found = Reachability(Reach.PRIVATE, listening=HOME[:1], reason="it listens on this machine only")
    assert describe(found, HOME[:1])["steps"] == [
        "Listen beyond this machine: start it with --listen /ip4/0.0.0.0/tcp/4001"
    ]


def test_who_does_not_listen_is_told_to() -> None:
    assert "--listen" in describe(Reachability(Reach.PRIVATE), ())["steps"][0]


def test_a_relay_that_nobody_reaches_is_told_so_with_the_step() -> None:
    found = Reachability(Reach.PRIVATE, listening=HOME, gateway="192.168.1.1", relays=(CIRCUIT,))
    told = describe(found, PORT, relays=True)
    assert "nobody can dial this peer" in told["idle_relay"]
    assert "forward TCP port 4001 to 192.168.1.23" in told["steps"][0]
    assert "without --role relay" in told["steps"][-1]
    assert "as relay" in [label for label, _ in reach_lines(told | {"listen": list(PORT), "listen_why": ""})]


def test_a_relay_in_a_lan_is_told_whom_it_can_serve() -> None:
    found = Reachability(Reach.LOCAL, scope="lan", listening=HOME)
    assert "peers in this LAN" in describe(found, PORT, relays=True)["idle_relay"]


@pytest.mark.parametrize("state", [Reach.PUBLIC, Reach.MAPPED, Reach.CHECKING])
def test_a_relay_that_is_reached_or_may_be_is_told_nothing(state: Reach) -> None:
    told = describe(Reachability(state, confirmed=("/ip4/203.0.113.7/tcp/4001",)), PORT, relays=True)
    assert (told["idle_relay"], told["steps"]) == ("", [])


def test_who_is_no_relay_is_told_nothing_of_relaying() -> None:
    told = describe(Reachability(Reach.PRIVATE, listening=HOME), PORT)
    assert told["idle_relay"] == ""
    assert not any("without --role relay" in step for step in told["steps"])


def test_where_it_listens_is_told_first_and_why_there() -> None:
    told = describe(Reachability(listening=HOME), PORT) | {"listen": list(PORT), "listen_why": "kept"}
    assert reach_lines(told)[0] == ("listens", f"{PORT[0]} (kept)")


def test_in_a_lan_addresses_are_told_that_mean_something_there() -> None:
    found = Reachability(Reach.LOCAL, scope="lan", listening=(*HOME, "/ip6/::1/tcp/4001", "/ip6/fd00::7/tcp/4001"))
    line = describe(found, PORT)["line"]
    assert line == "from this LAN, at /ip4/192.168.1.23/tcp/4001, /ip6/fd00::7/tcp/4001 (local)"
