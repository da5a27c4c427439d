"""Intel's words on kinds of platform, kept in the data directory: signed by Intel, so any peer may pass them on.

What is kept was checked with a quote first, so its age is Intel's word and not the giver's. An operator may lay a file
of a PCS client beside (`<platform>.json`): it is checked when it is used.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from verify.tiers.tee.attested import Attested, BadQuote
from verify.tiers.tee.dcap import collateral_platform, platform_of, read_collateral, read_intel
from wire.attestation import IntelCollateral, TeeKind
from wire.canonical import decode, encode
from wire.errors import RecordError
from wire.files import replace_file
from wire.jsontext import read_json

from ..bounds import COLLATERAL_SPARE_S, MAX_PLATFORMS

log = logging.getLogger("hallmark.attesting")

_KEPT, _LAID = ".collateral", ".json"
_MOST = 64 * 1024  # bytes of either file that are read


@dataclass(frozen=True)
class Kept:
    """One platform's collateral. Times as the file says; they count once it was checked with a quote."""

    platform: str
    collateral: IntelCollateral
    issued: str  # "2026-11-20"
    until: str


class Collaterals:
    """The folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> list[Kept]:
        """Everything that can be read, by platform."""
        paths = sorted(self._folder.glob("*")) if self._folder.is_dir() else []
        return [kept for path in paths if path.suffix in (_KEPT, _LAID) if (kept := _read(path)) is not None]

    def get(self, platform: str) -> IntelCollateral | None:
        """What is kept of a platform: what was checked once, or else what an operator laid there."""
        return next((kept.collateral for kept in self._of(platform)), None)

    def best(self, kind: TeeKind, quote: bytes, at_s: int) -> tuple[IntelCollateral, Attested] | None:
        """The newest with which the quote holds at `at_s`."""
        held = list(_holding(kind, quote, [kept.collateral for kept in self._of(platform_of(quote))], at_s))
        return max(held, key=lambda pair: pair[1].good_from_s, default=None)

    def _of(self, platform: str) -> list[Kept]:
        paths = [self._folder / f"{platform}{suffix}" for suffix in (_KEPT, _LAID)]
        return [kept for path in paths if path.exists() and (kept := _read(path)) and kept.platform == platform]

    def keep(self, collateral: IntelCollateral, found: Attested) -> bool:
        """Keep what a quote was just checked with, if it is newer; whether it was."""
        platform = collateral_platform(collateral)
        path = self._folder / f"{platform}{_KEPT}"
        known = _read(path) if path.exists() else None
        if known is not None and (known.collateral == collateral or known.issued > _day(found.good_from_s)):
            return False
        if known is None and len(self.all()) >= MAX_PLATFORMS:
            return False
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            replace_file(path, encode(collateral))
        except OSError as error:
            log.warning("collateral of %s cannot be kept: %s", platform, error)
            return False
        return True


def holding(kind: TeeKind, quote: bytes, collateral: IntelCollateral, at_s: int) -> Attested | None:
    """What the quote says with this collateral; None when it does not hold."""
    try:
        return read_intel(kind, quote, collateral, at_s)
    except BadQuote as error:
        log.info("collateral does not serve: %s", error)
        return None


def ends_soon(found: Attested, at_s: int) -> bool:
    """Whether newer collateral should be looked for."""
    return found.good_until_s - at_s < COLLATERAL_SPARE_S


def _holding(
    kind: TeeKind, quote: bytes, several: list[IntelCollateral], at_s: int
) -> Iterator[tuple[IntelCollateral, Attested]]:
    for collateral in several:
        if found := holding(kind, quote, collateral, at_s):
            yield collateral, found


def _read(path: Path) -> Kept | None:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST)
        collateral = read_collateral(data) if path.suffix == _LAID else decode(data, IntelCollateral)
        info = read_json(collateral.tcb_info, _MOST, "the TCB info")
        issued, until = str(info["issueDate"])[:10], str(info["nextUpdate"])[:10]
        return Kept(collateral_platform(collateral), collateral, issued, until)
    except (OSError, RecordError, ValueError, TypeError, KeyError) as error:
        log.warning("%s is no collateral: %s", path, error)
        return None


def _day(at_s: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d}"
