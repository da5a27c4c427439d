"""Serving a protocol: one handler call an exchange, again and again on one stream, and no failure that escapes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

from wire.errors import ErrorCode, RecordError, RemoteError

from . import bounds
from .blobs.uploads import Uploads
from .streams import Channel

log = logging.getLogger(__name__)

Handler = Callable[[Channel], Awaitable[None]]
_NOT_SAID = (ErrorCode.LINK_LOST, ErrorCode.TIMEOUT)  # conclusions of ours; there is nobody left to tell


class Server:
    """Runs the handlers of incoming streams within the bounds per peer and protocol."""

    def __init__(self, uploads: Uploads | None = None) -> None:
        self._uploads = uploads or Uploads()
        self._open: Counter[tuple[str, str]] = Counter()

    async def serve(self, protocol: str, handler: Handler, channel: Channel) -> None:
        """Serve one stream to its end. Raises nothing."""
        key = (channel.peer, protocol)
        if self._open[key] >= bounds.STREAMS_PER_PROTOCOL:
            text = f"you hold {bounds.STREAMS_PER_PROTOCOL} streams of {protocol} already; wait for one to end"
            await _tell(channel, RemoteError(ErrorCode.OVERLOADED, text))
            await channel.dismiss()
            return
        self._open[key] += 1
        try:
            while await channel.waiting(timeout=bounds.IDLE):
                before = channel.received
                await self._exchange(protocol, handler, channel)
                if not channel.usable:
                    await channel.dismiss()
                    return
                if channel.received == before:  # it answered without asking: it would be called for ever
                    break
            await channel.close()
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
            await channel.reset()

    async def _exchange(self, protocol: str, handler: Handler, channel: Channel) -> None:
        try:
            with self._uploads.beside(protocol):
                await handler(channel)
        except Exception as raised:  # any failure of a handler is this exchange's alone
            error = sole(raised)
            if isinstance(error, RecordError):
                error = RemoteError(ErrorCode.BAD_RECORD, str(error), retry=False)
            elif not isinstance(error, RemoteError):
                log.error("serving %s to %s failed", protocol, channel.peer, exc_info=raised)
                error = RemoteError(ErrorCode.INTERNAL, "this peer failed inside; its own log says why")
            if error is not channel.error:
                log.debug("%s refused to %s: %s", protocol, channel.peer, error)
                await _tell(channel, error)


async def _tell(channel: Channel, error: RemoteError) -> None:
    if error.code not in _NOT_SAID:
        with suppress(RemoteError):
            await channel.send_error(error)


def sole(error: Exception) -> Exception:
    """The one error inside nested groups of one, which nurseries wrap around it; else `error` itself."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
