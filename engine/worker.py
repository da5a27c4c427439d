"""The worker: a process that holds one stranger's model and nothing else. `python -I -m engine.worker`.

Its arguments are two numbers: the socket pair's descriptor and the parent's process id. The model's files are open
already; the first message says under which numbers. It imports what it needs, locks itself in (engine.sandbox), and
only then reads the model. Everything it says is checked by the node as a stranger's word would be. It is not needed to
end well: the node kills it.
"""

from __future__ import annotations

import mmap
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from msgspec.structs import replace

from wire.canonical import Record
from wire.errors import RecordError
from wire.tensors import Tensor, check_headers

from .bounds import MOST_ROWS
from .errors import BeyondHere, CardLost, EngineError, FilesNeeded, ModelFailed, ModelRefused
from .generation.outbox import Outbox
from .interface import SIDE_FILES, asked
from .messages import Failed, FromNode, Kept, Load, Loaded, Needs, Part, Ran, Run, Signature, Stop
from .parcels import Parcel, ParcelDecoder, pack
from .sandbox import die_with
from .shared import Half, Shared, is_large

if TYPE_CHECKING:
    from .generation.machine import Piece
    from .serving import Serve


def main(arguments: list[str]) -> None:
    """Serve one model until the node closes its end."""
    channel, parent = map(int, arguments)
    die_with(parent)
    desk = _Desk(socket.socket(fileno=channel))
    first = desk.receive()
    if first is None or not isinstance(first.message, Load):
        return
    desk.share(first.message.shared)
    try:
        serve, loaded = _load(first.message, desk)
    except FilesNeeded as error:
        desk.send(Needs(message=_said(error), files=error.paths))
        return
    except EngineError as error:
        desk.fail(error)
        return
    desk.send(loaded)
    while (parcel := desk.receive()) is not None:
        if isinstance(parcel.message, Stop):
            continue  # what it was to stop had ended before it came
        try:
            outputs, elapsed, tokens_in = _run(serve, loaded.signature, parcel, desk)
        except CardLost as error:
            sys.exit(str(error))  # the node starts another
        except (EngineError, RecordError) as error:
            desk.fail(error)
        else:
            headers = tuple(t.header for t in outputs)
            counted = tokens_in if len(tokens_in) <= MOST_ROWS else (sum(tokens_in),)
            desk.answer(Ran(outputs=headers, compute_us=elapsed, tokens_in=counted), outputs)


def _load(wish: Load, desk: _Desk) -> tuple[Serve, Loaded]:
    from .backends import Graph, runtime_of

    runtime = runtime_of(wish, desk)
    try:
        from .example import run_example
        from .external import check_spans, settle
        from .screen import parse
        from .signature import describe

        if wish.interface != "tensors":
            from .serving import serving
    except ImportError as error:
        message = f"ONNX Runtime cannot be imported ({error}); install it: pip install 'hallmark[cpu]'"
        raise EngineError(message) from error
    graph, *others = wish.files
    with _mapped(others) as files:
        sandbox = runtime.confine(wish.memory - sum(part.size for part in others))
        try:
            data = _read(graph)
            model, spans = parse(data)
            check_spans(spans, {path: len(content) for path, content in files.items()})
            data, weights = settle(data, model, spans, files)
            session = runtime.session(Graph(data, model, weights, spans))
            signature = describe(model, session.output_shapes())
            serve: Serve = lambda inputs, _: (*session.run(inputs), ())  # noqa: E731
            if wish.interface != "tensors":
                side = {path: bytes(files[path]) for path in SIDE_FILES if path in files}
                serve, signature = serving(session, signature, wish.interface, side)
            example_us = None
            if signature.interface != "generate":  # only a generator speaks to a listener
                example_us = run_example(files, signature, lambda inputs: serve(inputs, None)[:2])  # type: ignore[arg-type]
        except MemoryError as error:
            raise ModelRefused(f"the model needs more than the {wish.memory} bytes of memory it may have") from error
    loaded = Loaded(
        signature=signature,
        backend=session.backend,
        sandbox=sandbox,
        example_us=example_us,
        card_memory=runtime.card_memory,
    )
    return serve, loaded


