"""The yamux machine: its rules one by one, and any bytes give a result or a ProtocolError and nothing else."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p import bounds
from p2p.yamux.frames import HEADER, Flag, FrameReader, Header, Kind, Piece, ProtocolError
from p2p.yamux.machine import Machine
from p2p.yamux.windows import FIRST_WINDOW, Budget, Flow, Inbox

DATA, UPDATE, PING, AWAY = Kind
SYN, ACK, FIN, RST = Flag.SYN, Flag.ACK, Flag.FIN, Flag.RST


def say(machine: Machine, *frames: Header | bytes, now: float = 0.0) -> list[Header]:
    """Give the machine these frames; what it answers."""
    data = b"".join(f if isinstance(f, bytes) else f.encode() for f in frames)
    machine.receive(memoryview(data), now)
    return answers(machine)


def answers(machine: Machine) -> list[Header]:
    return [part for part in FrameReader().feed(memoryview(b"".join(machine.output()))) if isinstance(part, Header)]


def with_stream(number: int = 1) -> tuple[Machine, Flow]:
    """A machine that has accepted a stream of the dialling side's."""
    machine = Machine(initiator=False, now=0.0)
    say(machine, Header(UPDATE, SYN, number, 0))
    flow = machine.accept()
    assert flow is not None
    assert answers(machine) == [Header(UPDATE, ACK, number, 0)]
    return machine, flow


# Frames.


@given(
    st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 15), st.integers(0, 9), st.binary(max_size=50))), st.data()
)
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    frames: Sequence[tuple[Kind, int, int, bytes]], data: st.DataObject
) -> None:
    run, expected = b"", []
    for kind, flags, stream, body in frames:
        header = Header(kind, flags, stream, len(body))
        run += header.encode() + (body if kind is DATA else b"")
        expected.append((header, body if kind is DATA else b""))
    reader, found = FrameReader(), []
    while run:
        cut = data.draw(st.integers(1, len(run)))
        for part in reader.feed(memoryview(run[:cut])):
            if isinstance(part, Piece):
                header, body = found[-1]
                found[-1] = (header, body + bytes(part.data))
                assert part.last == (len(found[-1][1]) == header.length)
            else:
                found.append((part, b""))
        run = run[cut:]
    assert found == expected


@pytest.mark.parametrize("head", [b"\x01\x00", b"\x00\x04", b"\xff\xff"])
def test_another_version_or_kind_is_refused(head: bytes) -> None:
    with pytest.raises(ProtocolError, match="which yamux does not have"):
        list(FrameReader().feed(memoryview(head + bytes(HEADER - 2))))


# Any bytes at all.

_flags = st.sampled_from([0, 1, 2, 4, 8]) | st.integers(0, 0xFFFF)
_frame = st.builds(
    lambda kind, flags, stream, length, body: Header(kind, flags, stream, length).encode() + body,
    st.sampled_from(Kind),
    _flags,
    st.integers(0, 6) | st.integers(0, 2**32 - 1),
    st.integers(0, 40) | st.sampled_from([FIRST_WINDOW, FIRST_WINDOW + 1, bounds.WINDOW + 1, 2**32 - 1]),
    st.binary(max_size=40),
)


def attack(data: bytes, cut: int) -> None:
    """Feed it, use what comes of it; only ProtocolError is allowed out."""
    machine = Machine(initiator=False, now=0.0)
    machine.open()
    try:
        for at in range(0, len(data), cut):
            machine.receive(memoryview(data)[at : at + cut], float(at))
            while (flow := machine.accept()) is not None:
                machine.read(flow, 10, float(at))
                machine.spend(flow, 100)
            machine.changed()
            machine.output()
            machine.tick(float(at))
    except (ProtocolError, TimeoutError):
        pass
    assert sum(flow.inbox.size for flow in machine.flows.values()) <= len(data)
    machine.end()
    assert not machine.flows


@settings(max_examples=400)
@given(st.lists(_frame, max_size=30), st.integers(1, 200))
def test_any_frames_give_a_result_or_a_protocol_error(frames: list[bytes], cut: int) -> None:
    attack(b"".join(frames), cut)


def test_ten_thousand_broken_runs_give_a_result_or_a_protocol_error() -> None:
    chance = random.Random(3)
    for _ in range(10_000):
        run = bytearray()
        for _ in range(chance.randrange(1, 7)):
            length = chance.choice((0, 1, 12, 30, FIRST_WINDOW, 2**32 - 1))
            kind, flags, stream = chance.choice(tuple(Kind)), chance.choice((0, 1, 2, 4, 8, 5, 9)), chance.randrange(6)
            run += Header(kind, flags, stream, length).encode() + chance.randbytes(min(length, 30))
        for _ in range(chance.randrange(3)):
            run[chance.randrange(len(run))] = chance.randrange(256)
        attack(bytes(run), chance.choice((5, 64, 1000)))


# Windows.


