"""What a user has asked of the chain and not seen done yet, so that asking again goes on instead of doing it twice.

A transaction's purpose makes it happen once; a command that moves an amount is a new purpose every time it is given,
unless the one before was interrupted. Until it is over, its number stands in a small file.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from wire.files import replace_file

from ..errors import CommandError, Exit

MAX_INTENTS = 64


class Intents:
    """The file's content: a number for each thing that was begun, by what it is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_open(self, what: str) -> bool:
        """Whether `what` was begun and not seen done."""
        return what in self._read()

    def begin(self, what: str) -> str:
        """The purpose under which `what` is sent: the same one again, where it was interrupted.

        CommandError when that cannot be kept on disk: then nothing must be sent.
        """
        known = self._read()
        if what not in known:
            while len(known) >= MAX_INTENTS:  # the oldest: nobody came back for it
                known.pop(next(iter(known)))
            known[what] = secrets.token_hex(8)
            self._write(known)
        return f"{what} {known[what]}"

    def over(self, what: str) -> None:
        """It is done, or was refused: asked for again it is another one."""
        known = self._read()
        if known.pop(what, None) is not None:
            self._write(known)

    def _read(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise CommandError(
                Exit.STORAGE, f"{self._path} cannot be read: {error}", "If no command was interrupted, remove it."
            ) from error
        return {str(what): str(number) for what, number in found.items()} if isinstance(found, dict) else {}

    def _write(self, known: dict[str, str]) -> None:
        try:
            replace_file(self._path, json.dumps(known).encode())
        except OSError as error:
            raise CommandError(
                Exit.STORAGE, f"{self._path} cannot be written: {error.strerror}", "Make room on the disk."
            ) from error
