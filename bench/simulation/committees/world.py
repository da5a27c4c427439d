"""A network of 1,000 peers on one seed: who they are, where they are, what they hold, and what they sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from verify.committee import Committee, committee_for
from wire.audit import UNSEEDED
from wire.canonical import Amount, encode
from wire.cid import content_hash
from wire.inference import (
    Backend,
    Receipt,
    Request,
    Runtime,
    SignedReceipt,
    SignedRequest,
    Usage,
    sign_receipt,
    sign_request,
)
from wire.keys import NodeKey
from wire.manifest import File, Manifest
from wire.network import Network, Profile, Verifier
from wire.tensors import TensorSpec

from .words import Answer

START_MS = 1_800_000_000_000
LIFE_MS = 60_000  # a request's, as `hallmark infer` asks
PEERS = 1_000  # the one who asks and the one who answers among them
DEAD, SLOW = 0.02, 0.05  # shares of the honest verifiers
NEAR_US, ACROSS_US = 4_000, 80_000  # one way, to a neighbour and along the side of the square


@dataclass(frozen=True, slots=True)
class Site:
    """A peer: its key and weight, its place in the square, and what it is when it is honest."""

    index: int
    key: NodeKey
    weight: int
    x: float
    y: float
    speed: float
    dead: bool
    slow: bool


class World:
    """`stakes`: "equal", as the network file has them, or "unequal" (Pareto's, of exponent 1.2)."""

    def __init__(self, seed: int, peers: int = PEERS, stakes: str = "equal") -> None:
        self.seed, self.stakes = seed, stakes
        rng = Random(f"world {seed} {peers} {stakes}")
        self.sites = tuple(self._site(rng, i) for i in range(peers - 2))
        self.payer, self.provider = self._key("payer"), self._key("provider")
        self._rank = rng.sample(range(peers - 2), peers - 2)
        self._by_key = {site.key.public: site for site in self.sites}
        self._distances: dict[tuple[int, int], float] = {}

    def _key(self, label: str) -> NodeKey:
        return NodeKey(content_hash(f"{self.seed} {label}".encode()))

    def _site(self, rng: Random, index: int) -> Site:
        fate = rng.random()
        return Site(
            index,
            self._key(f"verifier {index}"),
            1 if self.stakes == "equal" else min(1000, int(10 * rng.paretovariate(1.2))),
            rng.random(),
            rng.random(),
            rng.lognormvariate(0, 0.3),
            fate < DEAD,
            DEAD <= fate < DEAD + SLOW,
        )

    @cached_property
    def network(self) -> Network:
        """The registry: everybody but the two who ask and answer."""
        return Network(
            name="simulated",
            chain_id=31337,
            contract=content_hash(b"contract")[:20],
            epoch=1,
            beacon=content_hash(f"beacon {self.seed}".encode()),
            committee_size=16,
            quorum_numerator=2,
            quorum_denominator=3,
            verifiers=tuple(Verifier(key=site.key.public, weight=site.weight) for site in self.sites),
            profiles=(Profile(name="fp32", tolerance=1e-5),),
        )

    def site(self, public: bytes) -> Site:
        """Whose key this is."""
        return self._by_key[public]

    def adversary(self, share: float) -> frozenset[int]:
        """Who is in one adversary's hands: as many as hold `share` of the stake, and with more stake no other ones."""
        most, held, taken = share * sum(site.weight for site in self.sites) + 1e-6, 0, list[int]()
        for i in self._rank:
            if held + self.sites[i].weight > most:
                if self.stakes == "equal":
                    break
                continue
            held += self.sites[i].weight
            taken.append(i)
        return frozenset(taken)

    def one_way_us(self, a: int, b: int) -> float:
        """How long a message travels between two sites when nothing happens to it."""
        pair = (min(a, b), max(a, b))
        if pair not in self._distances:
            one, other = self.sites[a], self.sites[b]
            far = ((one.x - other.x) ** 2 + (one.y - other.y) ** 2) ** 0.5
            factor = Random(f"pair {self.seed} {pair}").lognormvariate(0, 0.25)
            self._distances[pair] = (NEAR_US + ACROSS_US * far) * factor
        return self._distances[pair]

    @cached_property
    def manifest(self) -> Manifest:
        """The one model that is asked."""
        spec = TensorSpec(name="scores", datatype="FP32", shape=("n", 3))
        return Manifest(
            name="simulated",
            version="1.0.0",
            publisher=self.provider.address,
            files=(File(path="model.onnx", blob=bytes(32), size=1, media_type="application/onnx"),),
            interface="tensors",
            inputs=(spec,),
            outputs=(spec,),
            task="classification",
            tags=(),
            licence="MIT",
            royalty_bps=0,
            opset=21,
            profile="fp32",
            description="",
            previous=None,
            created_ms=START_MS,
        )

    def request(self, size: int, index: int) -> SignedRequest:
        """The index-th request for a committee of `size`."""
        request = Request(
            nonce=content_hash(f"nonce {self.seed} {size} {index}".encode()),
            model=content_hash(encode(self.manifest)),
            tier="quorum",
            committee=size,
            seed=UNSEEDED,
            inputs=content_hash(b"inputs"),
            payer=self.payer.address,
            provider=self.provider.address,
            max_price=Amount(100),
            issued_ms=START_MS,
            deadline_ms=START_MS + LIFE_MS,
        )
        return sign_request(request, self.payer, self.network.domain)

    def committee(self, request: SignedRequest) -> Committee:
        """Whom the product draws for it."""
        return committee_for(self.network, request.request)

    def receipt(self, request: SignedRequest, answer: Answer, price: int, finished_ms: int) -> SignedReceipt:
        """What the provider signs for this answer."""
        asked = request.request
        backend = Backend(name="onnxruntime", version="1", device="cpu", compute_capability="")
        receipt = Receipt(
            chain_id=self.network.chain_id,
            request=asked.digest(self.network.domain),
            nonce=asked.nonce,
            payer=asked.payer,
            provider=asked.provider,
            model=asked.model,
            inputs=asked.inputs,
            outputs=answer.hash,
            runtime=Runtime(profile="fp32", backend=backend, together=1),
            tier=asked.tier,
            usage=Usage(units=1, tokens_in=0, tokens_out=0, compute_us=1),
            price=Amount(price),
            started_ms=START_MS,
            finished_ms=finished_ms,
        )
        return sign_receipt(receipt, self.provider, self.network.domain)


def weight_of(world: World, committee: Committee, who: Sequence[int] | frozenset[int]) -> int:
    """What the places of `who` count together."""
    return committee.weight([i for i, place in enumerate(committee.places) if world.site(place.key).index in who])