def test_data_over_the_window_is_refused() -> None:
    machine, flow = with_stream()
    say(machine, Header(DATA, 0, 1, FIRST_WINDOW), bytes(FIRST_WINDOW))
    assert flow.inbox.size == FIRST_WINDOW
    with pytest.raises(ProtocolError, match="room for 0"):
        say(machine, Header(DATA, 0, 1, 1))


def test_room_is_told_when_half_the_window_is_read_and_never_twice() -> None:
    machine, flow = with_stream()
    say(machine, Header(DATA, 0, 1, FIRST_WINDOW), bytes(FIRST_WINDOW))
    half = FIRST_WINDOW // 2
    assert len(machine.read(flow, half - 1, 0.0)) == half - 1
    assert answers(machine) == []
    machine.read(flow, 1, 0.0)
    assert answers(machine) == [Header(UPDATE, 0, 1, half)]
    machine.read(flow, half, 9.0)
    assert answers(machine) == [Header(UPDATE, 0, 1, half)]


def test_a_window_grows_for_a_quick_reader_within_its_budget() -> None:
    budget = Budget(3 * FIRST_WINDOW)
    quick, other = Inbox(budget), Inbox(budget)
    for inbox in (quick, other):
        for _ in range(40):
            size = inbox.credit
            inbox.charge(size)
            inbox.add(memoryview(bytes(size)))
            while inbox.take(1 << 20):
                pass
            inbox.grant(0.0, rtt=0.01)
    assert quick.window == 4 * FIRST_WINDOW
    assert other.window == FIRST_WINDOW
    quick.close()
    assert budget.left == 3 * FIRST_WINDOW


def test_a_slow_reader_keeps_its_first_window() -> None:
    inbox = Inbox(Budget())
    for step in range(20):
        inbox.charge(FIRST_WINDOW)
        inbox.add(memoryview(bytes(FIRST_WINDOW)))
        inbox.take(FIRST_WINDOW)
        assert inbox.grant(float(step), rtt=0.01) == FIRST_WINDOW
    assert inbox.window == FIRST_WINDOW


def test_thousands_of_tiny_pieces_weigh_what_they_are() -> None:
    inbox = Inbox(Budget())
    for _ in range(10_000):
        inbox.add(memoryview(b"x"))
    assert len(inbox._chunks) == 1
    assert inbox.take(3) == b"xxx"
    inbox.add(memoryview(b"y"))
    assert b"".join(iter(lambda: inbox.take(4000), b"")) == b"x" * 9997 + b"y"


def test_a_sender_stops_at_its_credit_and_goes_on_with_more() -> None:
    machine = Machine(True, 0.0)
    flow = machine.open()
    spent = 0
    while size := machine.spend(flow, 1 << 30):
        spent += size
    assert spent == FIRST_WINDOW
    machine.output()
    say(machine, Header(UPDATE, ACK, 1, 10))
    assert flow in machine.changed()
    assert machine.spend(flow, 1 << 30) == 10
    with pytest.raises(ProtocolError, match="32 bits"):
        say(machine, Header(UPDATE, 0, 1, 2**32 - 1), Header(UPDATE, 0, 1, 1))


# Opening.


@pytest.mark.parametrize("number", [0, 2, 1])
def test_a_stream_that_is_not_the_peers_to_open_is_refused(number: int) -> None:
    machine, _ = with_stream(1)
    with pytest.raises(ProtocolError, match="not its to open"):
        say(machine, Header(UPDATE, SYN, number, 0))


def test_the_backlog_is_bounded_and_a_flood_ends_the_connection() -> None:
    machine = Machine(False, 0.0)
    syn = [Header(UPDATE, SYN, number, 0) for number in range(1, 2 * (bounds.BACKLOG + bounds.REFUSALS) + 1, 2)]
    assert say(machine, *syn[: bounds.BACKLOG]) == []
    assert say(machine, syn[bounds.BACKLOG]) == [Header(UPDATE, RST, syn[bounds.BACKLOG].stream, 0)]
    assert len(machine.flows) == bounds.BACKLOG
    with pytest.raises(ProtocolError, match="without end"):
        say(machine, *syn[bounds.BACKLOG + 1 :], Header(UPDATE, SYN, 99_999, 0))


def test_streams_that_are_held_open_are_bounded_too() -> None:
    machine = Machine(False, 0.0)
    for number in range(1, 2 * bounds.INBOUND, 2):
        say(machine, Header(UPDATE, SYN, number, 0))
        assert machine.accept() is not None
        machine.output()
    assert say(machine, Header(UPDATE, SYN, 9999, 0)) == [Header(UPDATE, RST, 9999, 0)]
    say(machine, Header(UPDATE, RST, 1, 0))
    assert say(machine, Header(UPDATE, SYN, 10_001, 0)) == []


def test_streams_that_end_before_they_are_taken_are_passed_over() -> None:
    machine = Machine(False, 0.0)
    say(machine, Header(UPDATE, SYN, 1, 0), Header(UPDATE, RST, 1, 0), Header(DATA, SYN | FIN, 3, 2), b"hi")
    flow = machine.accept()
    assert flow is not None
    assert (flow.number, machine.read(flow, 9, 0.0), flow.ended_in) == (3, b"hi", True)
    assert machine.accept() is None


