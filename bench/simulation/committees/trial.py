"""One request, from who asks to its certificate, in virtual time: the product's `Round` among simulated peers.

The convener's processor takes messages one after the other, each at a nominal cost; nobody else's has to, since each
verifier has one to say. Times are microseconds since the request was sent. `hops` counts messages that had to be
there one after the other: request, call, commit, answer, vote, proof are six.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from random import Random
from time import thread_time_ns
from typing import Protocol, TypeVar

from verify.events import (
    AnswerReady,
    CallMember,
    Effect,
    Event,
    MemberCommitted,
    MemberFailed,
    MemberJudged,
    Outcome,
    SendReceipt,
    TimePassed,
)
from verify.round import Round
from wire.inference import SignedReceipt, SignedRequest
from wire.vote import SignedCommit

from ..clock import Clock
from .adversaries import Conduct, Copier, Scenario
from .links import EXECUTION_US, REFUSED_US, RESEND_US, SILENT_US, executes_us, travel_us
from .words import FALSE, TRUE, Asked, Sitter, Words
from .world import START_MS, Site, World

# Nominal processor time, so that a run depends on nothing but its seed; docs/committees.md has measured ones beside it.
SIGN_US, CHECK_US, SEND_US = 80, 50, 60


def draw_us(size: int) -> int:
    """To draw a committee out of 1,000."""
    return 1_500 + 40 * size


def hear_us(size: int) -> int:
    """One word in a round: its signature, and the round's own bookkeeping."""
    return 110 + 2 * size


_T = TypeVar("_T")


class Roads(Protocol):
    """What lies between the sites: the square of `links`, or a whole network that lives meanwhile."""

    def travel_us(self, a: int, b: int) -> float | None:
        """How long a message takes; None when its stream breaks."""

    def is_dead(self, site: Site) -> bool:
        """Whether nobody answers there."""


class Square(Roads):
    """The committees' own: distances in a square, and two in a hundred dead."""

    def __init__(self, world: World, rng: Random) -> None:
        self._world, self._rng = world, rng

    def travel_us(self, a: int, b: int) -> float | None:
        return travel_us(self._world, self._rng, a, b)

    def is_dead(self, site: Site) -> bool:
        return site.dead


@dataclass(frozen=True)
class Verdicts:
    """How a trial ended. Times in µs since the request was sent, None where it did not come so far."""

    result: str
    accept: int
    reject: int
    reserves: int
    decided_us: int | None  # at the convener
    proved_us: int | None  # at who asked, the certificate checked
    hops: int
    digest: str  # of every event


