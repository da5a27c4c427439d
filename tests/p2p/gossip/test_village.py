"""Meshes among themselves: what is said gets everywhere soon, few copies of it fly, and attackers change neither."""

from __future__ import annotations

import statistics

import pytest

from p2p import bounds
from p2p.gossip.rpc import Rpc
from p2p.gossip.rules import Rule

from .village import TOPIC, Village, names


def crowd(seed: int, count: int = 40, dials: int = 5) -> Village:
    village = Village(seed)
    village.settle(names(count))
    village.mingle(dials)
    village.run(15)
    return village


@pytest.mark.parametrize("seed", range(3))
def test_what_is_said_is_everywhere_soon_and_few_copies_of_it_fly(seed: int) -> None:
    village = crowd(seed)
    for peer in village.peers.values():
        peer.copies = 0
    said = {}
    for number in range(30):
        said[b"%d" % number] = village.publish(village.chance.choice(list(village.peers)), b"%d" % number)
        village.run(0.2)
    village.run(3)
    delays = [delay for message_id, since in said.items() for delay in village.delays(message_id, since)]
    assert max(delays) <= 0.4
    assert sum(peer.copies for peer in village.peers.values()) <= 6.3 * len(said) * len(village.peers)
    for peer in village.peers.values():
        assert bounds.D_LOW <= len(peer.mesh.members(TOPIC)) <= bounds.D_HIGH
        assert not peer.broken  # nobody honest is ever held anything against


def test_the_same_seed_gives_the_same_run() -> None:
    def trace(seed: int) -> list[tuple[str, list[tuple[bytes, float]], list[str]]]:
        village = crowd(seed, count=15)
        village.publish("p3", b"x", size=5000)
        village.run(5)
        return [(n, list(p.heard.items()), p.mesh.members(TOPIC)) for n, p in village.peers.items()]

    assert trace(7) == trace(7)
    assert trace(7) != trace(8)


def test_a_message_that_the_mesh_loses_is_had_by_asking() -> None:
    """Two peers in no mesh of each other's: what the one heard the other gets within a few heartbeats."""
    village = Village(1)
    village.settle(["left", "right", "source"])
    village.connect("left", "right")
    village.run(1)
    for one, other in (("left", "right"), ("right", "left")):
        village.peers[one].mesh.heard(other, Rpc(prune=[(TOPIC, 300.0)]), village.now)
    village.connect("source", "left")
    village.run(2)
    assert "right" not in village.peers["left"].mesh.members(TOPIC)
    said = village.publish("source", b"news")
    village.run(4)
    assert village.delays(b"news", said)[-1] < 2.0


def test_a_silent_mesh_is_mended_by_those_who_offer_what_it_kept_back() -> None:
    """Eclipse: all of the victim's first neighbours take part and forward nothing. Others only know it from afar."""
    village = crowd(2, count=12, dials=3)
    village.settle(["victim"])
    silent = names(bounds.D, "silent")
    for name in silent:
        village.connect("victim", name)
    village.run(1)
    assert set(village.peers["victim"].mesh.members(TOPIC)) <= set(silent)
    for name in names(4):
        village.connect(name, "victim")
    late = []
    for number in range(60):
        said = village.publish("p7", b"%d" % number)
        village.run(1)
        late.append(village.peers["victim"].heard.get(b"%d" % number, float("inf")) - said)
    assert max(late) < 3  # from the first: by asking those who offer it
    members = village.peers["victim"].mesh.members(TOPIC)
    assert set(members) - set(silent)  # and then again by the mesh, whose places are earned
    assert statistics.median(late[-10:]) < 0.5


def test_many_keys_of_one_range_get_two_places() -> None:
    village = Village(3, where=lambda peer: "192.0.2.0/24" if peer.startswith("sybil") else None)
    village.settle(["victim", *names(6)])
    for name in names(40, "sybil"):
        village.connect(name, "victim")
    village.run(1)
    for name in names(40, "sybil"):
        village.send(name, "victim", Rpc(graft=[TOPIC]))
    for name in names(6):
        village.connect(name, "victim")
    village.run(30)
    members = village.peers["victim"].mesh.members(TOPIC)
    assert sum(name.startswith("sybil") for name in members) <= bounds.MESH_PER_RANGE
    assert sum(name in names(6) for name in members) >= 2


def of_a_cloud(peer: str) -> str | None:
    """Each peer has a narrow range of its own; those of the cloud share a wide one."""
    return "2001:db8::/32" if peer.startswith("cloud") else peer


def test_many_ranges_of_one_wide_one_have_a_share_of_a_mesh_once_others_want_places() -> None:
    village = Village(3, where=lambda peer: peer, wide=of_a_cloud)
    village.settle(["victim"])
    for name in names(40, "cloud"):
        village.connect(name, "victim")
    village.run(1)
    for name in names(40, "cloud"):
        village.send(name, "victim", Rpc(graft=[TOPIC]))
    village.run(3)
    assert len(village.peers["victim"].mesh.members(TOPIC)) >= bounds.D  # nobody else was there

    village.settle(names(6))
    for name in names(6):
        village.connect(name, "victim")
    for _ in range(30):  # they do not give up
        for name in names(40, "cloud"):
            village.send(name, "victim", Rpc(graft=[TOPIC]))
        village.run(bounds.FULL_BACKOFF)
        members = village.peers["victim"].mesh.members(TOPIC)
        assert sum(name in names(6) for name in members) >= bounds.D - bounds.MESH_PER_WIDE
    village.run(3)
    members = village.peers["victim"].mesh.members(TOPIC)
    assert sum(name.startswith("cloud") for name in members) <= bounds.D


