"""One scenario in one world: building it, letting it live, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from time import process_time

from bench.figures import percentile

from .answers import Answers
from .attackers import CONDUCTS
from .honest import Honest
from .links import Road
from .measures import Measures
from .peers import Peer, Way
from .transfers import Swarm
from .world import SECOND, World

JOINING = 3.0  # seconds in which peers are switched on
QUIET = 8.0  # seconds from which offers are said
COUNTED = 12.0  # seconds from which they are counted, and attacks begin
SPREAD = 4.0  # seconds at the end, in which nothing is said that counts
SAVED = 12  # peers that a book holds at the start
BOOTSTRAPS = 4
PROVIDERS = 0.1  # the share of the honest that says offers
OFFERS_A_SECOND = 4.0  # in all: with `node.bounds.OFFER_EVERY`, 240 offers
ANSWERS_A_SECOND = 1.0
RELAYS = 0.05  # of the honest, where it matters
HOMES = (Way.CONE,) * 4 + (Way.SYMMETRIC,) * 2 + (Way.MAPPED,) + (Way.PUBLIC,) * 3
CALM = Road()
SMALL = 500  # honest peers, below which a network is
AT_ONE_RANGE = 25  # attackers


class Failed(Exception):
    """A check broke: what was found."""


@dataclass(frozen=True)
class Limits:
    """What must hold at the end of a run."""

    seen: float = 0.999  # of an offer, by the honest, on average
    worst: float = 0.99  # as above, of the offer that fewest saw
    p99_ms: float = 400.0
    copies: float = 6.3
    wrong_bans: int = 0
    answered: float = 0.95
    fetched: float = 1.0
    reach_right: float = 0.98
    reserved: float = 0.95


@dataclass(frozen=True)
class Scenario:
    """What happens to a network. `act` is called before it starts, and says what happens when."""

    name: str
    text: str
    act: Callable[[Run], None] = lambda _: None
    road: Road = CALM
    conduct: str = ""  # the attackers' (`attackers.CONDUCTS`)
    arrive: float = COUNTED  # seconds, when the attackers come
    seconds: float = 34.0
    counted: float = COUNTED  # seconds, from when on it is counted what is said and asked
    homes: bool = False  # six in ten are behind a NAT, and everybody finds out by itself who reaches it
    cold: bool = False  # no peer knows any but the bootstraps
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Result:
    """A run's figures. Shares are of 1, times in ms unless it is said."""

    scenario: str
    peers: int
    attackers: int
    seed: int
    offers: int
    seen: float
    worst: float
    p50_ms: float
    p99_ms: float
    copies: float
    bans: int  # of attackers by honest peers
    wrong_bans: int
    why: tuple[tuple[str, int], ...]  # rules and how often honest peers were banned for them
    asked: int
    answered: float
    answer_p50_ms: float
    fetches: int
    fetched: float
    fetch_p50_s: float
    fetch_p99_s: float
    homes: bool
    reach_right: float  # of the honest that are up, who know where they stand
    reserved: float  # of the private ones, who hold two reservations or more
    connections: float  # of an honest peer at the end, on average
    over_time: tuple[tuple[float, float, float], ...]  # by second of saying: share seen, ms until the last p99
    events: int
    digest: str
    cpu_s: float = field(compare=False)


