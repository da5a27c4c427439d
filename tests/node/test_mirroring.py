"""The mirroring machine: whatever comes and goes, it keeps within its bound and comes to rest."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from node.bounds import MAX_COPIES, MIRROR_KEEP_MS, MIRROR_REST, MIRROR_RETRY, MIRROR_SHARE
from node.config import Config
from node.errors import CommandError, Exit
from node.mirroring import Copy, Drop, Fetch, Mirror, Policy, Rest, Wanted, on_disk, read_policy
from tests.verify.scenes import NOW, key_of
from wire.bounds import CHUNK
from wire.canonical import decode
from wire.cid import content_hash
from wire.keys import show_address
from wire.manifest import Manifest

from .records import model, signed_manifest

LIMIT = 1000
ROOM = int(LIMIT * MIRROR_SHARE)
WEEK = 7 * 24 * 60 * 60 * 1000


def wanted(label: str, size: int = 100, created_ms: int = NOW) -> Wanted:
    return Wanted(model(label), size, created_ms)


def copy(label: str, size: int = 100, since_ms: int = NOW - 2 * WEEK, **more: int | bool) -> Copy:
    return dataclasses.replace(Copy(model(label), size, since_ms), **more)


def mirror(waiting: list[Wanted], copies: list[Copy] | None = None) -> Mirror:
    made = Mirror()
    made.surveyed(waiting, copies or [])
    return made


class TestWhatComes:
    def test_models_come_one_by_one_newest_word_first_while_there_is_room(self) -> None:
        made = mirror([wanted("a", 500), wanted("b", 500), wanted("c", 400)])
        used = 0
        for label, size in (("a", 500), ("c", 400)):  # b no longer fits, c does
            assert made.next(used, LIMIT, NOW) == Fetch(model(label))
            made.fetched(model(label), NOW)
            used += size
        assert made.next(used, LIMIT, NOW) == Rest(MIRROR_REST, "the quota is used up: 1 model waits", crowded=True)
        assert list(made.copies) == [model("a"), model("c")]

    def test_a_part_of_the_quota_is_left_to_the_operator(self) -> None:
        assert isinstance(mirror([wanted("a", ROOM + 1)]).next(0, LIMIT, NOW), Rest)
        assert mirror([wanted("a", ROOM)]).next(0, LIMIT, NOW) == Fetch(model("a"))

    def test_one_that_is_larger_than_the_quota_is_never_begun(self) -> None:
        made = mirror([wanted("whale", LIMIT), wanted("a")], [copy("old", wanted=False)])
        assert made.next(100, LIMIT, NOW) == Fetch(model("a"))
        made.fetched(model("a"), NOW)
        rest = made.next(200, LIMIT, NOW)
        assert rest == Rest(MIRROR_REST, "1 model is larger than the quota allows")

    def test_after_a_failure_others_have_their_turn_and_it_comes_again_later_and_later(self) -> None:
        made, now = mirror([wanted("gone"), wanted("a")]), NOW
        assert made.next(0, LIMIT, now) == Fetch(model("gone"))
        made.failed(model("gone"), now)
        assert made.next(0, LIMIT, now) == Fetch(model("a"))
        made.fetched(model("a"), now)
        waits = []
        for _ in range(12):
            rest = made.next(100, LIMIT, now)
            assert isinstance(rest, Rest)
            assert "1 model could not be fetched" in rest.why
            before = now
            while isinstance(rest := made.next(100, LIMIT, now), Rest):
                now += int(rest.seconds * 1000)
            assert rest == Fetch(model("gone"))
            waits.append((now - before) / 1000)
            made.failed(model("gone"), now)
        assert waits == [min(MIRROR_RETRY[1], MIRROR_RETRY[0] * 2**n) for n in range(12)]

    def test_nothing_to_do_is_said_too(self) -> None:
        assert mirror([]).next(0, LIMIT, NOW) == Rest(MIRROR_REST, "all that the policy asks for is here")

    def test_an_edited_model_takes_over_the_bytes_before_the_old_one_goes(self) -> None:
        made = mirror([wanted("edited", 0)], [copy("before", stands=False)])
        assert made.next(LIMIT, LIMIT, NOW) == Fetch(model("edited"))
        made.fetched(model("edited"), NOW)
        assert isinstance(made.next(LIMIT, LIMIT, NOW), Drop)

    def test_a_crowd_of_tiny_models_does_not_fill_the_table_of_models(self) -> None:
        copies = [copy(str(number), 0, since_ms=NOW) for number in range(MAX_COPIES)]
        made = mirror([wanted("one more", 0)], copies)
        rest = made.next(0, LIMIT, NOW)
        assert isinstance(rest, Rest)
        assert f"there are {MAX_COPIES} copies" in rest.why
        made.dropped(copies[0].model)
        assert made.next(0, LIMIT, NOW) == Fetch(model("one more"))


class TestWhatGoes:
    def test_a_withdrawn_copy_goes_first_whoever_pulled_it(self) -> None:
        made = mirror([wanted("a")], [copy("kept"), copy("withdrawn", pulls=1000, stands=False)])
        gone = made.next(200, LIMIT, NOW)
        assert isinstance(gone, Drop)
        assert gone.models == (model("withdrawn"),)
        made.dropped(model("withdrawn"))
        assert made.next(100, LIMIT, NOW) == Fetch(model("a"))

    def test_the_operators_own_models_push_copies_out(self) -> None:
        copies = [copy("popular", pulls=9), copy("young", since_ms=NOW), copy("old"), copy("unasked", wanted=False)]
        made, order = mirror([], copies), []
        for _ in copies:
            drop = made.next(ROOM + 1, LIMIT, NOW)
            assert isinstance(drop, Drop)
            assert drop.why == "the quota is used up"
            (gone,) = drop.models
            made.dropped(gone)
            order.append(gone)
        assert order == [model(label) for label in ("unasked", "old", "young", "popular")]
        assert isinstance(made.next(LIMIT, LIMIT, NOW), Rest)  # the rest is not the mirror's to drop

    def test_an_idle_copy_gives_way_to_a_newer_model_and_never_back(self) -> None:
        made = mirror(
            [wanted("new", 200)], [copy("idle"), copy("idler", since_ms=NOW - 3 * WEEK), copy("popular", pulls=99)]
        )
        used = ROOM - 50
        drop = made.next(used, LIMIT, NOW)
        assert isinstance(drop, Drop)
        assert drop.models == (model("idler"), model("idle"))  # 50 + 100 + 100 ≥ 200; the popular one stays
        for gone in drop.models:
            made.dropped(gone)
        assert made.next(used - 200, LIMIT, NOW) == Fetch(model("new"))
        made.fetched(model("new"), NOW)
        back = [wanted("idle", created_ms=NOW - 3 * WEEK), wanted("idler", created_ms=NOW - 4 * WEEK)]
        made.surveyed(back, list(made.copies.values()))
        assert isinstance(made.next(ROOM, LIMIT, NOW + 3 * WEEK), Rest)

    @pytest.mark.parametrize(
        "kept",
        [
            copy("young", since_ms=NOW - MIRROR_KEEP_MS + 1),
            copy("pulled every week", pulls=2),
            copy("small", 40),
            copy("as new", since_ms=NOW),
        ],
        ids=lambda c: str(c.size),
    )
    def test_a_copy_stays_while_it_is_young_or_pulled_or_would_not_make_room(self, kept: Copy) -> None:
        assert isinstance(mirror([wanted("new")], [kept]).next(ROOM - 50, LIMIT, NOW), Rest)

    def test_what_the_policy_no_longer_asks_for_stays_until_its_room_is_needed(self) -> None:
        unasked = copy("unasked", since_ms=NOW, pulls=99, wanted=False)
        assert isinstance(mirror([], [unasked]).next(100, LIMIT, NOW), Rest)
        made = mirror([wanted("new", created_ms=1)], [unasked])
        drop = made.next(ROOM, LIMIT, NOW)
        assert isinstance(drop, Drop)
        assert drop.models == (unasked.model,)


sizes = st.integers(0, 700)


class Hub(RuleBasedStateMachine):
    """A hub whose publishers announce and withdraw, whose operator adds and pins, and whose peers fail."""

    models: Bundle[bytes] = Bundle("models")

    def __init__(self) -> None:
        super().__init__()
        self.mirror = Mirror()
        self.now = NOW
        self.own = 0
        self.known: dict[bytes, Wanted] = {}
        self.here: dict[bytes, Copy] = {}
        self.refused_until: dict[bytes, int] = {}
        self.count = 0

    @initialize()
    def begin(self) -> None:
        self.look()

    @property
    def used(self) -> int:
        return self.own + sum(held.size for held in self.here.values())

    def look(self) -> None:
        here = self.here
        waiting = [known for known in reversed(self.known.values()) if known.model not in here]
        self.mirror.surveyed(waiting, list(here.values()))

    @rule(target=models, size=sizes, age=st.integers(0, 4 * WEEK))
    def announced(self, size: int, age: int) -> bytes:
        self.count += 1
        made = content_hash(b"%d" % self.count)
        self.known[made] = Wanted(made, size, self.now - age)
        self.look()
        return made

    @rule(gone=consumes(models))
    def withdrawn(self, gone: bytes) -> None:
        self.known.pop(gone, None)
        if gone in self.here:
            self.here[gone] = dataclasses.replace(self.here[gone], stands=False)
        self.look()

    @rule(which=models, often=st.integers(1, 5), asked=st.booleans())
    def told(self, which: bytes, often: int, asked: bool) -> None:
        if which in self.here:
            self.here[which] = dataclasses.replace(self.here[which], pulls=often, wanted=asked)
            if not asked:
                self.known.pop(which, None)
            self.look()

    @rule(which=models)
    def pinned(self, which: bytes) -> None:
        if held := self.here.pop(which, None):
            self.own += held.size
            self.known.pop(which, None)
            self.look()

    @rule(size=sizes)
    def operator_adds(self, size: int) -> None:
        if self.used + size <= LIMIT:  # else the store refuses
            self.own += size

    @rule(hours=st.integers(1, 24 * 15))
    def time_passes(self, hours: int) -> None:
        self.now += hours * 3_600_000

    @precondition(lambda self: self.known or self.here)
    @rule(peers_answer=st.booleans())
    def works_until_it_rests(self, peers_answer: bool) -> None:
        for _ in range(2 * (len(self.known) + len(self.here)) + 2):
            action = self.mirror.next(self.used, LIMIT, self.now)
            if isinstance(action, Rest):
                assert 0 < action.seconds <= MIRROR_REST
                assert action.why
                return
            self.does(action, peers_answer)
        pytest.fail("it never comes to rest")

    def does(self, action: Fetch | Drop, peers_answer: bool) -> None:
        if isinstance(action, Fetch):
            chosen = self.known[action.model]
            assert action.model not in self.here
            assert self.used + chosen.size <= ROOM or not chosen.size
            assert self.refused_until.get(action.model, 0) <= self.now
            if peers_answer:
                self.here[action.model] = Copy(action.model, chosen.size, self.now)
                self.mirror.fetched(action.model, self.now)
            else:
                self.refused_until[action.model] = self.now + int(1000 * MIRROR_RETRY[0])
                self.mirror.failed(action.model, self.now)
            return
        assert action.models
        dropped = [self.here[gone] for gone in action.models]
        if self.used <= ROOM and all(gone.stands for gone in dropped):
            assert all(not gone.wanted or self.now - gone.since_ms >= MIRROR_KEEP_MS for gone in dropped)
        for gone in dropped:
            del self.here[gone.model]
            self.mirror.dropped(gone.model)
        self.look()  # what was dropped and is still asked for waits again: it must not come and go for ever

    @invariant()
    def it_keeps_within_the_bound(self) -> None:
        assert self.used <= LIMIT


Hub.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestHub = Hub.TestCase


def manifest(publisher: str = "alice", tags: tuple[str, ...] = ()) -> Manifest:
    return decode(signed_manifest(publisher, tags=tags).body, Manifest)


class TestPolicy:
    def test_each_asks_for_what_it_says(self) -> None:
        alice, bob = manifest("alice", ("audio", "tiny")), manifest("bob", ("vision",))
        ada = frozenset((key_of("alice").address,))
        for policy, answers in (
            (Policy("everything"), [True, True]),
            (Policy("publishers", publishers=ada), [True, False]),
            (Policy("tags", tags=frozenset(("vision", "text"))), [False, True]),
            (Policy("pinned"), [False, False]),
        ):
            assert [policy.wants(each) for each in (alice, bob)] == answers

    def test_publishers_are_petnames_addresses_or_peer_ids(self) -> None:
        alice, bob, carol = (key_of(label) for label in ("alice", "bob", "carol"))
        named = ("ally", show_address(bob.address), carol.peer_id)
        config = Config(hub_policy="publishers", hub_publishers=named)
        found = read_policy(config, {"ally": alice.address})
        assert found.publishers == {alice.address, bob.address, carol.address}

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            (Config(hub_policy="publishers"), "--hub-publisher"),
            (Config(hub_policy="tags"), "--hub-tag"),
            (Config(hub_tags=("audio",)), "--hub-policy tags"),
            (Config(hub_publishers=("alice",)), "--hub-policy publishers"),
            (Config(hub_policy="publishers", hub_publishers=("nobody",)), "hallmark petname set"),
        ],
    )
    def test_settings_that_contradict_each_other_are_told(self, config: Config, said: str) -> None:
        with pytest.raises(CommandError) as caught:
            read_policy(config, {})
        assert (caught.value.exit_code, said in caught.value.next_step) == (Exit.CONFIG, True)


def test_the_room_a_file_takes_is_in_whole_pages() -> None:
    assert on_disk([]) == 0
    assert on_disk([1, CHUNK]) - on_disk([CHUNK + 1]) > 0
    assert on_disk([CHUNK]) > CHUNK + 4096
