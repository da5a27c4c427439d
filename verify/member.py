"""A verifier's side of one request: commit to its own outputs, then judge the provider's. One request a machine.

One request, one vote. Asked again with the same receipt it repeats its answer to the letter; asked with another receipt
of the same provider it refuses, and has in hand both signatures of a provider that answered one request twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from wire.bounds import CLOCK_SKEW_MS, MAX_REQUEST_LIFE_MS
from wire.canonical import encode
from wire.cid import content_hash
from wire.committee import Committed, Judged
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.inference import SignedReceipt, SignedRequest
from wire.keys import NodeKey
from wire.manifest import Manifest
from wire.network import Network
from wire.tensors import Tensor, tensor_set
from wire.text import one_line
from wire.vote import NOTHING, Ballot, Commit, Reveal, Verdict, Vote, commitment, sign_commit, sign_vote

from .committee import committee_for
from .receipts import check_binding, check_outputs
from .tolerance import compare


class LocalMemberError(Exception):
    """The driver broke the order: it commits once, after executing, and judges after that."""


class ProviderEquivocation(RemoteError):
    """The provider signed two different receipts for one request; both are here, as evidence."""

    def __init__(self, first: SignedReceipt, second: SignedReceipt) -> None:
        super().__init__(ErrorCode.REFUSED, "the provider signed two receipts for this request", retry=False)
        self.first = first
        self.second = second


class Member:
    """The machine; made when a convener sends a request. RemoteError says why this verifier will not sit on it."""

    def __init__(self, network: Network, key: NodeKey, request: SignedRequest, now_ms: int) -> None:
        asked = request.request
        if asked.tier != "quorum":
            raise RemoteError(ErrorCode.UNSUPPORTED, f"tier {asked.tier} has no committee", retry=False)
        if not request.is_signed(network.domain):
            raise RemoteError(ErrorCode.REFUSED, "the request is not signed by its payer for this network", retry=False)
        if now_ms >= asked.deadline_ms:
            raise RemoteError(ErrorCode.DEADLINE, "the request's deadline has passed")
        if asked.issued_ms > now_ms + CLOCK_SKEW_MS:
            raise RemoteError(ErrorCode.REFUSED, "the request is from the future: set your clock")
        if asked.deadline_ms - asked.issued_ms > MAX_REQUEST_LIFE_MS:
            raise RemoteError(ErrorCode.REFUSED, f"the request lives longer than {MAX_REQUEST_LIFE_MS} ms", retry=False)
        try:
            self.committee = committee_for(network, asked)
        except RecordError as error:
            raise RemoteError(ErrorCode.REFUSED, str(error), retry=False) from error
        index = self.committee.index_of(key.public)
        if index is None:
            raise RemoteError(ErrorCode.REFUSED, "this verifier was not drawn for this request", retry=False)
        self.network, self.request, self.index = network, request, index
        self.digest = asked.digest(network.domain)
        self._key = key
        self._manifest: Manifest | None = None
        self._own: tuple[Tensor, ...] = ()
        self._own_hash = self._salt = b""
        self._committed: Committed | None = None
        self._receipt: SignedReceipt | None = None
        self._judged: Judged | None = None

    def commit(self, manifest: Manifest, outputs: Sequence[Tensor], salt: bytes) -> Committed:
        """Seal the outputs of this verifier's own execution with 32 random bytes; abstains where the network has no
        tolerance for the model's profile. LocalMemberError when it has committed already; RecordError for an output
        that contradicts its own header."""
        if len(salt) != 32:
            raise LocalMemberError("a salt is 32 random bytes")
        if content_hash(encode(manifest)) != self.request.request.model:
            raise LocalMemberError("that is the manifest of another model than was asked")
        for tensor in outputs:
            tensor.check()
        if self.network.tolerance(manifest.profile) is None:
            return self.abstain(f"network {self.network.name} has no tolerance for profile {manifest.profile}")
        own_hash = tensor_set(outputs).hash()
        sealed = commitment(self._key.public, self.digest, own_hash, salt)
        committed = self._commit_to(sealed, "")
        self._manifest, self._own, self._own_hash, self._salt = manifest, tuple(outputs), own_hash, salt
        return committed

    def abstain(self, reason: str) -> Committed:
        """Neither accept nor accuse: no such model, overloaded, failed on this input, out of time."""
        return self._commit_to(NOTHING, reason)

    def _commit_to(self, sealed: bytes, reason: str) -> Committed:
        if self._committed is not None:
            raise LocalMemberError("this verifier has committed on this request already")
        committee = self.committee
        commit = Commit(request=self.digest, committee=committee.root, epoch=committee.epoch, commitment=sealed)
        signed = sign_commit(commit, self._key, self.network.domain)
        self._committed = Committed(commit=signed, reason=one_line(reason))
        return self._committed

    def judge(self, receipt: SignedReceipt, outputs: Sequence[Tensor], now_ms: int) -> Judged:
        """The vote on the provider's receipt and outputs, with the reveal.

        What the provider signed and got wrong is a REJECT. What it did not sign is no word of the provider's: then, and
        out of turn or time, RemoteError and no vote, so that nobody else can use this verifier's one vote up.
        """
        if self._committed is None:
            raise RemoteError(
                ErrorCode.REFUSED, "this verifier has not committed yet: wait for its commit", retry=False
            )
        if self._manifest is None:
            raise RemoteError(ErrorCode.REFUSED, "this verifier abstained on this request", retry=False)
        domain = self.network.domain
        if receipt.receipt.provider != self.request.request.provider or not receipt.is_signed(domain):
            raise RemoteError(
                ErrorCode.REFUSED, "the receipt is not signed by the provider that was asked", retry=False
            )
        if receipt.receipt.request != self.digest:
            raise RemoteError(ErrorCode.REFUSED, "the receipt answers another request", retry=False)
        if self._receipt is not None and self._judged is not None:
            if self._receipt.receipt != receipt.receipt:
                raise ProviderEquivocation(self._receipt, receipt)
            return self._judged
        if now_ms >= self.request.request.deadline_ms:
            raise RemoteError(ErrorCode.DEADLINE, "the request's deadline has passed")
        shapes, content = check_outputs(self._manifest, receipt, outputs)
        if not content.ok:
            raise RemoteError(ErrorCode.WRONG_DATA, content.detail, retry=False)
        bound = (shapes, *check_binding(self.network, self._manifest, self.request, receipt))
        broken = next((c for c in bound if not c.ok), None)
        tolerance = self.network.tolerance(self._manifest.profile)
        comparison = compare(self._own, outputs, tolerance or 0.0)
        accept = broken is None and comparison.agrees
        reason = f"{broken.name}: {broken.detail}" if broken else comparison.reason
        self._judged = self._vote(receipt, Verdict.ACCEPT if accept else Verdict.REJECT, comparison.distance, reason)
        self._receipt = receipt
        self._own = ()  # they may be 64 MiB, and have said all they had to
        return self._judged

    def _vote(self, receipt: SignedReceipt, verdict: Verdict, distance: int, reason: str) -> Judged:
        domain, committee = self.network.domain, self.committee
        digest = receipt.receipt.digest(domain)
        vote = Vote(receipt=digest, committee=committee.root, epoch=committee.epoch, verdict=verdict)
        return Judged(
            reveal=Reveal(outputs=self._own_hash, salt=self._salt, distance=distance),
            vote=sign_vote(vote, self._key, domain),
            reason=one_line(reason),
        )

    @property
    def receipt(self) -> SignedReceipt | None:
        """The receipt that was judged."""
        return self._receipt

    @property
    def ballot(self) -> Ballot | None:
        """All this verifier has said on the request, for the payer that asks; None before its commit."""
        if self._committed is None:
            return None
        said = self._judged
        return Ballot(
            member=self.index,
            commit=self._committed.commit,
            reveal=said.reveal if said else None,
            vote=said.vote if said else None,
        )