def test_we_open_no_more_than_the_peer_has_taken_and_256() -> None:
    machine = Machine(True, 0.0)
    flows = []
    while machine.may_open:
        flows.append(machine.open())
    assert len(flows) == bounds.BACKLOG
    say(machine, Header(UPDATE, ACK, flows[0].number, 0))
    assert machine.may_open
    machine.open()
    assert not machine.may_open
    machine.reset(flows[1])
    say(machine, Header(UPDATE, RST, flows[2].number, 0))
    assert machine.may_open


# Ending.


def test_frames_of_a_stream_that_is_over_are_passed_over_and_of_none_refused() -> None:
    machine, flow = with_stream()
    machine.reset(flow)
    assert answers(machine) == [Header(UPDATE, RST, 1, 0)]
    assert say(machine, Header(DATA, 0, 1, 3), b"abc", Header(UPDATE, FIN, 1, 0), Header(PING, SYN, 0, 7)) == [
        Header(PING, ACK, 0, 7)
    ]
    for number in (0, 3, 2):
        with pytest.raises(ProtocolError, match="never opened"):
            say(machine, Header(UPDATE, 0, number, 1))


def test_data_after_the_end_is_refused() -> None:
    machine, _ = with_stream()
    say(machine, Header(UPDATE, FIN, 1, 0))
    with pytest.raises(ProtocolError, match="after its end"):
        say(machine, Header(DATA, 0, 1, 1), b"x")


def test_what_came_before_a_fin_outlives_a_reset_and_what_did_not_does_not() -> None:
    machine, flow = with_stream()
    say(machine, Header(DATA, FIN, 1, 5), b"whole", Header(UPDATE, RST, 1, 0))
    assert flow.reset
    assert machine.read(flow, 99, 0.0) == b"whole"
    machine, flow = with_stream()
    say(machine, Header(DATA, 0, 1, 4), b"half", Header(UPDATE, RST, 1, 0))
    assert machine.read(flow, 99, 0.0) == b""


def test_a_half_closed_stream_is_reset_after_a_silent_minute_unless_somebody_reads() -> None:
    machine, flow = with_stream()
    machine.finish(flow, 0.0)
    answers(machine)
    say(machine, Header(DATA, 0, 1, 1), b"x", now=30.0)
    machine.tick(bounds.HALF_CLOSED + 29)
    assert not flow.reset
    flow.readers = 1
    say(machine, Header(PING, SYN, 0, 1), now=200.0)
    machine.tick(200.0)
    assert not flow.reset
    flow.readers = 0
    machine.tick(201.0)
    assert flow.reset
    assert Header(UPDATE, RST, 1, 0) in answers(machine)
    assert not machine.flows


def test_pings_measure_the_round_trip_and_find_a_silent_peer() -> None:
    machine = Machine(True, 0.0)
    machine.tick(bounds.PING_FIRST)
    (ping,) = answers(machine)
    assert (ping.kind, ping.flags) == (PING, SYN)
    say(machine, Header(PING, ACK, 0, 12345), now=0.55)  # not the one we sent
    assert machine.rtt == 0.0
    say(machine, Header(PING, ACK, 0, ping.length), now=0.6)
    assert machine.rtt == pytest.approx(0.1)
    for now in (9.0, 17.5, 20.0):  # pings that nobody answers
        machine.tick(now)
    with pytest.raises(TimeoutError, match="said nothing for 25 s"):
        machine.tick(25.6)


@settings(max_examples=60, deadline=None)
@given(
    frames=st.lists(
        st.tuples(st.sampled_from([DATA, UPDATE, PING]), st.sampled_from([0, SYN, FIN, RST]), st.integers(0, 3000)),
        max_size=40,
    ),
    most=st.integers(1, 5),
)
def test_frames_looked_at_some_at_a_time_are_the_same_frames(
    frames: Sequence[tuple[Kind, int, int]], most: int
) -> None:
    data, outcomes = b"", list[object]()
    for kind, flags, length in frames:
        data += Header(kind, flags, 0 if kind is PING else 1, length).encode()
        data += bytes(length) if kind is DATA else b""
    for limit in (None, most):
        machine, flow = with_stream()
        left, error, calls = memoryview(data), "", 0
        try:
            while left:
                left, calls = left[machine.receive(left, 1.0, limit) :], calls + 1
        except ProtocolError as raised:
            error = str(raised)
        if limit is None:
            assert calls <= 1
        outcomes.append((machine.frames, machine.empty, machine.unread, flow.inbox.size, answers(machine), error))
    assert outcomes[0] == outcomes[1]


def test_a_goaway_is_the_last_word() -> None:
    machine, flow = with_stream()
    say(machine, Header(AWAY, 0, 0, 0), Header(DATA, 0, 99, 1))
    assert machine.gone
    machine.end()
    assert flow.reset
    assert flow in machine.changed()
