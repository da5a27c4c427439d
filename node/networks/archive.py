"""Signed network files as they came: the newest, to be given to others, and those with which a publisher handed over.

Whoever was away while the publisher changed needs these: each is signed by the one before.
"""

from __future__ import annotations

import logging
from pathlib import Path

from wire.bounds import MAX_NETWORK_FILE
from wire.errors import RecordError
from wire.files import replace_file

from ..bounds import HANDOVERS
from .rules import SignedFile, read_signed

log = logging.getLogger("hallmark.node")


class Archive:
    """The signed files of one network, in a folder that is made when there is one to keep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[int, SignedFile] = {}  # by version, the oldest first
        for place in sorted(folder.glob("*.toml"), key=lambda place: (len(place.stem), place.stem)):
            try:
                if place.stat().st_size <= 2 * MAX_NETWORK_FILE:
                    file = read_signed(place.read_text())
                    self._files[file.version] = file
            except (OSError, UnicodeDecodeError, RecordError) as error:
                log.warning("the network file %s is left aside: %s", place, error)

    @property
    def newest(self) -> SignedFile | None:
        """The file with the highest version."""
        return self._files[max(self._files)] if self._files else None

    def all(self) -> list[SignedFile]:
        """All that are kept, the oldest first."""
        return [self._files[version] for version in sorted(self._files)]

    def after(self, version: int) -> SignedFile | None:
        """What a peer with this version needs next: the first handover after it, or else the newest file."""
        later = [file for file in self.all() if file.version > version]
        return next((file for file in later if file.hands_over), later[-1] if later else None)

    def keep(self, file: SignedFile) -> None:
        """Take up one that followed. A full disk loses it for others, and nothing else."""
        self._files[file.version] = file
        held = self.all()
        kept = [one for one in held[:-1] if one.hands_over][-HANDOVERS:] + held[-1:]
        for one in held:
            if one not in kept:
                del self._files[one.version]
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            replace_file(self._place(file), file.signed.text.encode())
            for one in held:
                if one not in kept:
                    self._place(one).unlink(missing_ok=True)
        except OSError as error:
            log.warning("the signed network file cannot be kept in %s: %s", self._folder, error)

    def clear(self) -> None:
        """Forget all, where their user replaces the network by another."""
        for one in self._files.values():
            self._place(one).unlink(missing_ok=True)
        self._files.clear()

    def _place(self, file: SignedFile) -> Path:
        return self._folder / f"{file.version}.toml"
