from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.bounds import MAX_AFTER_MS, MAX_DATA, MAX_RECORD
from wire.canonical import encode
from wire.errors import ErrorCode, RemoteError
from wire.frames import HEADER, ErrorRecord, Frame, FrameDecoder, Kind, error_frame, frame_header, read_error

FRAMES = st.lists(st.builds(Frame, st.sampled_from(Kind), st.binary(max_size=50)), max_size=6)
BOUND = {Kind.RECORD: MAX_RECORD, Kind.DATA: MAX_DATA, Kind.ERROR: 4096}


def written(frames: list[Frame]) -> bytes:
    return b"".join(frame_header(f.kind, len(f.payload)) + f.payload for f in frames)


@given(FRAMES, st.data())
def test_however_the_stream_is_split_the_frames_are_the_same(frames: list[Frame], data: st.DataObject) -> None:
    stream, decoder, found = written(frames), FrameDecoder(), []
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        decoder.feed(stream[start:end])
        found += list(decoder.frames())
    assert found == frames
    assert decoder.pending == 0
    assert decoder.next() is None


@given(FRAMES, st.integers(1, 20))
def test_reading_as_much_as_is_wanted_ends_at_each_frame(frames: list[Frame], most: int) -> None:
    stream, decoder, found = written(frames), FrameDecoder(), []
    while stream:
        taken = min(most, decoder.wanted())
        assert taken > 0
        decoder.feed(stream[:taken])
        stream = stream[taken:]
        if decoder.wanted() == 0 and (frame := decoder.next()):
            found.append(frame)
            assert decoder.pending == 0  # nothing of the next was taken
    assert found == frames


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_garbage_gives_frames_or_one_remote_error(pieces: list[bytes]) -> None:
    decoder = FrameDecoder()

    def feed() -> None:
        for piece in pieces:
            decoder.feed(piece)
            for frame in decoder.frames():
                assert len(frame.payload) <= BOUND[frame.kind]

    try:
        feed()
    except RemoteError:
        with pytest.raises(RemoteError) as caught:  # and it stays spent
            decoder.next()
        assert caught.value.code is ErrorCode.BAD_FRAME


@pytest.mark.parametrize("kind", Kind)
def test_an_oversize_frame_is_refused_at_its_header(kind: Kind) -> None:
    most = FrameDecoder()
    most.feed(bytes((kind,)) + BOUND[kind].to_bytes(4, "big"))
    assert most.next() is None
    for size in (BOUND[kind] + 1, 2**32 - 1):
        decoder = FrameDecoder()
        decoder.feed(bytes((kind,)) + size.to_bytes(4, "big"))
        with pytest.raises(RemoteError, match=f"the bound is {BOUND[kind]}"):
            decoder.next()
    with pytest.raises(ValueError, match="bound"):
        frame_header(kind, BOUND[kind] + 1)


@pytest.mark.parametrize("kind", sorted(set(range(256)) - set(Kind)))
def test_unknown_kinds_are_refused(kind: int) -> None:
    decoder = FrameDecoder()
    decoder.feed(bytes((kind, 0, 0, 0, 0)))
    with pytest.raises(RemoteError, match="unknown kind"):
        decoder.next()


def test_a_cut_frame_is_pending() -> None:
    decoder = FrameDecoder()
    decoder.feed(frame_header(Kind.DATA, 10) + b"12345")
    assert decoder.next() is None
    assert decoder.pending == HEADER + 5
    assert decoder.wanted() == 5


@given(
    st.sampled_from(ErrorCode),
    st.text(st.characters(exclude_categories=()), max_size=600),
    st.booleans(),
    st.integers(0, 2 * MAX_AFTER_MS),
)
def test_an_error_reaches_the_other_side(code: ErrorCode, message: str, retry: bool, after_ms: int) -> None:
    decoder = FrameDecoder()
    decoder.feed(error_frame(RemoteError(code, message, retry=retry, after_ms=after_ms)))
    (frame,) = decoder.frames()
    assert frame.kind is Kind.ERROR
    heard = read_error(frame.payload)
    assert (heard.code, heard.retry, len(heard.message)) == (code, retry, min(256, len(message)))
    assert heard.after_ms == min(after_ms, MAX_AFTER_MS)
    assert heard.message.isprintable()


@given(st.binary(max_size=100))
def test_any_bytes_for_an_error_are_an_error(payload: bytes) -> None:
    assert read_error(payload).code is ErrorCode.BAD_RECORD


def test_a_peers_error_cannot_write_on_the_terminal() -> None:
    message = "\x1b[2J\r\nroot# \u202egnp.exe"
    payload = encode(ErrorRecord(code=ErrorCode.FAILED, message=message, retry=True, after_ms=0))
    assert read_error(payload).message == "?[2J  root# ?gnp.exe"


def test_an_unknown_code_is_a_bad_record() -> None:
    payload = encode(ErrorRecord(code=ErrorCode.FAILED, message="", retry=True, after_ms=0))
    payload = payload.replace(b"\xa6failed", b"\xa6wailed")
    assert read_error(payload).code is ErrorCode.BAD_RECORD
