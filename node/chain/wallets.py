"""Accounts that hold this user's funds: which file, and what unlocks it. The node's key is another, and holds none."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import trio

from settle.accounts import AccountError, WrongPassphrase, address_in, unlock
from wire.keys import NodeKey

from ..config import Config
from ..datadir import DataDir
from ..errors import CommandError, Exit

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
MAX_PASSPHRASE = 1024  # bytes of a passphrase's file


def account_file(directory: DataDir, name: str) -> Path:
    """Where the account of this name is kept; CommandError when the name is none."""
    if not _NAME.fullmatch(name):
        raise CommandError(
            Exit.USAGE, f"{name!r} is no account's name", "Lower-case letters, digits and dashes, at most 32 of them."
        )
    return directory.accounts / f"{name}.json"


def list_accounts(directory: DataDir) -> dict[str, bytes | None]:
    """The address of each account by its name; None where the file does not show it."""
    found: dict[str, bytes | None] = {}
    for path in sorted(directory.accounts.glob("*.json")):
        try:
            found[path.stem] = address_in(path)
        except AccountError:
            found[path.stem] = None
    return found


def account_address(directory: DataDir, name: str) -> bytes:
    """The address of an account, which needs no passphrase. CommandError when there is no such account."""
    path = account_file(directory, name)
    if not path.exists():
        raise no_account(name)
    try:
        address = address_in(path)
    except AccountError as error:
        raise CommandError(Exit.CONFIG, str(error), "Restore it from a copy.") from error
    if address is None:
        raise CommandError(Exit.CONFIG, f"{path} does not say its address", "Import it again: hallmark wallet import")
    return address


def no_account(name: str) -> CommandError:
    """What is said where an account is needed and there is none."""
    return CommandError(Exit.CONFIG, f"there is no account {name!r} here", "Make one: hallmark wallet new")


def passphrase_in(place: str) -> str:
    """The passphrase in a file; its last line's end is not part of it. CommandError when others can read it."""
    path = Path(place).expanduser()
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        with path.open("rb") as file:
            data = file.read(MAX_PASSPHRASE + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CommandError(Exit.CONFIG, f"the passphrase in {path} cannot be read: {why}", "Check that file.") from None
    if mode & 0o077:
        raise CommandError(
            Exit.CONFIG, f"{path} can be read by other users (mode {mode:04o})", f"Run: chmod 600 {path}"
        )
    if len(data) > MAX_PASSPHRASE:
        raise CommandError(Exit.CONFIG, f"{path} is too large for a passphrase", "Check that file.")
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise CommandError(Exit.CONFIG, f"the passphrase in {path} is empty", "Write one into it.")
    return text


def get_passphrase(config: Config, name: str, *, new: bool = False) -> str:
    """The configured file's passphrase, or what is typed at the terminal: twice, where it is new.

    CommandError where there is neither.
    """
    if config.passphrase_file:
        return passphrase_in(config.passphrase_file)
    if not _at_a_terminal():
        raise CommandError(
            Exit.CONFIG,
            f"account {name!r} is locked, and there is no terminal to ask for its passphrase",
            "Give it in a file that only you can read: --passphrase-file FILE (HALLMARK_PASSPHRASE_FILE)",
        )
    import click

    while True:
        prompt = f"New passphrase for account {name!r}" if new else f"Passphrase of account {name!r}"
        text: str = click.prompt(prompt, hide_input=True, confirmation_prompt=new, err=True)
        if text:
            return text


def _at_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def unlock_account(directory: DataDir, config: Config) -> NodeKey:
    """The configured account's key. Takes about a second. CommandError says why it stays locked."""
    path = account_file(directory, config.account)
    if not path.exists():
        raise no_account(config.account)
    passphrase = get_passphrase(config, config.account)
    try:
        return unlock(path, passphrase)
    except WrongPassphrase:
        given = f"the one in {config.passphrase_file}" if config.passphrase_file else "the one that was typed"
        raise CommandError(
            Exit.CONFIG, f"the passphrase of account {config.account!r} is another one than {given}", "Try again."
        ) from None
    except AccountError as error:
        raise CommandError(Exit.CONFIG, str(error), "Restore it from a copy, or import it again.") from error


async def unlock_quietly(directory: DataDir, config: Config) -> NodeKey | None:
    """The configured account's key, for a peer that starts without anybody to ask; None where none can be unlocked."""
    if not config.passphrase_file or not account_file(directory, config.account).exists():
        return None
    return await trio.to_thread.run_sync(unlock_account, directory, config)
