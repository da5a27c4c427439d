"""What the node and a proof worker say to each other over their socket pair. Files lie in the worker's folder."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from wire.bounds import MAX_TENSORS, U63, Line, Name
from wire.canonical import Record
from wire.circuit import MAX_LOGROWS, Visibility


class Begin(Record, tag="begin", tag_field="type"):
    """The first message: bytes of memory that it may add, bytes of a file that it may write, seconds of processor time,
    threads."""

    memory: U63
    disk: U63
    seconds: U63
    threads: Annotated[int, Meta(ge=1, le=255)]


class Settle(Record, tag="settle", tag_field="type"):
    """GRAPH, INPUT → SETTINGS: the smallest circuit that takes the input. `sizes` are those of named dims."""

    visibility: Visibility
    sizes: Annotated[tuple[tuple[Name, U63], ...], Meta(max_length=MAX_TENSORS)]


class MakeSrs(Record, tag="srs", tag_field="type"):
    """→ SRS, from a secret that is forgotten at once; whether it was, nobody else knows."""

    logrows: Annotated[int, Meta(ge=1, le=MAX_LOGROWS)]


class MakeKeys(Record, tag="keys", tag_field="type"):
    """GRAPH, SETTINGS, SRS → CIRCUIT, VERIFICATION_KEY, PROVING_KEY."""


class Prove(Record, tag="prove", tag_field="type"):
    """INPUT, CIRCUIT, VERIFICATION_KEY, PROVING_KEY, SRS → WITNESS, PROOF."""


class Verify(Record, tag="verify", tag_field="type"):
    """PROOF, SETTINGS, VERIFICATION_KEY, SRS → whether it holds. An SRS of two rows will do."""


Task = Settle | MakeSrs | MakeKeys | Prove | Verify
FromNode = Begin | Task


class Started(Record, tag="started", tag_field="type"):
    """It is locked in: what proves, and what holds it."""

    system: Name
    sandbox: Annotated[tuple[Line, ...], Meta(max_length=32)]


class Done(Record, tag="done", tag_field="type"):
    """A task was done."""


class Failed(Record, tag="failed", tag_field="type"):
    """It was not; the worker is ready for the next."""

    message: Annotated[str, Meta(max_length=4096)]


FromWorker = Started | Done | Failed
