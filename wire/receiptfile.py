"""The receipt file: everything a stranger needs to check one answer offline, in one canonical record.

It holds the outputs themselves, so that a changed byte is noticed, but of the inputs only their hashes: what was asked
may be private, and whoever holds it can show that it fits.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from .bounds import MAX_PLACES, MAX_TENSOR_BYTES, MAX_TENSORS, U63, Address, Name
from .canonical import Record
from .certificate import Certificate
from .inference import SignedReceipt, SignedRequest
from .manifest import SignedManifest
from .tensors import Headers, TensorSet
from .vote import Ballot

MAX_RECEIPT_FILE = MAX_TENSOR_BYTES + 4 * 1024 * 1024


class ReceiptFile(Record):
    """One answer with its whole proof. `ballots` are the committee's own words, kept as evidence."""

    format: Annotated[int, Meta(ge=2, le=2)]
    network: Name
    chain_id: U63
    contract: Address
    manifest: SignedManifest
    request: SignedRequest
    receipt: SignedReceipt
    certificate: Certificate
    ballots: Annotated[tuple[Ballot, ...], Meta(max_length=MAX_PLACES)]
    inputs: TensorSet
    headers: Headers  # of the outputs
    outputs: Annotated[tuple[bytes, ...], Meta(max_length=MAX_TENSORS)]
