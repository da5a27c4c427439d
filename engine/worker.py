"""The worker: a process that holds one stranger's model and nothing else. `python -I -m engine.worker`.

Its arguments are three numbers: the socket pair's descriptor, the model's, and the parent's process id. It imports what
it needs, locks itself in (engine.sandbox), and only then reads the model. Everything it says is checked by the node
as a stranger's word would be. It is not needed to end well: the node kills it.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

from wire.canonical import Record
from wire.errors import RecordError
from wire.tensors import Tensor, check_headers

from .errors import EngineError, ModelFailed, ModelRefused
from .messages import Failed, FromNode, Load, Loaded, Ran, Run, Signature
from .parcels import Parcel, ParcelDecoder, pack
from .sandbox import confine, die_with

if TYPE_CHECKING:
    from .backends import Session


def main(arguments: list[str]) -> None:
    """Serve one model until the node closes its end."""
    channel, model, parent = map(int, arguments)
    die_with(parent)
    desk = _Desk(socket.socket(fileno=channel))
    first = desk.receive()
    if first is None or not isinstance(first.message, Load):
        return
    try:
        session, loaded = _load(model, first.message)
    except EngineError as error:
        desk.fail(error)
        return
    desk.send(loaded)
    while (parcel := desk.receive()) is not None:
        try:
            outputs, elapsed = _run(session, loaded.signature, parcel)
        except (EngineError, RecordError) as error:
            desk.fail(error)
        else:
            desk.send(Ran(outputs=tuple(t.header for t in outputs), compute_us=elapsed), outputs)


def _load(fd: int, wish: Load) -> tuple[Session, Loaded]:
    try:
        from .backends.onnxruntime import OnnxRuntime
        from .screen import parse
        from .signature import describe
    except ImportError as error:
        message = f"ONNX Runtime cannot be imported ({error}); install it: pip install 'hallmark[cpu]'"
        raise EngineError(message) from error
    sandbox = confine(wish.memory)
    try:
        data = _read(fd, wish.size)
        model = parse(data)
        session = OnnxRuntime(data, wish.threads)
        signature = describe(model, session.output_shapes())
    except MemoryError as error:
        raise ModelRefused(f"the model needs more than the {wish.memory} bytes of memory it may have") from error
    return session, Loaded(signature=signature, backend=session.backend, sandbox=sandbox)


def _read(fd: int, size: int) -> bytes:
    pieces, at = [], 0
    while at < size and (piece := os.pread(fd, size - at, at)):
        pieces.append(piece)
        at += len(piece)
    os.close(fd)
    return b"".join(pieces)  # usually one piece, and then no copy


def _run(session: Session, signature: Signature, parcel: Parcel[FromNode]) -> tuple[list[Tensor], int]:
    if not isinstance(parcel.message, Run):
        raise ModelFailed(f"a {type(parcel.message).__name__} came where an execution was awaited")
    check_headers(parcel.message.inputs, signature.inputs, "inputs")
    try:
        outputs, elapsed = session.run(parcel.tensors)
    except MemoryError as error:
        raise ModelFailed("this input needs more memory than the model may have; send a smaller one") from error
    check_headers([t.header for t in outputs], signature.outputs, "outputs")
    return outputs, elapsed


class _Desk:
    """The worker's end of the socket pair. Blocking: there is nothing else to do meanwhile."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._decoder: ParcelDecoder[FromNode] = ParcelDecoder(FromNode)

    def receive(self) -> Parcel[FromNode] | None:
        """The next parcel; None when the node has closed its end."""
        while (parcel := self._decoder.next()) is None:
            data = self._channel.recv(max(self._decoder.wanted(), 1 << 16))
            if not data:
                return None
            self._decoder.feed(data)
        return parcel

    def send(self, message: Record, tensors: list[Tensor] | None = None) -> None:
        for part in pack(message, tensors or ()):
            self._channel.sendall(part)

    def fail(self, error: Exception) -> None:
        self.send(Failed(message=str(error)[:4096]))


if __name__ == "__main__":
    main(sys.argv[1:])
