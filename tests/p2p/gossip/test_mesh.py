"""One mesh: what any sequence of events may bring it to, and what a neighbour is told."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from p2p import bounds
from p2p.gossip.gate import Gate
from p2p.gossip.mesh import Mesh
from p2p.gossip.rpc import Rpc
from p2p.gossip.rules import Admission, Rule
from p2p.rates import Rates

from .test_gate import claim

ME, TOPIC, OTHER = "me", "t", "u"
PEERS = [f"p{number}" for number in range(24)]


class MeshMachine(RuleBasedStateMachine):
    """Any events in any order, against what must hold of every state and of all that is said."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.scores: dict[str, float] = {}
        self.backoff: dict[tuple[str, str], float] = {}  # by peer and topic: how long we were told not to graft
        self.here: set[str] = set()
        self.joined: set[str] = set()
        self.said = 0

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.mesh = Mesh(
            ME,
            Random(seed),
            lambda peer: self.scores.get(peer, 0.0),
            lambda peer: "crowded" if int(peer[1:]) % 3 == 0 else None,
            lambda peer: ("cloud", "crowd", None)[int(peer[1:]) % 3],
        )

    @rule(peer=st.sampled_from([*PEERS, ME]), outgoing=st.booleans())
    def come(self, peer: str, outgoing: bool) -> None:
        self.mesh.joined_by(peer, outgoing, self.now)
        if peer != ME:
            self.here.add(peer)

    @rule(peer=st.sampled_from(PEERS))
    def go(self, peer: str) -> None:
        self.mesh.left_by(peer, self.now)
        self.here.discard(peer)

    @rule(peer=st.sampled_from(PEERS))
    def fall_silent(self, peer: str) -> None:
        self.mesh.muted(peer, self.now)

    @rule(topic=st.sampled_from([TOPIC, OTHER]))
    def join(self, topic: str) -> None:
        self.mesh.join(topic, self.now)
        self.joined.add(topic)

    @rule(topic=st.sampled_from([TOPIC, OTHER]))
    def leave(self, topic: str) -> None:
        self.mesh.leave(topic, self.now)
        self.joined.discard(topic)

    @rule(peers=st.lists(st.sampled_from(PEERS), max_size=24), takes_part=st.booleans())
    def subscribe(self, peers: list[str], takes_part: bool) -> None:
        for peer in peers:
            self.mesh.heard(peer, Rpc(subscriptions=[(takes_part, TOPIC)]), self.now)

    @rule(peers=st.lists(st.sampled_from(PEERS), max_size=24))
    def graft(self, peers: list[str]) -> None:
        for peer in peers:
            self.mesh.heard(peer, Rpc(graft=[TOPIC, TOPIC, OTHER]), self.now)

    @rule(score=st.sampled_from([0.0, 5.0]))
    def everybody_comes_and_grafts_itself(self, score: float) -> None:
        for peer in PEERS:
            self.come(peer, False)
            self.scores[peer] = score
            self.mesh.heard(peer, Rpc(subscriptions=[(True, TOPIC)]), self.now)
        for peer in PEERS:
            self.mesh.heard(peer, Rpc(graft=[TOPIC]), self.now)

    @rule(peer=st.sampled_from(PEERS), seconds=st.sampled_from([0.0, 1.0, 60.0, 1e9]))
    def prune(self, peer: str, seconds: float) -> None:
        self.mesh.heard(peer, Rpc(prune=[(TOPIC, seconds)]), self.now)
        if TOPIC in self.joined and peer in self.here:
            pause = min(seconds or bounds.PRUNE_BACKOFF, bounds.BACKOFF_MOST)
            self.backoff[peer, TOPIC] = max(self.backoff.get((peer, TOPIC), 0.0), self.now + pause)

    @rule(peer=st.sampled_from(PEERS), score=st.sampled_from([-20.0, -1.0, 0.0, 5.0]))
    def behave(self, peer: str, score: float) -> None:
        self.scores[peer] = score

    @rule(
        peer=st.sampled_from(PEERS), verdict=st.sampled_from(Admission), fresh=st.booleans(), size=st.integers(0, 9999)
    )
    def bring(self, peer: str, verdict: Admission, fresh: bool, size: int) -> None:
        self.output()
        self.said += fresh
        message_id = b"%d" % self.said
        if self.mesh.arrived(peer, TOPIC, message_id, self.now, size):
            self.mesh.admitted(peer, TOPIC, message_id, b"data", verdict, self.now)
            for other, rpc in self.output():
                if rpc.messages:
                    assert verdict is Admission.ACCEPT
                    assert other != peer

    @rule()
    def publish(self) -> None:
        self.said += 1
        self.mesh.publish(TOPIC, b"%d" % self.said, b"data", self.now)

    @rule(peer=st.sampled_from(PEERS), numbers=st.lists(st.integers(0, 400), max_size=300))
    def offer_and_ask(self, peer: str, numbers: list[int]) -> None:
        ids = [b"%d" % number for number in numbers]
        self.mesh.heard(peer, Rpc(ihave=[(TOPIC, ids)], iwant=ids, idontwant=ids), self.now)

    @rule(beats=st.integers(1, 12), step=st.sampled_from([0.5, 1.0, 10.0]))
    def wait(self, beats: int, step: float) -> None:
        for _ in range(beats):
            self.now += step
            self.mesh.heartbeat(self.now)
            self.check_output()

    @rule()
    def check_output(self) -> None:
        self.output()

    def output(self) -> list[tuple[str, Rpc]]:
        found = self.mesh.output()
        assert len({peer for peer, _ in found}) == len(found)
        for peer, rpc in found:
            assert peer in self.here
            assert len(rpc.iwant) <= bounds.IWANT_IDS
            assert all(len(ids) <= bounds.IHAVE_IDS for _, ids in rpc.ihave)
            assert not set(rpc.graft) & {topic for topic, _ in rpc.prune}
            assert set(rpc.graft) <= self.joined | {TOPIC, OTHER}
        return found

    @precondition(lambda self: hasattr(self, "mesh"))
    @invariant()
    def the_mesh_holds(self) -> None:
        members = self.mesh.members(TOPIC)
        assert len(members) <= bounds.D_HIGH
        assert set(members) <= self.here
        assert ME not in members
        crowded = Counter(int(peer[1:]) % 3 == 0 for peer in members)
        assert crowded[True] <= bounds.MESH_PER_RANGE
        for peer in members:
            assert self.backoff.get((peer, TOPIC), 0.0) <= self.now
        if TOPIC not in self.joined:
            assert not members
        assert self.mesh.takers(TOPIC) <= len(self.here)

    @invariant()
    def faults_are_named_and_weighed(self) -> None:
        if hasattr(self, "mesh"):
            for _, named, weight in self.mesh.faults():
                assert isinstance(named, Rule)
                assert 0 < weight <= 1


MeshMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMesh = MeshMachine.TestCase


def mesh(scores: dict[str, float] | None = None, seed: int = 1) -> Mesh:
    found = Mesh(ME, Random(seed), lambda peer: (scores or {}).get(peer, 0.0), lambda _: None, lambda _: None)
    found.join(TOPIC, 0.0)
    return found


def take(subject: Mesh, *peers: str, outgoing: bool = False, now: float = 0.0) -> None:
    for peer in peers:
        subject.joined_by(peer, outgoing, now)
        subject.heard(peer, Rpc(subscriptions=[(True, TOPIC)]), now)


def test_a_neighbour_first_hears_what_we_take_part_in_and_again_when_its_stream_is_new() -> None:
    subject = mesh()
    subject.joined_by("a", False, 0.0)
    assert subject.output() == [("a", Rpc(subscriptions=[(True, TOPIC)]))]
    subject.heard("a", Rpc(subscriptions=[(True, TOPIC)], graft=[TOPIC]), 0.0)
    assert subject.members(TOPIC) == ["a"]
    subject.joined_by("a", False, 1.0)
    assert dict(subject.output())["a"].subscriptions == [(True, TOPIC)]
    assert subject.members(TOPIC) == []  # it has forgotten us with the stream
    assert subject.takers(TOPIC) == 1  # what it said came over another one
    subject.heartbeat(2.0)
    assert subject.members(TOPIC) == ["a"]


