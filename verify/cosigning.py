"""A certificate made small, as a machine without I/O: nonces in, then parts, and a signature of 64 bytes out.

Each word is checked when it comes, so that who spoils it is named; then nothing is lost but time, since the certificate
at hand stays as good as it was.
"""

from __future__ import annotations

from wire.certificate import QuorumEvidence
from wire.errors import RecordError
from wire.inference import SignedRequest
from wire.keys import NodeKey
from wire.network import Network
from wire.vote import SignedVote, Verdict

from .committee import Committee, committee_for
from .musig import SecretNonce, Signing, add_nonces, group
from .tiers.quorum import signers_in


class Cosigning:
    """One signature under way. `places` are those that sign, in the committee's order."""

    def __init__(self, committee: Committee, places: tuple[int, ...], message: bytes) -> None:
        """RecordError when these places are no group."""
        self.places = places
        self._keys = dict(zip(places, (committee.places[i].key for i in places), strict=True))
        self._group = group(tuple(self._keys.values()))
        self._message = message
        self._nonces: dict[int, bytes] = {}
        self._parts: dict[int, bytes] = {}
        self._signing: Signing | None = None

    def nonce(self, place: int, nonce: bytes) -> None:
        """A member's public nonce. RecordError when it is none, or it gave one already."""
        if place not in self._keys or place in self._nonces:
            raise RecordError("a nonce that nobody waits for")
        add_nonces([nonce])
        self._nonces[place] = nonce
        if len(self._nonces) == len(self._keys):
            everyone = add_nonces([self._nonces[i] for i in self.places])
            self._signing = Signing(self._group, self._message, everyone)

    @property
    def nonces(self) -> bytes | None:
        """What every member waits for; None while one is missing."""
        return self._signing.nonces if self._signing else None

    def part(self, place: int, part: bytes) -> None:
        """A member's part of the signature. RecordError when it does not fit, or comes out of turn."""
        if self._signing is None or place not in self._keys or place in self._parts:
            raise RecordError("a part that nobody waits for")
        if not self._signing.fits(part, self._nonces[place], self._keys[place]):
            raise RecordError("its part does not fit its nonce and the vote")
        self._parts[place] = part

    @property
    def missing(self) -> tuple[int, ...]:
        """The places whose part is not here."""
        return tuple(place for place in self.places if place not in self._parts)

    def finish(self) -> bytes:
        """The signature of all, 64 bytes; RecordError while a part is missing."""
        if self._signing is None or self.missing:
            raise RecordError(f"the parts of {len(self.missing)} signers are missing")
        return self._signing.finish([self._parts[i] for i in self.places])


def compacted(evidence: QuorumEvidence, signature: bytes) -> QuorumEvidence:
    """The same evidence with its signers' one signature in the place of their aggregate."""
    return QuorumEvidence(
        committee=evidence.committee, epoch=evidence.epoch, signers=evidence.signers, form="musig2", aggregate=signature
    )


def open_nonce(network: Network, key: NodeKey, request: SignedRequest, vote: SignedVote, signers: bytes) -> SecretNonce:
    """A member's nonce for signing its own vote again, with those that `signers` names. RecordError says why not.

    Whatever is asked, it signs only what it has signed: its own signature on the vote is all that it goes by.
    """
    if not request.is_signed(network.domain):
        raise RecordError("the request is not signed by its payer for this network")
    committee = committee_for(network, request.request)
    places = signers_in(signers, len(committee.places))
    own = committee.index_of(key.public)
    if own is None or own not in places:
        raise RecordError("this verifier is not among these signers")
    said = vote.vote
    if (said.committee, said.epoch) != (committee.root, committee.epoch) or said.verdict is Verdict.ABSTAIN:
        raise RecordError("that is no verdict of this committee")
    if not vote.is_signed(key.public, network.domain):
        raise RecordError("this verifier has not signed that vote")
    return SecretNonce(key, said.digest(network.domain), group(tuple(committee.places[i].key for i in places)))
