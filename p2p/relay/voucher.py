"""A relay's signed word that it holds a reservation for a peer, as other implementations read it.

Source: circuit relay v2, "Reservation Vouchers"; the envelope is RFC 0002 of libp2p's.
"""

from __future__ import annotations

from libp2p.crypto.keys import PrivateKey
from libp2p.peer.envelope import Envelope, make_unsigned
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb import circuit_pb2 as pb

DOMAIN = "libp2p-relay-rsvp"
PAYLOAD_TYPE = bytes([0x03, 0x02])


def voucher(key: PrivateKey, relay: str, peer: str, expires: int) -> bytes:
    """The envelope; `expires` is in Unix seconds."""
    payload = pb.Voucher(
        relay=ID.from_string(relay).to_bytes(), peer=ID.from_string(peer).to_bytes(), expiration=expires
    ).SerializeToString()
    signature = key.sign(make_unsigned(DOMAIN, PAYLOAD_TYPE, payload))
    return Envelope(key.get_public_key(), PAYLOAD_TYPE, payload, signature).marshal_envelope()
