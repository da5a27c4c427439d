"""What one proof has to state: these public numbers, of this circuit. Everything in it was computed or registered.

A prover's own file would carry the numbers a second time, in a readable form and inside the proof in hexadecimal, and
EZKL checks neither. So a prover's file is never used: the one that EZKL reads is written here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

from wire.cid import content_hash

from .fixedpoint import to_field

PROOF, SETTINGS, KEY, SRS = "proof.json", "settings.json", "vk.key", "srs"  # the files of one check


@dataclass(frozen=True)
class Statement:
    """The registered files, every input and output as a number of the circuit, and the proof's bytes."""

    settings: bytes
    key: bytes
    srs: bytes  # of two rows
    numbers: tuple[int, ...]
    proof: bytes

    @cached_property
    def files(self) -> dict[str, bytes]:
        """What EZKL reads, by name."""
        proof = {
            "protocol": None,
            "instances": [[to_field(number) for number in self.numbers]],
            "proof": list(self.proof),
            "hex_proof": None,
            "split": None,
            "pretty_public_inputs": None,
            "timestamp": None,
            "version": None,
        }
        return {SETTINGS: self.settings, KEY: self.key, SRS: self.srs, PROOF: json.dumps(proof).encode()}

    @cached_property
    def hash(self) -> bytes:
        """A name for it, 32 bytes."""
        return content_hash(b"".join(content_hash(data) for _, data in sorted(self.files.items())))