def test_a_mesh_of_one_wide_range_looks_for_others_by_itself() -> None:
    """Peers from elsewhere take part, and want no place: their own meshes are full."""
    village = Village(4, where=lambda peer: peer, wide=of_a_cloud)
    village.settle(["victim"])
    for name in [*names(12, "cloud"), *names(4)]:
        village.connect(name, "victim")
        village.run(0.1)
    assert all(name.startswith("cloud") for name in village.peers["victim"].mesh.members(TOPIC))
    village.run(3 * bounds.OPPORTUNITY_BEATS)
    members = village.peers["victim"].mesh.members(TOPIC)
    assert set(members) >= set(names(4))
    assert sum(name.startswith("cloud") for name in members) <= len(members) / 2


@pytest.mark.parametrize("elsewhere", [0, 1, 4, 20])
def test_honest_peers_of_one_cloud_have_meshes_and_hear_everything(elsewhere: int) -> None:
    village = Village(elsewhere, where=lambda peer: peer, wide=of_a_cloud)
    village.settle([*names(40 - elsewhere, "cloud"), *names(elsewhere)])
    village.mingle(5)
    village.run(15)
    said = {}
    for number in range(60):
        said[b"%d" % number] = village.publish(village.chance.choice(list(village.peers)), b"%d" % number)
        village.run(0.5)
        for peer in village.peers.values():
            assert 2 <= len(peer.mesh.members(TOPIC)) <= bounds.D_HIGH
    village.run(3)
    delays = sorted(delay for message_id, since in said.items() for delay in village.delays(message_id, since))
    assert delays[-1] <= 0.4
    assert not any(peer.broken for peer in village.peers.values())


def test_a_place_is_tried_by_newcomers_while_the_mesh_is_full() -> None:
    village = crowd(4, count=30, dials=4)
    village.settle(["newcomer"])
    for name in names(6):
        village.connect("newcomer", name)
    village.run(5)
    assert village.peers["newcomer"].mesh.members(TOPIC)
    said = village.publish("p20", b"x")
    village.run(1)
    assert village.peers["newcomer"].heard[b"x"] - said < 0.4


@pytest.mark.parametrize("again", [0.3, 0.9])
def test_who_grafts_itself_again_and_again_pays_until_it_is_refused(again: float) -> None:
    village = Village(5)
    village.settle(["victim"])
    village.connect("pest", "victim")
    village.run(1)
    victim = village.peers["victim"]
    victim.mesh.heard("pest", Rpc(prune=[(TOPIC, 60.0)]), village.now)
    for _ in range(60):
        village.send("pest", "victim", Rpc(graft=[TOPIC]))
        village.run(again)
        assert "pest" not in victim.mesh.members(TOPIC)
    assert victim.standing.is_refused("pest", village.now)
    assert set(victim.broken) == {Rule.GRAFT_IN_BACKOFF.name}


def test_who_promises_what_it_does_not_have_is_soon_asked_for_nothing() -> None:
    village = Village(6)
    village.settle(["victim"])
    village.connect("liar", "victim")
    village.run(1)
    asked: list[bytes] = []
    village.hear = lambda _, rpc: asked.extend(rpc.iwant)
    victim, counts = village.peers["victim"], []
    for second in range(120):
        ids = [b"%d %d" % (second, number) for number in range(1000)]
        village.send("liar", "victim", Rpc(ihave=[(TOPIC, ids)]))
        village.run(1)
        counts.append(len(asked))
    assert counts[0] == bounds.ASKED
    assert counts[9] <= 2 * bounds.ASKED  # for fewer each time, and in the end for one
    assert counts[-1] == counts[-20] <= 5 * bounds.ASKED
    assert set(victim.broken) == {Rule.BROKEN_PROMISE.name}
    assert "liar" not in victim.mesh.members(TOPIC)


def test_promises_that_others_keep_are_nobodys_fault() -> None:
    """Ids that two peers offer are asked of one; who is asked and gone is not waited for."""
    village = Village(7)
    village.settle(["victim"])
    for name in ("first", "second"):
        village.connect(name, "victim")
    village.run(1)
    asked: list[tuple[str, bytes]] = []
    village.hear = lambda attacker, rpc: asked.extend((attacker, i) for i in rpc.iwant)
    for name in ("first", "second"):
        village.send(name, "victim", Rpc(ihave=[(TOPIC, [b"a", b"b"])]))
    village.run(0.5)
    assert sorted(asked) == [("first", b"a"), ("first", b"b")]
    village.send("second", "victim", Rpc(messages=[(TOPIC, b"a", b"data")]))
    village.peers["victim"].mesh.left_by("first", village.now)
    village.run(5)
    assert not village.peers["victim"].broken
    village.send("second", "victim", Rpc(ihave=[(TOPIC, [b"a", b"b"])]))
    village.run(0.5)
    assert asked[2:] == [("second", b"b")]
