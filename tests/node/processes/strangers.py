"""Those who come to a peer with bad intentions: a host of their own, raw bytes, and requests made to order."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio
from libp2p.custom_types import TProtocol
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX
from libp2p.utils.varint import encode_varint_prefixed

from node.clock import now_ms
from p2p import Channel, Host, open_host
from p2p.addresses import parse_peer
from p2p.netstream import NetByteStream
from wire.audit import UNSEEDED
from wire.canonical import Amount
from wire.errors import RemoteError
from wire.inference import Answer, Ask, Request, SignedRequest, sign_request
from wire.keys import NodeKey
from wire.network import Network
from wire.tensors import Tensor, tensor_set

from . import made
from .town import Fort

SECONDS = 20.0  # for one word of the peer under attack


@dataclass
class Stranger:
    """A peer of no standing, connected to the fort."""

    fort: Fort
    key: NodeKey
    host: Host

    @property
    def target(self) -> str:
        return self.fort.node.key.peer_id

    async def stream(self, protocol: str) -> NetByteStream:
        """A new stream to the fort, to write what one likes on."""
        ids = list(self.host.network.protocols(protocol))
        return await self.host._exchanges._fresh(self.target, protocol, ids)  # well-behaved bytes go by `exchange`

    def request(self, tier: str = "signed", tensors: Sequence[Tensor] | None = None, **changes: Any) -> SignedRequest:
        """A good request for the fort's model, but for `changes`; signed after they were made."""
        return make_request(self.fort, self.key, tier, tensors, **changes)

    async def ask(self, signed: SignedRequest, tensors: Sequence[Tensor] | None = None) -> tuple[Answer, list[Tensor]]:
        """Send a request as a client does; RemoteError when the fort declines."""
        given = [made.row()] if tensors is None else tensors
        async with self.host.exchange(self.target, "infer") as channel:
            await channel.send(Ask(request=signed, inputs=tuple(t.header for t in given)), given)
            answer = await channel.receive(Answer, timeout=SECONDS)
            return answer, await channel.receive_tensors(answer.outputs, timeout=SECONDS)

    async def gossip(self, topic: str, *payloads: bytes) -> None:
        """Say things on a topic as fast as the link takes them, on a stream of one's own, rightly signed."""
        inner = self.host._host  # a Pubsub would hold back what comes too fast
        protocol = TProtocol("/meshsub/1.1.0")
        stream = NetByteStream(await inner.new_stream(parse_peer(self.target), [protocol]))
        for payload in payloads:
            message = rpc_pb2.Message(
                data=payload,
                topicIDs=[self.fort.network.protocol(topic)],
                from_id=inner.get_id().to_bytes(),
                seqno=secrets.token_bytes(8),
            )
            message.signature = inner.get_private_key().sign(
                PUBSUB_SIGNING_PREFIX.encode() + message.SerializeToString()
            )
            message.key = inner.get_public_key().serialize()
            await stream.write(encode_varint_prefixed(rpc_pb2.RPC(publish=[message]).SerializeToString()))

    async def honest_question(self) -> None:
        """The fort still answers."""
        _, (output,) = await self.ask(self.request())
        assert output.header.shape == (1, 4)


def make_request(
    fort: Fort, key: NodeKey, tier: str = "signed", tensors: Sequence[Tensor] | None = None,
    network: Network | None = None, **changes: Any,
) -> SignedRequest:  # fmt: skip
    """A request to the fort, signed with `key` for `network`."""
    now = now_ms()
    fields: dict[str, Any] = {
        "nonce": secrets.token_bytes(32),
        "model": fort.model(),
        "tier": tier,
        "committee": 0,
        "seed": UNSEEDED,
        "inputs": tensor_set([made.row()] if tensors is None else tensors).hash(),
        "payer": key.address,
        "provider": fort.node.key.address,
        "max_price": Amount(0),
        "issued_ms": now,
        "deadline_ms": now + 30_000,
    }
    return sign_request(Request(**fields | changes), key, (network or fort.network).domain)


@asynccontextmanager
async def stranger(fort: Fort, key: NodeKey | None = None) -> AsyncIterator[Stranger]:
    """A connected stranger."""
    key = key or NodeKey.generate()
    async with open_host(key, fort.network, listen=()) as host:
        await host.connect([fort.node.address])
        yield Stranger(fort, key, host)


async def drain(stream: NetByteStream) -> bytes:
    """All that the fort says on a stream until it ends it; fails when it keeps it open."""
    said = b""
    with trio.fail_after(SECONDS):
        try:
            while data := await stream.read(65536):
                said += data
        except trio.BrokenResourceError:
            pass  # a reset is an end like another
    return said


async def declined(channel: Channel) -> RemoteError:
    """The error that the fort reports."""
    try:
        await channel.receive(Answer, timeout=SECONDS)
    except RemoteError as error:
        return error
    raise AssertionError("the fort gave an answer")
