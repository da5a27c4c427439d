"""The words of mDNS peer discovery as libp2p specifies it, for one network. Functions of bytes, without I/O.

A peer answers a question for `_p2p._udp.local` with a pointer to a random name of its own and that name's TXT, which
holds `dnsaddr=` and a whole address as often as needed. Ours has `network=` too, so that others' peers are left alone.
The packets themselves are the library's.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zeroconf import DNSIncoming, DNSOutgoing, DNSPointer, DNSQuestion, DNSText  # type: ignore[attr-defined]
from zeroconf.const import _CLASS_IN, _FLAGS_AA, _FLAGS_QR_QUERY, _FLAGS_QR_RESPONSE, _TYPE_PTR, _TYPE_TXT

from wire.errors import RemoteError

from .. import bounds
from ..addresses import read_address

SERVICE = "_p2p._udp.local."


@dataclass(frozen=True, slots=True)
class Heard:
    """What one packet says: whether it asks who is there, and who is."""

    asks: bool
    peers: tuple[tuple[str, tuple[str, ...]], ...]  # ids, each with its addresses, without `/p2p`


def question() -> bytes:
    """Who is there?"""
    packet = DNSOutgoing(_FLAGS_QR_QUERY)
    packet.add_question(DNSQuestion(SERVICE, _TYPE_PTR, _CLASS_IN))
    return bytes(packet.packets()[0])


class Answerer:
    """Answers for one peer."""

    def __init__(self, peer_id: str, network: str) -> None:
        self._peer_id, self._network = peer_id, network
        self._name = f"{secrets.token_hex(16)}.{SERVICE}"

    def answer(self, addresses: Sequence[str]) -> bytes:
        """We are here, at these addresses."""
        texts = [f"network={self._network}", *(f"dnsaddr={address}/p2p/{self._peer_id}" for address in addresses)]
        body = b"".join(bytes([len(text)]) + text for text in map(str.encode, texts) if len(text) < 256)
        packet = DNSOutgoing(_FLAGS_QR_RESPONSE | _FLAGS_AA)
        packet.add_answer_at_time(DNSPointer(SERVICE, _TYPE_PTR, _CLASS_IN, bounds.MDNS_LIFE, self._name), 0)
        packet.add_additional_answer(DNSText(self._name, _TYPE_TXT, _CLASS_IN, bounds.MDNS_LIFE, body))
        return bytes(packet.packets()[0])

    def read(self, data: bytes) -> Heard:
        """Any bytes give what they say of this network's other peers, which may be nothing."""
        try:
            packet = DNSIncoming(data)
            if not packet.valid:
                return Heard(False, ())
            asks = any(q.name.lower() == SERVICE and q.type == _TYPE_PTR for q in packet.questions)
            texts = [record.text for record in packet.answers() if isinstance(record, DNSText)]
        except Exception:  # the library's parser meets any bytes, and says of some only how it failed on them
            return Heard(False, ())
        return Heard(asks, tuple(found for text in texts if (found := self._peer(text)) is not None))

    def _peer(self, text: bytes) -> tuple[str, tuple[str, ...]] | None:
        lines = list(_lines(text))
        if f"network={self._network}" not in lines:
            return None
        peer_id, addresses = None, []
        for line in lines[: 2 * bounds.ADDRESSES]:
            if line.startswith("dnsaddr="):
                try:
                    peer_id, address = read_address(line.removeprefix("dnsaddr="), peer_id)
                except RemoteError:
                    continue
                addresses.append(str(address))
        return (peer_id, tuple(addresses)) if peer_id is not None and peer_id != self._peer_id else None


def _lines(text: bytes) -> Iterator[str]:
    """The strings of a TXT, each with its length before it."""
    while text:
        yield text[1 : 1 + text[0]].decode("utf-8", "replace")
        text = text[1 + text[0] :]
