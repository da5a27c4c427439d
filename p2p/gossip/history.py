"""What was seen, so that nothing is taken twice; and the latest messages, for those who ask. A machine without I/O."""

from __future__ import annotations

from collections import deque

from .. import bounds


class Seen:
    """Ids that came in the last two minutes, in three generations of one minute each."""

    def __init__(self) -> None:
        self._generations: deque[set[bytes]] = deque([set()], maxlen=bounds.SEEN_GENERATIONS)
        self._since = -bounds.SEEN_GENERATION

    def __contains__(self, message_id: bytes) -> bool:
        for generation in self._generations:  # noqa: SIM110 — `any` takes three times as long, and each copy asks
            if message_id in generation:
                return True
        return False

    def add(self, message_id: bytes, now: float) -> None:
        """Remember it; in a flood of ids the oldest generation is forgotten early."""
        newest = self._generations[-1]
        if now >= self._since + bounds.SEEN_GENERATION or len(newest) >= bounds.SEEN // bounds.SEEN_GENERATIONS:
            newest, self._since = set(), now
            self._generations.append(newest)
        newest.add(message_id)

    def forget(self, message_id: bytes) -> None:
        """As if it had never come."""
        for generation in self._generations:
            generation.discard(message_id)

    def __len__(self) -> int:
        return sum(map(len, self._generations))


class Recent:
    """Messages of the last heartbeats: all are sent to who asks, and those of the latest are offered."""

    def __init__(self) -> None:
        self._windows: deque[dict[str, list[bytes]]] = deque([{}], maxlen=bounds.HISTORY)
        self._messages: dict[bytes, tuple[str, bytes]] = {}
        self._bytes = 0

    def keep(self, topic: str, message_id: bytes, data: bytes) -> None:
        """Hold a message until HISTORY heartbeats have passed, or newer ones need its room."""
        if message_id in self._messages:
            return
        self._messages[message_id] = topic, data
        self._windows[-1].setdefault(topic, []).append(message_id)
        self._bytes += len(data)
        while self._bytes > bounds.HISTORY_BYTES:
            self._drop(next(iter(self._messages)))

    def get(self, message_id: bytes) -> tuple[str, bytes] | None:
        """The topic and the bytes of a message that is still held."""
        return self._messages.get(message_id)

    def offered(self) -> dict[str, list[bytes]]:
        """Ids to offer, by topic, newest first."""
        found: dict[str, list[bytes]] = {}
        for window in list(self._windows)[: -bounds.HISTORY_OFFERED - 1 : -1]:
            for topic, ids in window.items():
                held = [message_id for message_id in reversed(ids) if message_id in self._messages]
                if held:
                    found.setdefault(topic, []).extend(held)
        return found

    def shift(self) -> None:
        """A heartbeat has passed."""
        if len(self._windows) == bounds.HISTORY:
            for ids in self._windows[0].values():
                for message_id in ids:
                    self._drop(message_id)
        self._windows.append({})

    def _drop(self, message_id: bytes) -> None:
        if (held := self._messages.pop(message_id, None)) is not None:
            self._bytes -= len(held[1])
