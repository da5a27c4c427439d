"""Accounts that hold funds, in files: the keystore V3 that every Ethereum wallet reads (scrypt, AES, a MAC).

Unlocked, an account is a key like any other, and its secret is nowhere but in there. The library that reads and writes
keystores takes half a second to load, so it is loaded where one is opened.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coincurve import PrivateKey

from wire.errors import RecordError
from wire.keys import NodeKey, parse_address

from . import bounds

if TYPE_CHECKING:
    from eth_account import Account


class AccountError(Exception):
    """An account's file is missing, unreadable or locked by another passphrase: a sentence for a person."""


class WrongPassphrase(AccountError):
    """The passphrase does not open the account."""


def create(path: Path, passphrase: str, key: NodeKey | None = None, *, cost: int = bounds.SCRYPT_COST) -> NodeKey:
    """Write an account, a new one or this key's, to a file that is not there yet, mode 0600. AccountError otherwise.

    Takes about a second, as trying each passphrase then does; less where `cost` is less, which is for play money.
    """
    key = key or NodeKey.generate()
    data = _library().encrypt(key.secret, passphrase, kdf="scrypt", iterations=cost)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise AccountError(f"{path} exists already") from None
    except OSError as error:
        raise AccountError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(handle, "w") as file:
        json.dump(data, file)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def unlock(path: Path, passphrase: str) -> NodeKey:
    """The key in an account's file. WrongPassphrase, or AccountError when the file is no keystore. About a second."""
    data = _read(path)
    _check_cost(data, path)
    try:
        secret = bytes(_library().decrypt(data, passphrase))
    except ValueError as error:
        if "MAC" in str(error):
            raise WrongPassphrase(f"the passphrase does not open {path}") from None
        raise AccountError(f"{path} is no keystore of version 3") from None
    except Exception:  # the library looks things up as it goes: a KeyError, a TypeError; none of it may show a secret
        raise AccountError(f"{path} is no keystore of version 3") from None
    try:
        if len(secret) != 32:
            raise ValueError("not 32 bytes")
        key = NodeKey(PrivateKey(secret).secret)
    except ValueError:
        raise AccountError(f"{path} does not hold a secp256k1 key") from None
    if _address(data) not in (None, key.address):
        raise AccountError(f"{path} says that it is another account than it holds: somebody changed it")
    return key


def address_in(path: Path) -> bytes | None:
    """The address that an account's file shows without a passphrase; None where it shows none."""
    return _address(_read(path))


def _library() -> type[Account]:
    """eth-account. What it imports lets Python recurse 100,000 deep, which would let nested JSON of a stranger's break
    the process in any parser that counts on the usual limit; so that is undone."""
    limit = sys.getrecursionlimit()
    from eth_account import Account

    sys.setrecursionlimit(limit)
    return Account


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > bounds.MAX_KEYSTORE:
            raise AccountError(f"{path} is too large for a keystore")
        data = json.loads(path.read_text())
    except FileNotFoundError:
        raise AccountError(f"there is no account in {path}") from None
    except OSError as error:
        raise AccountError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise AccountError(f"{path} is no keystore: not JSON") from None
    if not isinstance(data, dict):
        raise AccountError(f"{path} is no keystore of version 3")
    return {key.lower(): value for key, value in data.items()}  # some wallets write `Crypto`


def _check_cost(data: dict[str, Any], path: Path) -> None:
    """A keystore of somebody else's says itself what opening it costs."""
    crypto = data.get("crypto")
    given = crypto.get("kdfparams") if isinstance(crypto, dict) else None
    if not isinstance(crypto, dict) or crypto.get("cipher") != "aes-128-ctr":  # the library takes it for granted
        raise AccountError(f"{path} is no keystore of version 3")
    if not isinstance(given, dict) or not all(isinstance(given.get(k, 1), int) for k in ("n", "r", "p", "c", "dklen")):
        raise AccountError(f"{path} is no keystore of version 3")
    memory = 128 * given.get("n", 1) * given.get("r", 1) * max(1, given.get("p", 1))
    if memory > bounds.MAX_SCRYPT_BYTES or given.get("c", 1) > bounds.MAX_PBKDF2 or given.get("dklen", 32) > 64:
        raise AccountError(f"{path} asks for more work than any wallet's keystore does: it is not opened")


def _address(data: dict[str, Any]) -> bytes | None:
    told = data.get("address")
    if not isinstance(told, str):
        return None
    try:
        return parse_address("0x" + told.removeprefix("0x").lower())
    except RecordError:
        return None
