"""A yamux connection without I/O: bytes and wishes in, frames and wake-ups out.

No await, no clock, no randomness. Whoever drives it sends what `output()` gives after every call, in order, and then
calls `wake` of the flows that `changed()` gives. Peers that break a rule raise ProtocolError; the connection then ends
with `go_away`.
"""

from __future__ import annotations

from collections import deque

from .. import bounds
from .frames import Flag, FrameReader, Header, Kind, Piece, ProtocolError
from .windows import Budget, Flow

NORMAL, PROTOCOL_ERROR, INTERNAL_ERROR = 0, 1, 2  # reasons of a GOAWAY
_DEFAULT_RTT = 0.1  # seconds, until the first ping is answered


class Machine:
    """The streams of one connection, as one of its sides sees them."""

    def __init__(self, initiator: bool, now: float) -> None:
        self.flows: dict[int, Flow] = {}
        self.backlog: deque[Flow] = deque()  # opened by the peer, and not yet accepted
        self.gone = False  # the peer said GOAWAY
        self.rtt = 0.0  # seconds, smoothed; 0 while not yet measured
        self.frames = self.empty = 0  # so far; those of them that carried next to nothing
        self._initiator = initiator
        self._next = 1 if initiator else 2
        self._highest = 0  # of the peer's stream numbers
        self._reader, self._body = FrameReader(), Header(Kind.PING, 0, 0, 0)
        self._inbound = self._unacknowledged = self._refused = 0
        self._budget = Budget()
        self._output: list[bytes] = []
        self._changed: set[Flow] = set()
        self._heard = now
        self._ping, self._pinged, self._answered, self._ping_due = 0, now, True, now + bounds.PING_FIRST

    # What the user of the connection wishes.

    @property
    def may_open(self) -> bool:
        """Whether the peer may be asked for one more stream before it has taken those it was asked for."""
        return self._unacknowledged < bounds.BACKLOG

    @property
    def unread(self) -> int:
        """Bytes of streams that have not ended, come and not yet read."""
        return self._budget.unread

    def heaviest(self) -> Flow | None:
        """The stream with the most unread bytes, if any has some."""
        flow = max(self.flows.values(), key=lambda each: each.inbox.size, default=None)
        return flow if flow is not None and flow.inbox.size else None

    def open(self) -> Flow:
        """A new stream of ours."""
        flow = self.flows[self._next] = Flow(self._next, True, self._budget)
        self._next += 2
        self._unacknowledged += 1
        self._say(Kind.WINDOW_UPDATE, Flag.SYN, flow.number)
        return flow

    def accept(self) -> Flow | None:
        """The oldest stream of the peer's that nobody has yet, or None."""
        while self.backlog:
            flow = self.backlog.popleft()
            if not self.backlog:
                self._refused = 0
            if not flow.reset:
                flow.acknowledged = True
                if not flow.over:
                    self._say(Kind.WINDOW_UPDATE, Flag.ACK, flow.number)
                return flow
        return None

    def read(self, flow: Flow, limit: int, now: float) -> bytes:
        """One to `limit` bytes, or nothing. The peer is told of the room that this makes."""
        data = flow.inbox.take(limit)
        if data and not flow.over and not flow.ended_in and (room := flow.inbox.grant(now, self.rtt or _DEFAULT_RTT)):
            self._say(Kind.WINDOW_UPDATE, Flag.NONE, flow.number, room)
        return data

    def spend(self, flow: Flow, wanted: int) -> int:
        """How many of `wanted` bytes go into a frame now; its header is in the output, the bytes must follow it."""
        size = flow.spend(wanted)
        if size:
            self._say(Kind.DATA, Flag.NONE, flow.number, size)
        return size

    def finish(self, flow: Flow, now: float) -> None:
        """We send no more on this stream."""
        if flow.ended_out or flow.reset:
            return
        flow.ended_out, flow.quiet_since = True, now
        self._say(Kind.WINDOW_UPDATE, Flag.FIN, flow.number)
        self._settle(flow)

    def reset(self, flow: Flow) -> None:
        """Both directions of this stream end now, and what was not read is forgotten."""
        flow.inbox.clear()
        if flow.over:
            return
        flow.ended_in = False
        self._say(Kind.WINDOW_UPDATE, Flag.RST, flow.number)
        flow.cut()
        self._settle(flow)

    def tick(self, now: float) -> None:
        """Time has passed: pings, and streams whose peer never ends its side. TimeoutError for a peer gone silent."""
        for flow in list(self.flows.values()):
            quiet = now - flow.quiet_since >= bounds.HALF_CLOSED
            if flow.ended_out and quiet and not flow.readers:
                self.reset(flow)
        if now < self._ping_due:
            return
        if not self._answered and now - self._heard >= bounds.SILENCE:
            raise TimeoutError(f"the peer has said nothing for {now - self._heard:.0f} s")
        self._ping = (self._ping + 1) % 2**32
        self._answered, self._pinged, self._ping_due = False, now, now + bounds.PING_EVERY
        self._say(Kind.PING, Flag.SYN, 0, self._ping)

    def go_away(self, reason: int) -> None:
        """The last frame that we send."""
        self._say(Kind.GO_AWAY, Flag.NONE, 0, reason)

    def end(self) -> None:
        """The connection is over, and all its streams with it."""
        for flow in self.flows.values():
            flow.cut()
        self._changed.update(self.flows.values())
        self.flows.clear()
        self.backlog.clear()

    # What it answers.

    @property
    def speaks(self) -> bool:
        """Whether there is output."""
        return bool(self._output)

    def output(self) -> list[bytes]:
        """The frames to send now, in order; to be asked for after every call."""
        output, self._output = self._output, []
        return output

    def changed(self) -> set[Flow]:
        """The flows whose waiting tasks should look again."""
        changed, self._changed = self._changed, set()
        return changed

    # What the peer says.

    def receive(self, data: memoryview, now: float, most: int | None = None) -> int:
        """Bytes of the peer's, cut anywhere; how many of them were taken. ProtocolError when they break a rule.

        `most`: frames that are looked at. What is left is to be given anew.
        """
        self._heard, last = now, self.frames + (most or 0)
        for part in self._reader.feed(data):
            if isinstance(part, Piece):
                flow = self.flows.get(self._body.stream)
                if flow is not None:
                    flow.inbox.add(part.data)
                    self._changed.add(flow)
                    if part.last:
                        self._flags(flow, self._body.flags, now)
                continue
            self.frames += 1
            if part.kind is not Kind.DATA or part.length < bounds.EMPTY_FRAME:
                self.empty += 1
            if part.kind is Kind.PING:
                self._on_ping(part, now)
            elif part.kind is Kind.GO_AWAY:
                self.gone = True
                break
            else:
                self._on_frame(part, now)
            if self.frames == last:
                return self._reader.taken
        return len(data)

    def _on_frame(self, header: Header, now: float) -> None:
        kind, flags, number, length = header
        if flags & Flag.SYN:
            self._on_open(number)
        flow = self.flows.get(number)
        if kind is Kind.DATA:
            self._body = header
        if flow is None:
            # Of a stream that ended here, frames may still be on their way; of one that never was, there are none.
            ours = number % 2 == self._initiator
            if not 0 < number <= (self._next - 2 if ours else self._highest):
                raise ProtocolError(f"a frame for stream {number}, which was never opened")
            if kind is Kind.DATA and length > bounds.WINDOW:
                raise ProtocolError(f"{length} bytes of data for a stream that is over")
            return
        if flow.ours and not flow.acknowledged:
            flow.acknowledged = True
            self._unacknowledged -= 1
        if kind is Kind.DATA and length:
            if flow.ended_in:
                raise ProtocolError(f"data on stream {number} after its end")
            flow.inbox.charge(length)
            return  # the flags count once the body has come
        if kind is Kind.WINDOW_UPDATE:
            flow.widen(length)
            self._changed.add(flow)
        self._flags(flow, flags, now)

    def _on_open(self, number: int) -> None:
        if number == 0 or number % 2 == self._initiator or number in self.flows:
            raise ProtocolError(f"it opens stream {number}, which is not its to open")
        self._highest = max(self._highest, number)
        if len(self.backlog) >= bounds.BACKLOG or self._inbound >= bounds.INBOUND:
            self._refused += 1
            if self._refused > bounds.REFUSALS:
                raise ProtocolError("it opens streams without end")
            self._say(Kind.WINDOW_UPDATE, Flag.RST, number)
            return
        flow = self.flows[number] = Flow(number, False, self._budget)
        self._inbound += 1
        self.backlog.append(flow)

    def _flags(self, flow: Flow, flags: int, now: float) -> None:
        flow.quiet_since = now
        if flags & Flag.RST:
            flow.cut()
        elif flags & Flag.FIN:
            flow.ended_in = True
        else:
            return
        self._changed.add(flow)
        self._settle(flow)

    def _on_ping(self, header: Header, now: float) -> None:
        if header.flags & Flag.SYN:
            self._say(Kind.PING, Flag.ACK, 0, header.length)
        elif header.flags & Flag.ACK and header.length == self._ping and not self._answered:
            self._answered = True
            took = now - self._pinged
            self.rtt = (self.rtt + took) / 2 if self.rtt else took

    def _settle(self, flow: Flow) -> None:
        self._changed.add(flow)
        if not flow.over or self.flows.get(flow.number) is not flow:
            return
        del self.flows[flow.number]
        flow.inbox.close()
        if not flow.ours:
            self._inbound -= 1
        elif not flow.acknowledged:
            flow.acknowledged = True
            self._unacknowledged -= 1

    def _say(self, kind: Kind, flags: int, number: int, length: int = 0) -> None:
        self._output.append(Header(kind, flags, number, length).encode())