def test_who_has_a_bad_score_has_no_place_and_hears_nothing() -> None:
    scores = {"bad": -5.0}
    subject = mesh(scores)
    take(subject, "bad", "good")
    subject.heard("bad", Rpc(graft=[TOPIC]), 0.0)
    assert subject.members(TOPIC) == ["good"]
    subject.output()
    subject.publish(TOPIC, b"1", b"data", 0.0)
    assert [peer for peer, _ in subject.output()] == ["good"]
    scores["good"] = -1.0
    subject.heartbeat(1.0)
    assert subject.members(TOPIC) == []
    assert dict(subject.output())["good"].prune == [(TOPIC, bounds.PRUNE_BACKOFF)]


def test_our_own_words_go_to_all_who_take_part_and_those_of_others_to_the_mesh() -> None:
    subject = mesh()
    peers = [f"p{number}" for number in range(30)]
    take(subject, *peers)
    subject.output()
    subject.publish(TOPIC, b"mine", b"data", 0.0)
    assert {peer for peer, rpc in subject.output() if rpc.messages} == set(peers)
    assert subject.arrived("p29", TOPIC, b"theirs", 0.0)
    subject.admitted("p29", TOPIC, b"theirs", b"data", Admission.ACCEPT, 0.0)
    assert {peer for peer, rpc in subject.output() if rpc.messages} == set(subject.members(TOPIC)) - {"p29"}
    assert not subject.arrived("p28", TOPIC, b"mine", 0.0)


def test_what_is_rejected_may_come_again_and_what_is_ignored_may_not() -> None:
    """Whoever makes up a message with another one's id must not keep that one out."""
    subject = mesh()
    take(subject, "liar", "honest")
    for verdict, again in ((Admission.REJECT, True), (Admission.IGNORE, False), (Admission.ACCEPT, False)):
        assert subject.arrived("liar", TOPIC, verdict.name.encode(), 0.0)
        subject.admitted("liar", TOPIC, verdict.name.encode(), b"data", verdict, 0.0)
        assert subject.arrived("honest", TOPIC, verdict.name.encode(), 0.0) is again


def test_who_sent_it_meanwhile_or_does_not_want_it_is_not_sent_it() -> None:
    subject = mesh()
    take(subject, "a", "b", "c", "d")
    subject.output()
    subject.heard("d", Rpc(idontwant=[b"1"]), 0.0)
    assert subject.arrived("a", TOPIC, b"1", 0.0, bounds.LARGE)
    assert {peer for peer, rpc in subject.output() if rpc.idontwant == [b"1"]} == {"b", "c", "d"}
    assert not subject.arrived("b", TOPIC, b"1", 0.0, bounds.LARGE)
    subject.admitted("a", TOPIC, b"1", b"data", Admission.ACCEPT, 0.0)
    assert [peer for peer, _ in subject.output()] == ["c"]


def test_a_peer_we_dialled_keeps_its_place_against_any_number_that_dialled_us() -> None:
    subject = mesh()
    take(subject, "ours 1", "ours 2", outgoing=True)
    take(subject, *(f"p{number}" for number in range(40)))
    for second in range(1, 400):
        for number in range(40):
            subject.heard(f"p{number}", Rpc(graft=[TOPIC]), float(second))
        subject.heartbeat(float(second))
        assert {"ours 1", "ours 2"} <= set(subject.members(TOPIC))


def test_the_best_by_score_stay_when_there_are_too_many() -> None:
    scores = {f"good{number}": 5.0 for number in range(bounds.D_SCORE)}
    subject = mesh(scores)
    take(subject, *(f"p{number}" for number in range(bounds.D_HIGH - bounds.D_SCORE)), *scores)
    for peer in (*(f"p{number}" for number in range(bounds.D_HIGH)), *scores):
        subject.heard(peer, Rpc(graft=[TOPIC]), 0.0)
    assert len(subject.members(TOPIC)) == bounds.D_HIGH
    subject.heartbeat(1.0)
    assert len(subject.members(TOPIC)) == bounds.D
    assert set(scores) <= set(subject.members(TOPIC))


