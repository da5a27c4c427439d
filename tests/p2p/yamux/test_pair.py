"""Two honest yamux machines always agree, whatever they do and however their bytes are cut."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from p2p import bounds
from p2p.yamux.machine import Machine
from p2p.yamux.windows import FIRST_WINDOW, Flow


class Pair(RuleBasedStateMachine):
    """Whatever they do, and however their bytes are cut, what one wrote the other reads, and no rule is broken."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.machines = (Machine(True, 0.0), Machine(False, 0.0))
        self.wire = (bytearray(), bytearray())  # from the first to the second, and back
        self.flows: list[dict[int, Flow]] = [{}, {}]
        self.sent: list[dict[int, bytearray]] = [{}, {}]
        self.read: list[dict[int, bytearray]] = [{}, {}]
        self.cut = set[int]()  # streams that a side gave up, read or not
        self.chance = 0

    def flush(self, side: int, body: bytes = b"") -> None:
        self.wire[side].extend(b"".join(self.machines[side].output()) + body)

    def known(self, side: int, flow: Flow) -> None:
        self.flows[side][flow.number] = flow
        self.sent[side][flow.number], self.read[side][flow.number] = bytearray(), bytearray()

    def choose(self, side: int, pick: int) -> Flow | None:
        flows = list(self.flows[side].values())
        return flows[pick % len(flows)] if flows else None

    @rule(side=st.integers(0, 1))
    def open(self, side: int) -> None:
        if self.machines[side].may_open:
            self.known(side, self.machines[side].open())
            self.flush(side)

    @rule(side=st.integers(0, 1))
    def accept(self, side: int) -> None:
        if (flow := self.machines[side].accept()) is not None:
            self.known(side, flow)
        self.flush(side)

    @rule(side=st.integers(0, 1), pick=st.integers(0, 99), size=st.integers(1, 3 * FIRST_WINDOW))
    def write(self, side: int, pick: int, size: int) -> None:
        flow = self.choose(side, pick)
        if flow is None or flow.reset or flow.ended_out:
            return
        sent = self.machines[side].spend(flow, size)
        assert sent <= min(size, bounds.YAMUX_FRAME)
        self.chance += 1
        body = bytes([self.chance % 251]) * sent
        self.sent[side][flow.number] += body
        self.flush(side, body)

    @rule(side=st.integers(0, 1), pick=st.integers(0, 99), limit=st.integers(1, FIRST_WINDOW))
    def take(self, side: int, pick: int, limit: int) -> None:
        if (flow := self.choose(side, pick)) is not None:
            data = self.machines[side].read(flow, limit, self.now)
            assert len(data) <= limit
            self.read[side][flow.number] += data
            self.flush(side)

    @rule(side=st.integers(0, 1), pick=st.integers(0, 99), gently=st.booleans())
    def end(self, side: int, pick: int, gently: bool) -> None:
        if (flow := self.choose(side, pick)) is not None:
            if gently:
                self.machines[side].finish(flow, self.now)
            else:
                self.machines[side].reset(flow)
                self.cut.add(flow.number)
            self.flush(side)

    @rule(side=st.integers(0, 1), size=st.integers(1, 500_000))
    def arrive(self, side: int, size: int) -> None:
        data = bytes(self.wire[side][:size])
        del self.wire[side][:size]
        self.machines[1 - side].receive(memoryview(data), self.now)
        self.flush(1 - side)

    @rule(seconds=st.floats(0.001, 20.0))
    def wait(self, seconds: float) -> None:
        while any(self.wire):  # an honest link delivers, answers to pings too, before a peer counts as silent
            for side in (0, 1):
                self.arrive(side, len(self.wire[side]) + 1)
        self.now += seconds
        for side in (0, 1):
            self.machines[side].tick(self.now)
            self.flush(side)

    @invariant()
    def what_is_read_was_written(self) -> None:
        for side in (0, 1):
            for number, data in self.read[side].items():
                there = self.sent[1 - side].get(number, b"")
                assert there[: len(data)] == data

    @invariant()
    def no_window_is_passed(self) -> None:
        for machine in self.machines:
            for flow in machine.flows.values():
                assert flow.credit >= 0
                assert flow.inbox.credit >= 0
                assert flow.inbox.size + flow.inbox.credit <= flow.inbox.window <= bounds.WINDOW

    def teardown(self) -> None:
        """At rest, a stream that nobody ended has given over all that was written."""
        for _ in range(4):
            for side in (0, 1):
                self.arrive(side, len(self.wire[side]) + 1)
                self.accept(side)
        for side in (0, 1):
            for number, flow in self.flows[side].items():
                other = self.flows[1 - side].get(number)
                if flow.reset or other is None or other.reset or number in self.cut:
                    continue
                while data := self.machines[side].read(flow, 1 << 20, self.now):
                    self.read[side][number] += data
                assert self.read[side][number] == self.sent[1 - side][number]


TestPair = Pair.TestCase
TestPair.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
