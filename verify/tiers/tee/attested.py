"""What a vendor's hardware was found to say: one shape for every kind, so that one policy can judge them all."""

from __future__ import annotations

from dataclasses import dataclass

from wire.attestation import TeeKind
from wire.errors import RecordError

Register = tuple[str, bytes]  # its name as the vendor's documents have it, and what stands in it


class BadQuote(RecordError):
    """The evidence does not hold: not the vendor's, damaged, expired at the time asked about, or no evidence at all."""


@dataclass(frozen=True, slots=True)
class Attested:
    """A quote that holds at a given time. Nothing here says whether it is acceptable: see `teepolicy`.

    `measurement` is what a policy names; `registers` are the parts of it. Times are seconds since 1970, UTC.
    """

    kind: TeeKind
    maker: str  # "an Intel TDX quote"
    measurement: bytes
    registers: tuple[Register, ...]
    report_data: bytes  # what the caller had signed; 64 bytes where it was ours
    debug: bool  # memory can be read from outside
    good_from_s: int  # of the certificates and the collateral, all at once
    good_until_s: int
    tcb: str = ""  # the vendor's verdict on firmware and microcode, in its word; "" where it gives none
    tcb_date: str = ""
    advisories: tuple[str, ...] = ()
    levels: tuple[int, ...] = ()  # of firmware, where the vendor leaves the verdict to us
    traits: tuple[str, ...] = ()  # of the platform: what a strict policy has to allow by name
    quoted_ms: int | None = None  # when it was made, where the vendor signs that too
    unchecked: tuple[str, ...] = ()  # what a reader would expect, and is not checked
