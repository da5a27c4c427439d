"""Petnames: what this user calls publishers. They never leave the machine, and mean nothing to anybody else.

One small file, read anew whenever a name is needed, so that a running node knows a petname as soon as it is given.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import tomli_w

from wire.errors import RecordError
from wire.files import replace_file
from wire.keys import address_of, parse_address, public_of, show_address

from .errors import CommandError, Exit

_PETNAME = re.compile(r"[a-z0-9][a-z0-9._\-]{0,31}")
_LOOKS_LIKE_AN_ADDRESS = re.compile(r"0x.*|[0-9a-f]{40}")
_HEAD = "# Petnames: what you call publishers (hallmark petname set NAME PUBLISHER). They are yours alone.\n\n"


def load_petnames(path: Path) -> dict[str, bytes]:
    """The address (20 bytes) behind each petname; none where there is no file. CommandError when the file is wrong."""
    try:
        entries = tomllib.loads(path.read_text())
        return {check_petname(name): parse_address(str(address)) for name, address in entries.items()}
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, RecordError, CommandError) as error:
        raise CommandError(Exit.CONFIG, f"{path}: {error}", "Mend that line, or remove the file.") from error


def save_petnames(path: Path, petnames: Mapping[str, bytes]) -> None:
    """Write the file as a whole or not at all; CommandError when it cannot be written."""
    text = _HEAD + tomli_w.dumps({name: show_address(petnames[name]) for name in sorted(petnames)})
    try:
        replace_file(path, text.encode())
    except OSError as error:
        raise CommandError(Exit.STORAGE, f"{path} cannot be written: {error.strerror}", "Make room there.") from error


def check_petname(name: str) -> str:
    """`name`; CommandError when it is no petname: one that could be read as an address is none either."""
    if not _PETNAME.fullmatch(name):
        rule = "Petnames have lower-case letters, digits, dots and dashes, at most 32 of them."
        raise CommandError(Exit.USAGE, f"{name!r} is no petname", rule)
    if _LOOKS_LIKE_AN_ADDRESS.fullmatch(name):
        raise CommandError(Exit.USAGE, f"the petname {name!r} looks like an address", "Choose another.")
    return name


def find_publisher(text: str, petnames: Mapping[str, bytes]) -> bytes:
    """The address that a petname, an address or a peer id means. CommandError when it means none."""
    if text in petnames:
        return petnames[text]
    try:
        return address_of(public_of(text)) if text.startswith("16Uiu2") else parse_address(text)
    except RecordError as error:
        looks = text.startswith(("0x", "16Uiu2"))
        message = str(error) if looks else f"nobody is called {text!r} here"
        next_step = "Name the publisher by address (0x…), or: hallmark petname set NAME PUBLISHER"
        raise CommandError(Exit.USAGE, message, next_step) from error


def calling(publisher: bytes, petnames: Mapping[str, bytes]) -> str:
    """What this user calls the publisher; the address itself where there is no petname."""
    return next((name for name, address in petnames.items() if address == publisher), "") or show_address(publisher)