class Run:
    """A world with a scenario's peers."""

    def __init__(
        self,
        scenario: Scenario,
        peers: int,
        attackers: int,
        seed: int,
        trace: Callable[[str], object] | None = None,
    ) -> None:
        self.scenario, self.seed = scenario, seed
        self.world = World(f"{scenario.name} {seed}", scenario.road, trace)
        self.random = Random(f"run {scenario.name} {seed}")
        self.measures = Measures()
        self.honest: list[Honest] = []
        self.attackers: list[Peer] = []
        self.swarm: Swarm | None = None
        for i in range(peers):  # one in ten has a neighbour in its range
            address = address_of(i if i % 10 else max(0, i - 1), 7 + i % 10)
            way = HOMES[i * 7 % 10] if scenario.homes and i >= peers * RELAYS else Way.PUBLIC
            self.honest.append(Honest(self.world, i, address, way, self.measures))
            self.world.add(self.honest[-1])
        if scenario.homes:
            for peer in self.honest:
                peer.known_relays, peer.relays = self.honest[:BOOTSTRAPS], peer.index < peers * RELAYS
        self.providers: list[Honest] = self.honest[BOOTSTRAPS:][: max(2, int(peers * PROVIDERS))]
        self.late: set[Peer] = set()  # who is not switched on at the start
        self.wanted = attackers
        kinds = CONDUCTS.get(scenario.conduct, ())
        for i in range(attackers if kinds else 0):
            attacker = kinds[i % len(kinds)](self.world, peers + i, self.attackers_address(i))
            attacker.victims, attacker.fellows = self.honest, self.attackers
            self.enlist(attacker)
        scenario.act(self)
        for peer in self.honest:
            self._acquaint(peer)
        self.answers = Answers(self.world, seed)

    def enlist(self, attacker: Peer) -> None:
        """One attacker more."""
        self.world.add(attacker)
        self.attackers.append(attacker)

    def attackers_address(self, i: int) -> str:
        """Of the i-th attacker: 25 share a range."""
        return address_of(30_000 + i // AT_ONE_RANGE, 1 + i % AT_ONE_RANGE)

    def at(self, seconds: float, act: Callable[..., object], *args: object) -> None:
        """`act(*args)` in that second of the run."""
        self.world.clock.at(seconds * SECOND, act, *args)

    def live(self) -> Result:
        """From the start to the end. What broke, `check` says."""
        began = process_time()
        for peer in self.honest:
            if peer not in self.late:
                begins = 0.0 if peer.index < BOOTSTRAPS else self.random.random() * JOINING
                self.at(begins, self.world.start, peer)
        for attacker in self.attackers:
            arrives = 0.0 if isinstance(attacker, Honest) else self.scenario.arrive  # who plays honest comes with all
            self.at(self.random.random() * JOINING + arrives, self.world.start, attacker)
        counted = max(COUNTED, self.scenario.counted)
        self.at(counted, lambda: self.measures.begin(self.world.clock.us))
        self.at(QUIET, self._talk)
        self.at(counted, self._ask)
        self.world.clock.run(int(self.scenario.seconds * SECOND))
        return self._result(process_time() - began)

    def _acquaint(self, peer: Honest) -> None:
        """What it knows before it starts: the network file's bootstraps, and whom it met before."""
        peer.bootstraps = [other for other in self.honest[:BOOTSTRAPS] if other is not peer]
        if not self.scenario.cold and peer not in self.late:
            for other in self.random.sample(self.honest, min(SAVED, len(self.honest))):
                if other is not peer and other not in self.late:
                    peer.book.note(other.name, (other.address,), 1)

    def _talk(self) -> None:
        speaker = self.random.choice(self.providers)
        if speaker.up and self.world.now < self.scenario.seconds - SPREAD:
            speaker.say()
        self.world.after(self.random.expovariate(OFFERS_A_SECOND), self._talk)

    def _ask(self) -> None:
        client = self.random.choice(self.honest)
        if client.up and self.world.now < self.scenario.seconds - SPREAD:
            self.answers.ask(client)
        self.world.after(self.random.expovariate(ANSWERS_A_SECOND), self._ask)

    def _result(self, cpu_s: float) -> Result:
        measures, world = self.measures, self.world
        seen = measures.seen()
        latencies = sorted(measures.latencies)
        answered = [asked.took_us / 1000 for asked in self.answers.asked if asked.result == "certified"]
        fetches = self.swarm.fetches if self.swarm is not None else []
        done = [(one.done_us - one.started_us) / SECOND for one in fetches if one.done_us is not None]
        up = [peer for peer in self.honest if peer.up]
        found = [peer.reaching for peer in up if peer.reaching is not None]
        private = [list(peer.held()) for peer in up if peer.way in (Way.CONE, Way.SYMMETRIC)]
        wrong = Counter(ban.rule for ban in measures.wrong_bans)
        return Result(
            scenario=self.scenario.name,
            peers=len(self.honest),
            attackers=len(self.attackers),
            seed=self.seed,
            offers=len(seen),
            seen=sum(seen) / max(1, len(seen)),
            worst=min(seen, default=0.0),
            p50_ms=percentile(latencies, 50) / 1000 if latencies else 0.0,
            p99_ms=percentile(latencies, 99) / 1000 if latencies else 0.0,
            copies=measures.copies / max(1, len(latencies)),
            bans=len(measures.bans) - len(measures.wrong_bans),
            wrong_bans=len(measures.wrong_bans),
            why=tuple(sorted(wrong.items())),
            asked=len(self.answers.asked),
            answered=len(answered) / max(1, len(self.answers.asked)),
            answer_p50_ms=percentile(answered, 50) if answered else 0.0,
            fetches=len(fetches),
            fetched=len(done) / len(fetches) if fetches else 1.0,
            fetch_p50_s=percentile(done, 50) if done else 0.0,
            fetch_p99_s=percentile(done, 99) if done else 0.0,
            homes=self.scenario.homes,
            reach_right=sum(one.right for one in found) / max(1, len(found)),
            reserved=sum(len(held) >= 2 for held in private) / max(1, len(private)),
            connections=sum(len(peer.connections) for peer in up) / max(1, len(up)),
            over_time=tuple(
                (track.message.said_us / SECOND, track.share, track.late_us / 1000)
                for track in measures.tracks.values()
            ),
            events=world.clock.events,
            digest=world.digest,
            cpu_s=cpu_s,
        )


def check(result: Result, limits: Limits) -> list[str]:
    """What broke, in words; nothing when all holds."""
    # In a small network a good part of it hears each author itself, beside its mesh.
    copies = limits.copies + (1.0 if result.peers < SMALL else 0.0)
    rules: list[tuple[bool, str]] = [
        (result.seen >= limits.seen, f"an offer was seen by {result.seen:.2%} of the honest, {limits.seen:.2%} asked"),
        (result.worst >= limits.worst, f"one offer was seen by {result.worst:.2%}, {limits.worst:.2%} asked"),
        (result.p99_ms <= limits.p99_ms, f"deliveries took {result.p99_ms:.0f} ms at p99, {limits.p99_ms:.0f} allowed"),
        (result.copies <= copies, f"{result.copies:.2f} messages a delivery, {copies} allowed"),
        (result.wrong_bans <= limits.wrong_bans, f"honest peers were banned {result.wrong_bans} times: {result.why}"),
        (result.answered >= limits.answered, f"{result.answered:.1%} answers served, {limits.answered:.1%} asked"),
        (
            not result.homes or result.reach_right >= limits.reach_right,
            f"{result.reach_right:.1%} know where they stand, {limits.reach_right:.1%} asked",
        ),
        (
            not result.homes or result.reserved >= limits.reserved,
            f"{result.reserved:.1%} of the private ones hold two reservations, {limits.reserved:.1%} asked",
        ),
        (result.fetched >= limits.fetched, f"{result.fetched:.1%} of the fetches ended well"),
    ]
    return [text for holds, text in rules if not holds]


def address_of(range_number: int, host: int) -> str:
    """In a range of its own for each number; the wider ranges are different too, as far as there are enough."""
    first, second, third = 11 + range_number % 110, range_number // 110 % 250, range_number // 27_500
    return f"/ip4/{first}.{second}.{third}.{host}/tcp/4001"