class Trial:
    """`half` is which half of the honest a convener that splits listens to. `trace` is told every event.

    In a world that goes on beside it, `begin` with that world's `clock` and `roads`, between the sites `ends` (who asks
    and who answers); `done` is called when the round is over. Alone, `run`.
    """

    def __init__(
        self,
        world: World,
        scenario: Scenario,
        request: SignedRequest,
        adversary: frozenset[int],
        words: Words,
        rng: Random,
        *,
        half: int = 0,
        trace: Callable[[str], object] = lambda _: None,
        clock: Clock | None = None,
        roads: Roads | None = None,
        ends: tuple[int, int] | None = None,
        done: Callable[[], object] = lambda: None,
    ) -> None:
        self._world, self._scenario, self.request = world, scenario, request
        self._adversary, self._words, self._rng = adversary, words, rng
        self._half, self._trace = half, trace
        self._clock, self._roads, self._done = clock or Clock(), roads or Square(world, rng), done
        self._started = self._clock.us
        self._free = self._deepest = 0
        self._payer, self._provider = ends or (rng.randrange(len(world.sites)), rng.randrange(len(world.sites)))
        self._sitters: dict[bytes, Sitter | Copier] = {}
        self._overheard: SignedCommit | None = None
        self._listening: list[tuple[Site, int]] = []
        self._wakes: int | None = None
        self._decided: int | None = None
        self._hops = 0
        self._sealed = dict[bytes, int]()  # how many hops deep a commit was
        self.receipt: SignedReceipt | None = None
        self._hash = sha256()
        self.cpu = dict[str, list[int]]()  # measured nanoseconds, by what was done
        self.outcome: Outcome | None = None
        self.round: Round

    def run(self) -> Verdicts:
        """Until the round is over."""
        self.begin()
        while self.outcome is None:
            self._clock.step()
        return self.verdicts()

    def begin(self) -> None:
        """The request is sent."""
        self._at(self._travel(self._payer, self._provider) or RESEND_US, self._convene)

    def verdicts(self) -> Verdicts:
        """What came of it, once the round is over."""
        assert self.outcome is not None
        tally = self.round.tally
        proved = None
        if self.outcome.evidence is not None:
            signers = len(self.round.committee.places)
            home = self._travel(self._provider, self._payer) or RESEND_US
            checking = draw_us(self._size) + 3 * CHECK_US * signers  # the certificate, and each ballot's two signatures
            proved = int(self._now + CHECK_US * signers + home + checking)
        called = sum(phase.name != "BENCH" for phase in self.round.phases) - len(self.round.committee.members)
        return Verdicts(
            self.outcome.result,
            tally.accept,
            tally.reject,
            called,
            self._decided,
            proved,
            self._hops,
            self._hash.hexdigest()[:16],
        )

    def _convene(self) -> None:
        self.round = self._measured("draw", lambda: Round(self._world.network, self.request, self._ms))
        committee, asked = self.round.committee, self.request.request
        digest = asked.digest(self._world.network.domain)
        self._asked = Asked(self._world.network, self._world.manifest, self.request, committee, digest)
        self._size = len(committee.members)
        sitting = [self._world.site(place.key).index for place in committee.places]
        self._heard = [i for i in sitting if i not in self._adversary][self._half :: 2]
        self._free = self._now + draw_us(self._size)
        self._at(self._now + EXECUTION_US * self._rng.lognormvariate(0, 0.3), self._answer)
        self._at(self._free, self._begin)

    def _begin(self) -> None:
        self._do(self.round.begin(self._ms), 1)
        self._wake()

    def _answer(self) -> None:
        self.receipt = self._world.receipt(self.request, self._scenario.answer, 10 + self._half, self._ms)
        self._hear(AnswerReady(self.receipt, self._scenario.answer.sealed), 1, 2 * SIGN_US)

    def _hear(self, event: Event, hops: int, cost_us: int) -> None:
        """The convener's processor takes it when it is free."""
        self._free = max(self._now, self._free) + cost_us
        self._at(self._free, partial(self._tell, event, hops))

    def _tell(self, event: Event, hops: int) -> None:
        if self.outcome is not None:
            return
        who = event.member.hex()[:8] if not isinstance(event, AnswerReady | TimePassed) else ""
        self._say(f"{type(event).__name__} {who}")
        hops = max(self._deepest, hops) if isinstance(event, TimePassed) else hops
        self._deepest = max(self._deepest, hops)
        if isinstance(event, MemberCommitted):
            self._sealed[event.member] = hops
        effects = self._measured(type(event).__name__, lambda: self.round.handle(event, self._ms))
        if self._decided is None and self.round.certified:
            self._decided, self._hops = self._now, hops + 1
        self._do(effects, hops)
        if self.round.over:
            self.outcome = self._measured("finish", self.round.finish)
            self._say(f"{self.outcome.result}: {self.outcome.reason}")
            self._done()
        else:
            self._wake()

    def _wake(self) -> None:
        due = (self.round.due_ms - START_MS) * 1000
        if due != self._wakes:
            self._wakes = due
            self._at(max(due, self._now), partial(self._ring, due))

    def _ring(self, due: int) -> None:
        if due == self._wakes:
            self._wakes = None
            self._tell(TimePassed(), self._deepest)

    def _do(self, effects: tuple[Effect, ...], hops: int) -> None:
        for effect in effects:
            site = self._world.site(effect.member)
            self._say(f"  {type(effect).__name__} {effect.member.hex()[:8]}")
            if isinstance(effect, CallMember):
                self._send(site, hops, self._sit)
            elif isinstance(effect, SendReceipt):
                self._send(site, max(hops, self._sealed[effect.member]), self._judge)

    def _send(self, site: Site, hops: int, then: Callable[[Site, int], None]) -> None:
        """To a verifier, or to nobody: then the convener is told so by its own end of the stream."""
        self._free = max(self._now, self._free) + SEND_US
        if not self._listens_to(site):
            self._at(self._free, partial(self._tell, MemberFailed(site.key.public, "it is not heard"), hops))
            return
        if self._roads.is_dead(site) and site.index not in self._adversary:
            wait = REFUSED_US if self._rng.random() < 0.5 else SILENT_US
            self._fail(site, hops, self._free + wait)
        elif (took := self._travel(self._provider, site.index)) is None:
            self._fail(site, hops, self._free + RESEND_US)
        else:
            self._at(self._free + took, partial(then, site, hops + 1))

    def _listens_to(self, site: Site) -> bool:
        if self._scenario.hears == "everybody" or site.index in self._adversary:
            return True
        return self._scenario.hears == "one half" and site.index in self._heard

    def _fail(self, site: Site, hops: int, at: float) -> None:
        self._at(at, partial(self._hear, MemberFailed(site.key.public, "it cannot be reached"), hops, SEND_US))

    def _conduct(self, site: Site) -> Conduct:
        return self._scenario.conduct if site.index in self._adversary else Conduct.SEAL_TRUE

    def _sit(self, site: Site, hops: int) -> None:
        if self.outcome is not None:
            return
        conduct, key = self._conduct(site), site.key
        if conduct is Conduct.COPY:
            self._sitters[key.public] = Copier(self._asked, key, self._words)
            self._listening.append((site, hops))
            if self._overheard:
                self._copy()
            return
        if conduct is Conduct.SILENT and site.index % 2:
            return
        own = FALSE if conduct is Conduct.SEAL_FALSE else TRUE
        self._sitters[key.public] = self._measured("sit", lambda: self._words.sit(self._asked, key, own, self._ms))
        took = draw_us(self._size) + CHECK_US + executes_us(site, site.index in self._adversary, self._rng)
        self._at(self._now + took, partial(self._commit, site, hops))

    def _commit(self, site: Site, hops: int) -> None:
        sitter = self._sitters[site.key.public]
        assert not isinstance(sitter, Copier)
        commit = self._measured("commit", sitter.commit)
        self._reply(site, MemberCommitted(site.key.public, commit), hops)
        if self._overheard is None and site.index not in self._adversary:
            self._overheard = commit
            self._copy()

    def _copy(self) -> None:
        """Whoever waits for something to copy has it now."""
        assert self._overheard is not None
        for site, hops in self._listening:
            sitter = self._sitters[site.key.public]
            assert isinstance(sitter, Copier)
            self._reply(site, MemberCommitted(site.key.public, sitter.commit(self._overheard)), hops)
        self._listening.clear()

    def _judge(self, site: Site, hops: int) -> None:
        if self.outcome is not None or self._conduct(site) is Conduct.SILENT:
            return
        sitter, answer, receipt = self._sitters[site.key.public], self._scenario.answer, self.receipt
        assert receipt is not None
        if isinstance(sitter, Copier):
            said = sitter.judge(receipt, answer)
        else:
            maybe = self._measured("judge", lambda: sitter.judge(receipt, answer, self._ms))
            if maybe is None:
                self._fail(site, hops, self._now + RESEND_US)
                return
            said = maybe
        self._reply(site, MemberJudged(site.key.public, *said), hops)

    def _reply(self, site: Site, event: Event, hops: int) -> None:
        took = self._travel(site.index, self._provider)
        if took is None:
            self._fail(site, hops, self._now + RESEND_US)
        else:
            self._at(self._now + SIGN_US + took, partial(self._hear, event, hops + 1, hear_us(self._size)))

    def _at(self, time_us: float, act: Callable[[], None]) -> None:
        self._clock.at(self._started + int(time_us), act)

    @property
    def _now(self) -> int:
        return self._clock.us - self._started

    @property
    def _ms(self) -> int:
        return START_MS + self._now // 1000

    def _say(self, text: str) -> None:
        line = f"{self._now} {text}\n"
        self._hash.update(line.encode())
        self._trace(line)

    def _travel(self, a: int, b: int) -> float | None:
        return self._roads.travel_us(a, b)

    def _measured(self, what: str, work: Callable[[], _T]) -> _T:
        started = thread_time_ns()
        done = work()
        self.cpu.setdefault(what, []).append(thread_time_ns() - started)
        return done