def test_control_beyond_its_rate_is_not_looked_at_and_counts() -> None:
    subject = mesh()
    take(subject, "pest")
    subject.output()
    for _ in range(10):
        subject.heard("pest", Rpc(prune=[(TOPIC, 1.0)] * 100, ihave=[(TOPIC, [b"1"])] * 100), 0.0)
    subject.heartbeat(1.0)
    assert [(peer, named) for peer, named, _ in subject.faults()] == [("pest", Rule.CONTROL_RATE)]


def test_nothing_is_said_to_a_graft_for_a_topic_that_is_not_ours() -> None:
    subject = mesh()
    take(subject, "a")
    subject.output()
    subject.heard("a", Rpc(graft=["what is this"] * 50), 0.0)
    assert subject.output() == []


def test_a_mesh_that_brings_little_takes_in_who_brought_more() -> None:
    scores = {"better 1": 5.0, "better 2": 4.0, "better 3": 3.0}
    subject = mesh(scores)
    silent = [f"silent {number}" for number in range(bounds.D)]
    take(subject, *silent)
    for peer in silent:
        subject.heard(peer, Rpc(graft=[TOPIC]), 0.0)
    take(subject, *scores)
    assert subject.members(TOPIC) == silent
    for beat in range(1, bounds.OPPORTUNITY_BEATS + 1):
        subject.heartbeat(float(beat))
    assert set(subject.members(TOPIC)) == {*silent, "better 1", "better 2"}
    scores.update(dict.fromkeys(silent, 2.0))
    for beat in range(bounds.OPPORTUNITY_BEATS + 1, 5 * bounds.OPPORTUNITY_BEATS):
        subject.heartbeat(float(beat))
    assert "better 3" not in subject.members(TOPIC)  # those that bring enough are left as they are


def test_a_message_is_sent_to_who_asks_for_it_and_not_for_ever() -> None:
    subject, sent = mesh(), 0
    take(subject, "pest")
    subject.arrived("x", TOPIC, b"1", 0.0)
    subject.admitted("x", TOPIC, b"1", b"data", Admission.ACCEPT, 0.0)
    subject.output()
    for _ in range(50):
        subject.heard("pest", Rpc(iwant=[b"1", b"unknown"] * 100), 0.5)
        sent += sum(len(rpc.messages) for _, rpc in subject.output())
    assert sent == bounds.RETELLS


def test_coming_and_going_on_many_topics_takes_no_room_and_few_answers() -> None:
    subject, grafts = mesh(), 0
    take(subject, "pest")
    subject.output()
    for number in range(1000):
        flapping = [(True, f"topic {number}"), (False, f"topic {number}"), (False, TOPIC), (True, TOPIC)]
        subject.heard("pest", Rpc(subscriptions=flapping * 20), 0.5)
        grafts += sum(len(rpc.graft) for _, rpc in subject.output())
    assert grafts <= bounds.CONTROLS
    assert set(subject._takers) <= {TOPIC}


def test_who_counts_whole_seconds_may_graft_itself_a_little_early() -> None:
    """Release 0.1 counts from the last whole second, so that twelve of its seconds may be eleven."""
    subject = mesh()
    take(subject, *(f"p{number}" for number in range(bounds.D_HIGH)))
    for number in range(bounds.D_HIGH):
        subject.heard(f"p{number}", Rpc(graft=[TOPIC]), 0.0)
    subject.output()
    subject.heartbeat(1.0)
    pruned = [peer for peer, rpc in subject.output() if rpc.prune]
    subject.heard(pruned[0], Rpc(graft=[TOPIC]), bounds.FULL_BACKOFF)
    assert subject.faults() == []
    assert pruned[0] in subject.members(TOPIC)
    subject.heard(pruned[1], Rpc(graft=[TOPIC]), bounds.FULL_BACKOFF / 2)
    assert [peer for peer, _, _ in subject.faults()] == [pruned[1]]


