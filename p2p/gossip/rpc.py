"""What neighbours tell each other, as values: no protobuf, no signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Message = tuple[str, bytes, bytes]
"""Topic, id, and the message as it goes over the wire, which nothing here looks into."""


@dataclass(slots=True)
class Rpc:
    """All that one peer tells another at once. Ids are bytes, topics text, a back-off is in seconds."""

    subscriptions: Sequence[tuple[bool, str]] = ()  # whether it takes part in the topic from now on
    messages: Sequence[Message] = ()
    graft: Sequence[str] = ()  # topics
    prune: Sequence[tuple[str, float]] = ()  # topic, and how long not to graft; 0 when the peer did not say
    ihave: Sequence[tuple[str, Sequence[bytes]]] = ()
    iwant: Sequence[bytes] = ()
    idontwant: Sequence[bytes] = ()
