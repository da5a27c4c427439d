"""What can make a quote on this machine: found, named, and chosen by the setting `attester`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from wire.attestation import Collateral, TeeKind

if TYPE_CHECKING:
    from pathlib import Path


class AttesterFailed(Exception):
    """No quote came; the text says why."""


class Attester(Protocol):
    """Makes quotes. It blocks for as long as the hardware takes: called in a thread, one at a time."""

    @property
    def kind(self) -> TeeKind: ...
    @property
    def name(self) -> str: ...

    def quote(self, report_data: bytes) -> tuple[bytes, Collateral | None]:
        """A quote over 64 bytes, with the vendor's words on it where the machine has them; AttesterFailed if none."""
        ...


@dataclass(frozen=True)
class Found:
    """What there is, or why there is nothing: a sentence an interface."""

    attester: Attester | None
    looked: tuple[str, ...]


def find_attester(wanted: str, key: Path, measure: Callable[[], bytes]) -> Found:
    """The attester that the setting names: `none`, `dev` (with its key in a file), or `auto` for the hardware's.

    `measure` takes the runtime's measurement, a fifth of a second: for `dev` alone, which has no other.
    """
    if wanted == "none":
        return Found(None, ("the setting attester is none",))
    if wanted == "dev":
        from .dev import open_dev

        return Found(open_dev(key, measure()), ())
    from .configfs import find_configfs
    from .nsm import find_nsm

    looked = []
    for found in (find_configfs(), find_nsm()):
        if not isinstance(found, str):
            return Found(found, ())
        looked.append(found)
    return Found(None, tuple(looked))