def test_an_honest_peer_passes_on_less_of_a_flood_than_its_neighbours_take() -> None:
    """Else a few hundred free keys, each within its rate, would have all honest peers ban each other."""
    mesh = Mesh(ME, Random(1), lambda _: 0.0, lambda _: None, lambda _: None)
    mesh.join(TOPIC, 0.0)
    mesh.joined_by("honest", True, 0.0)
    mesh.heard("honest", Rpc(subscriptions=[(True, TOPIC)]), 0.0)
    assert mesh.members(TOPIC) == ["honest"]
    gate = Gate("honest", lambda *_: 1.0, lambda *_: False)
    outcomes: Counter[Rule] = Counter()
    for number in range(60 * 500):  # 500 a second for a minute, all of them good
        now, message_id = number / 500, number.to_bytes(8, "big")
        assert mesh.arrived("flooder", TOPIC, message_id, now)
        mesh.admitted("flooder", TOPIC, message_id, b"data", Admission.ACCEPT, now)
        if number % 500 == 0:
            mesh.heartbeat(now)
        for _, rpc in mesh.output():
            outcomes.update(gate.judge(claim(author=str(number)), now) for _ in rpc.messages)
    assert outcomes[Rule.ACCEPTED] >= 60 * bounds.FORWARD_RATE
    assert outcomes[Rule.SENDER_RATE] == 0
    # Not even when the link stood still for as long as it may, and everything comes at once.
    at_once = bounds.FORWARD_BURST + bounds.OUTBOX_PATIENCE * bounds.FORWARD_RATE - bounds.SENDER_BURST
    assert at_once * Rule.SENDER_RATE.weight < bounds.OFFENCES


def test_a_peer_of_the_release_before_is_sent_less_of_a_flood_than_it_takes() -> None:
    """Release 0.1 takes 40 messages a second of a neighbour, 200 at once, and counts those too that it asked for."""
    mesh = Mesh(ME, Random(1), lambda _: 0.0, lambda _: None, lambda _: None)
    mesh.join(TOPIC, 0.0)
    mesh.joined_by("old", True, 0.0)
    mesh.heard("old", Rpc(subscriptions=[(True, TOPIC)]), 0.0)
    mesh.older = {"old"}
    takes, sent = Rates(40, 200), 0
    for number in range(60 * 500):
        now, message_id = number / 500, number.to_bytes(8, "big")
        mesh.arrived("flooder", TOPIC, message_id, now)
        mesh.admitted("flooder", TOPIC, message_id, b"data", Admission.ACCEPT, now)
        if number % 100 == 0:
            mesh.heard("old", Rpc(iwant=[(number - back).to_bytes(8, "big") for back in range(100) if number]), now)
        if number % 500 == 0:
            mesh.heartbeat(now)
        for _, rpc in mesh.output():
            for _ in rpc.messages:
                assert takes.take("", now)
                sent += 1
    assert sent >= 60 * bounds.OLDER_RATE
    at_once = bounds.OLDER_BURST + bounds.OUTBOX_PATIENCE * bounds.OLDER_RATE - 200
    assert at_once * Rule.SENDER_RATE.weight < bounds.OFFENCES


def test_our_own_words_go_out_in_a_flood_too() -> None:
    mesh = Mesh(ME, Random(1), lambda _: 0.0, lambda _: None, lambda _: None)
    mesh.join(TOPIC, 0.0)
    mesh.joined_by("honest", True, 0.0)
    mesh.heard("honest", Rpc(subscriptions=[(True, TOPIC)]), 0.0)
    for number in range(2 * int(bounds.FORWARD_BURST)):
        message_id = number.to_bytes(8, "big")
        mesh.arrived("flooder", TOPIC, message_id, 0.0)
        mesh.admitted("flooder", TOPIC, message_id, b"data", Admission.ACCEPT, 0.0)
    mesh.output()
    mesh.publish(TOPIC, b"ours", b"data", 0.0)
    ((_, rpc),) = mesh.output()
    assert rpc.messages == [(TOPIC, b"ours", b"data")]
