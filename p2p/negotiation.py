"""Agreeing on a protocol in one round trip: the first one wished for is named together with the greeting.

The library waits for the other's greeting in between; a connection that is two links long and negotiates four times
feels that. The bytes are the same (multistream-select 1.0). And what a stranger says in it, on either side, is
bounded: the library reads whatever length the other side names, and answers as often as it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio
from libp2p.abc import IMultiselectCommunicator
from libp2p.custom_types import TProtocol
from libp2p.exceptions import ParseError
from libp2p.io.exceptions import IOException
from libp2p.protocol_muxer.exceptions import (
    MultiselectClientError,
    MultiselectCommunicatorError,
    ProtocolNotSupportedError,
)
from libp2p.protocol_muxer.multiselect_client import MULTISELECT_PROTOCOL_ID, PROTOCOL_NOT_FOUND_MSG, MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.utils import encode_delim
from libp2p.utils.varint import read_varint_prefixed_bytes_limited

from . import bounds


async def _read_line(communicator: MultiselectCommunicator) -> str:
    """The other side's next line, without its end. MultiselectCommunicatorError for one too long, or too many."""
    lines = communicator.__dict__["lines"] = communicator.__dict__.get("lines", 0) + 1
    if lines > bounds.MULTISTREAM_LINES:
        raise MultiselectCommunicatorError(f"over {bounds.MULTISTREAM_LINES} lines")
    try:
        line = await read_varint_prefixed_bytes_limited(communicator.read_writer, bounds.MULTISTREAM_LINE)
        text = line.decode()
    except (ParseError, IOException, UnicodeDecodeError) as error:
        raise MultiselectCommunicatorError(f"no line ({error})") from error
    if not text.endswith("\n"):
        raise MultiselectCommunicatorError(f"a line without an end: {text[:64]!r}")
    return text[:-1]


MultiselectCommunicator.read = _read_line  # type: ignore[method-assign, assignment]  # its makers are many, and all the library's


class Negotiator(MultiselectClient):
    """The side that asks."""

    async def select_one_of(
        self, protocols: Sequence[TProtocol], communicator: IMultiselectCommunicator, negotiate_timeout: int = 30
    ) -> TProtocol:
        """The first of `protocols` that the other side speaks; MultiselectClientError when there is none in time."""
        with trio.move_on_after(negotiate_timeout):
            try:
                return await self._select(protocols, communicator)
            except MultiselectCommunicatorError as error:
                raise MultiselectClientError(f"the stream broke ({error})") from error
        raise MultiselectClientError(f"no answer within {negotiate_timeout} s")

    async def _select(self, protocols: Sequence[TProtocol], communicator: IMultiselectCommunicator) -> TProtocol:
        first, *others = protocols
        if not isinstance(communicator, MultiselectCommunicator):
            raise MultiselectClientError("nothing to negotiate on")
        try:
            await communicator.read_writer.write(_line(MULTISELECT_PROTOCOL_ID) + _line(first))
        except Exception as error:  # what stands below raises kinds of its own; all mean that the stream is gone
            raise MultiselectClientError(f"the stream broke ({error})") from error
        if (greeting := await communicator.read()) != MULTISELECT_PROTOCOL_ID:
            raise MultiselectClientError(f"it greets with {greeting[:64]!r}")
        if (answer := await communicator.read()) == first:
            return first
        if answer != PROTOCOL_NOT_FOUND_MSG:
            raise MultiselectClientError(f"it answers {answer[:64]!r} to {first}")
        for protocol in others:
            try:
                return await self.try_select(communicator, protocol)
            except ProtocolNotSupportedError:
                continue
        raise MultiselectClientError(f"protocols not supported: {', '.join(protocols)}")


def _line(text: str) -> bytes:
    return encode_delim(text.encode())