@contextmanager
def _mapped(parts: Sequence[Part]) -> Iterator[dict[str, bytes | mmap.mmap]]:
    """The files' contents by path, as long as this lasts. Mapped, not read: the runtime copies what it needs.

    To be entered before the sandbox is: Python duplicates a mapping's descriptor, and inside no new one can be had.
    """
    with ExitStack() as leaving:
        files: dict[str, bytes | mmap.mmap] = {}
        for part in parts:
            content: bytes | mmap.mmap = b""
            if part.size:  # private, for a sealed file allows no other mapping on every kernel
                content = leaving.enter_context(mmap.mmap(part.fd, part.size, mmap.MAP_PRIVATE, mmap.PROT_READ))
            os.close(part.fd)
            files[part.path] = content
        yield files


def _read(part: Part) -> bytes:
    pieces, at = [], 0
    while at < part.size and (piece := os.pread(part.fd, part.size - at, at)):
        pieces.append(piece)
        at += len(piece)
    os.close(part.fd)
    return b"".join(pieces)  # usually one piece, and then no copy


def _run(
    serve: Serve, signature: Signature, parcel: Parcel[FromNode], desk: _Desk
) -> tuple[list[Tensor], int, tuple[int, ...]]:
    if not isinstance(parcel.message, Run):
        raise ModelFailed(f"a {type(parcel.message).__name__} came where an execution was awaited")
    signature = asked(signature, parcel.message.inputs)
    check_headers(parcel.message.inputs, signature.inputs, "inputs")
    try:
        outputs, elapsed, tokens_in = serve(parcel.tensors, desk)
    except MemoryError as error:
        raise ModelFailed("this input needs more memory than the model may have; send a smaller one") from error
    check_headers([t.header for t in outputs], signature.outputs, "outputs")
    return outputs, elapsed, tokens_in


class _Desk:
    """The worker's end of the socket pair. Blocking: there is nothing else to do meanwhile. Listens to generations."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._decoder: ParcelDecoder[FromNode] = ParcelDecoder(FromNode)
        self._outbox = Outbox()
        self._shared: Shared | None = None

    def share(self, fd: int | None) -> None:
        """Map the memory for large tensors; to be done before the sandbox stands."""
        if fd is not None:
            self._shared = Shared(fd)

    def receive(self) -> Parcel[FromNode] | None:
        """The next parcel; None when the node has closed its end."""
        while (parcel := self._decoder.next()) is None:
            data = self._channel.recv(max(self._decoder.wanted(), 1 << 16))
            if not data:
                return None
            self._decoder.feed(data)
        if self._shared and isinstance(parcel.message, Run) and parcel.message.shared:
            return Parcel(parcel.message, self._shared.views(Half.INPUTS, parcel.message.inputs))
        return parcel

    def kept(self) -> Kept:
        """The node's word on what was built earlier."""
        parcel = self.receive()
        if parcel is None or not isinstance(parcel.message, Kept):
            raise EngineError("the node did not say what was built earlier")
        return parcel.message

    def answer(self, message: Record, tensors: list[Tensor] | None = None) -> None:
        """Send what ends a run, after all that was said in it."""
        for tokens in self._outbox.rest():
            self.send(tokens)
        if self._shared and isinstance(message, Ran) and tensors and is_large(tensors):
            self._shared.put(Half.OUTPUTS, tensors)
            message, tensors = replace(message, shared=True), None
        self.send(message, tensors)

    def send(self, message: Record, tensors: list[Tensor] | None = None) -> None:
        for part in pack(message, tensors or ()):
            self._channel.sendall(part)

    def say(self, piece: Piece) -> None:
        for tokens in self._outbox.add(piece, monotonic()):
            self.send(tokens)

    def stopped(self) -> bool:
        """Whether the node has sent a Stop since the run began, or is gone."""
        try:
            data = self._channel.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        self._decoder.feed(data)
        return not data or self._decoder.next() is not None  # nothing but a Stop may come before we have answered

    def fail(self, error: Exception) -> None:
        self.answer(Failed(message=_said(error), here=isinstance(error, BeyondHere)))


def _said(error: Exception) -> str:
    """Its text, as a message can carry it: a model puts its own words, and control characters, into a runtime's."""
    return "".join(c if c.isprintable() else " " for c in str(error))[:4096]


if __name__ == "__main__":
    main(sys.argv[1:])
