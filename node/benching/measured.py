"""What the direct loop's process says of one batch size."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from wire.bounds import U32, U63
from wire.canonical import Record


class Measured(Record, tag="measured", tag_field="type"):
    """One batch size; rates in thousandths of an item, or token, a second. All zero when it cannot run: see `why`."""

    batch: U32
    runs: U63
    millirate: U63
    mean_millirate: U63
    millitokens: U63
    p50_us: U63
    p99_us: U63
    max_us: U63
    why: Annotated[str, Meta(max_length=4096)]
