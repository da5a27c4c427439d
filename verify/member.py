"""A verifier's side of one request: commit to its own outputs, then judge the provider's. One request a machine.

One request, one vote. Asked again with the same receipt it repeats its answer to the letter; asked with another receipt
of the same provider it refuses, and has in hand both signatures of a provider that answered one request twice.

A generator's answer it is shown first, but for the scores, and commits to its own scores: see `sealing` and `forcing`.
"""

from __future__ import annotations

from collections.abc import Sequence

from wire.auditing import Appeal
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

from .agreement import compare_outputs
from .appeal import judged_until
from .ballots import Sitting
from .distance import INCOMPARABLE
from .openings import Outputs, place_of
from .receipts import check_binding, check_outputs
from .sealing import sealed, shown_hash
from .tolerance import Comparison


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

    def __init__(
        self, network: Network, key: NodeKey, request: SignedRequest, now_ms: int, appeal: Appeal | None = None
    ) -> None:
        asked = request.request
        try:
            self.deadline_ms = judged_until(network, request, appeal)
        except RecordError as error:
            raise RemoteError(ErrorCode.UNSUPPORTED, str(error), retry=False) from error
        if not request.is_signed(network.domain):
            raise RemoteError(ErrorCode.REFUSED, "the request is not signed by its payer for this network", retry=False)
        if now_ms >= self.deadline_ms:
            raise RemoteError(ErrorCode.DEADLINE, "the request's deadline has passed")
        if asked.issued_ms > now_ms + CLOCK_SKEW_MS:
            raise RemoteError(ErrorCode.REFUSED, "the request is from the future: set your clock")
        if asked.deadline_ms - asked.issued_ms > MAX_REQUEST_LIFE_MS:
            raise RemoteError(ErrorCode.REFUSED, f"the request lives longer than {MAX_REQUEST_LIFE_MS} ms", retry=False)
        try:
            sitting = Sitting.of(network, request)
        except RecordError as error:
            raise RemoteError(ErrorCode.REFUSED, str(error), retry=False) from error
        self.committee = sitting.committee
        if appeal is None and not network.is_live(asked.issued_ms, now_ms):
            text = f"the request is of epoch {self.committee.epoch}, which has not begun or is over: ask anew"
            raise RemoteError(ErrorCode.REFUSED, text, retry=False)
        index = self.committee.index_of(key.public)
        if index is None:
            raise RemoteError(ErrorCode.REFUSED, "this verifier was not drawn for this request", retry=False)
        self.network, self.request, self.index = sitting.network, request, index
        self.digest = sitting.request
        self._key = key
        self._manifest: Manifest | None = None
        self._shown: SignedReceipt | None = None
        self._found: tuple[Tensor, ...] = ()
        self._own: Outputs | None = None  # what of it is sealed
        self._own_hash = self._salt = b""
        self._committed: Committed | None = None
        self._receipt: SignedReceipt | None = None
        self._judged: Judged | None = None

    def show(self, receipt: SignedReceipt, outputs: Sequence[Tensor], scores: bytes) -> None:
        """A generator's answer, as far as its check needs it, from a convener: to be said before it is executed.

        `scores` is the hash of what is not shown. RemoteError when that is not what the provider signed for this
        request, so that nobody else decides what this verifier commits on.
        """
        self._check_receipt(receipt)
        if shown_hash(outputs, scores) != receipt.receipt.outputs:
            raise RemoteError(ErrorCode.WRONG_DATA, "these are not the outputs that the provider signed", retry=False)
        if self._shown is not None and self._shown.receipt != receipt.receipt:
            raise ProviderEquivocation(self._shown, receipt)
        self._shown = receipt

    def commit(self, manifest: Manifest, outputs: Sequence[Tensor], salt: bytes) -> Committed:
        """Seal the outputs of this verifier's own execution with 32 random bytes; abstains where the network has no
        tolerance for the model's profile. LocalMemberError when it has committed already; RecordError for an output
        that contradicts its own header."""
        if len(salt) != 32:
            raise LocalMemberError("a salt is 32 random bytes")
        if content_hash(encode(manifest)) != self.request.request.model:
            raise LocalMemberError("that is the manifest of another model than was asked")
        if (manifest.interface == "generate") != (self._shown is not None):
            raise LocalMemberError("a generator's answer is shown before its check, and no other's")
        own = sealed(manifest, outputs)
        if self.network.tolerance(manifest.profile) is None:
            return self.abstain(f"network {self.network.name} has no tolerance for profile {manifest.profile}")
        own_hash = tensor_set(own.tensors).hash()
        committed = self._commit_to(commitment(self._key.public, self.digest, own_hash, own.root, salt), "")
        self._manifest, self._found = manifest, tuple(outputs)
        self._own, self._own_hash, self._salt = own, own_hash, salt
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
        self._check_receipt(receipt)
        known = self._receipt or self._shown
        if known is not None and known.receipt != receipt.receipt:
            raise ProviderEquivocation(known, receipt)
        if self._judged is not None:
            return self._judged
        if now_ms >= self.deadline_ms:
            raise RemoteError(ErrorCode.DEADLINE, "the request's deadline has passed")
        shapes, content = check_outputs(self._manifest, receipt, outputs)
        if not content.ok:
            raise RemoteError(ErrorCode.WRONG_DATA, content.detail, retry=False)
        bound = (shapes, *check_binding(self.network, self._manifest, self.request, receipt))
        broken = next((c for c in bound if not c.ok), None)
        tolerance = self.network.tolerance(self._manifest.profile)
        comparison = Comparison(False, INCOMPARABLE, shapes.detail)
        if shapes.ok:
            comparison = compare_outputs(self._manifest, self._found, outputs, tolerance or 0.0)
        accept = broken is None and comparison.agrees
        reason = f"{broken.name}: {broken.detail}" if broken else comparison.reason
        self._judged = self._vote(receipt, Verdict.ACCEPT if accept else Verdict.REJECT, comparison.distance, reason)
        self._receipt = receipt
        self._own, self._found = None, ()  # they may be 64 MiB, and have said all they had to
        return self._judged

    def _check_receipt(self, receipt: SignedReceipt) -> None:
        if receipt.receipt.provider != self.request.request.provider or not receipt.is_signed(self.network.domain):
            text = "the receipt is not signed by the provider that was asked"
            raise RemoteError(ErrorCode.REFUSED, text, retry=False)
        if receipt.receipt.request != self.digest:
            raise RemoteError(ErrorCode.REFUSED, "the receipt answers another request", retry=False)

    def _vote(self, receipt: SignedReceipt, verdict: Verdict, distance: int, reason: str) -> Judged:
        domain, committee = self.network.domain, self.committee
        digest = receipt.receipt.digest(domain)
        vote = Vote(receipt=digest, committee=committee.root, epoch=committee.epoch, verdict=verdict)
        assert self._own is not None
        same = self._own_hash == receipt.receipt.outputs
        opening = None if same else self._own.opened(place_of(digest, self._key.public, len(self._own)))
        return Judged(
            reveal=Reveal(
                outputs=self._own_hash, root=self._own.root, salt=self._salt, distance=distance, opening=opening
            ),
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
