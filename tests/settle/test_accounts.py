"""Accounts' files: what other wallets write is read, what we write others read, and nothing opens a wrong one."""

from __future__ import annotations

import json
import logging
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from settle import bounds
from settle.accounts import AccountError, WrongPassphrase, address_in, create, unlock
from wire.keys import NodeKey

# The two test vectors of the Web3 Secret Storage definition, version 3.
SECRET = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
SCRYPT: dict[str, Any] = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32, "n": 262144, "r": 1, "p": 8,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}  # fmt: skip
PBKDF2: dict[str, Any] = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144, "dklen": 32, "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}  # fmt: skip


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "SCRYPT_COST", 4)


def kept(tmp_path: Path, data: object) -> Path:
    path = tmp_path / "given.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


@pytest.mark.parametrize("vector", [SCRYPT, PBKDF2], ids=["scrypt", "pbkdf2"])
def test_the_standards_own_vectors(vector: dict[str, Any], tmp_path: Path) -> None:
    assert unlock(kept(tmp_path, vector), "testpassword").secret.hex() == SECRET
    with pytest.raises(WrongPassphrase):
        unlock(kept(tmp_path, vector), "testpassword ")


def test_what_we_write_another_wallet_reads(tmp_path: Path) -> None:
    path = tmp_path / "accounts" / "owner.json"
    key = create(path, "geheim äß")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert bytes(Account.decrypt(json.loads(path.read_text()), "geheim äß")) == key.secret
    assert unlock(path, "geheim äß").address == address_in(path) == key.address
    assert key.secret.hex() not in path.read_text()


def test_what_another_wallet_writes_we_read(tmp_path: Path) -> None:
    key = NodeKey.generate()
    theirs = Account.encrypt(key.secret, "geheim", kdf="scrypt", iterations=4)
    lower = theirs | {"address": key.address.hex()}
    old = {k: v for k, v in lower.items() if k != "crypto"} | {"Crypto": lower["crypto"]}
    for data in (theirs, lower, old):
        path = kept(tmp_path, data)
        assert unlock(path, "geheim").address == address_in(path) == key.address


def test_the_cost_of_a_guess_is_a_second_or_so() -> None:
    from importlib import reload

    assert reload(bounds).SCRYPT_COST == 2**18


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "owner.json"
    key = create(path, "geheim")
    with pytest.raises(AccountError, match="exists already"):
        create(path, "geheim")
    assert unlock(path, "geheim").address == key.address


def changed(**changes: Any) -> dict[str, Any]:
    crypto = SCRYPT["crypto"]
    return (
        SCRYPT
        | {"crypto": crypto | {k: v for k, v in changes.items() if k in crypto}}
        | {k: v for k, v in changes.items() if k not in crypto}
    )


def costing(**params: Any) -> dict[str, Any]:
    return changed(kdfparams=SCRYPT["crypto"]["kdfparams"] | params)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON|too large"),
        ("[]", "no keystore"),
        ({}, "no keystore"),
        ({"crypto": 7}, "no keystore"),
        ({"crypto": {"kdfparams": {}}}, "no keystore"),
        (changed(version=1), "no keystore"),
        (changed(cipher="aes-256-cbc"), "no keystore|does not open"),
        (changed(kdf="argon2"), "no keystore"),
        (changed(ciphertext="zz"), "no keystore|does not open"),
        (changed(address="00" * 20), "another account"),
        (costing(n="262144"), "no keystore"),
        (costing(n=2**40), "more work"),
        (costing(n=2**26, r=8, p=1), "more work"),
        (costing(p=2**30), "more work"),
        (costing(dklen=2**20), "more work"),
        ({"crypto": PBKDF2["crypto"] | {"kdfparams": PBKDF2["crypto"]["kdfparams"] | {"c": 10**12}}}, "more work"),
        ("x" * (bounds.MAX_KEYSTORE + 1), "too large"),
    ],
)  # fmt: skip
def test_what_is_no_keystore(data: object, says: str, tmp_path: Path) -> None:
    with pytest.raises(AccountError, match=says):
        unlock(kept(tmp_path, data), "testpassword")


def test_no_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(AccountError, match="there is no account"):
        unlock(tmp_path / "nothing.json", "geheim")


def test_no_error_and_no_log_has_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "owner.json"
    key = create(path, "geheim1")
    with pytest.raises(WrongPassphrase) as wrong:
        unlock(path, "geheim2")
    said = f"{wrong.value!r} {wrong.value} {key!r} {caplog.text}"
    assert "geheim" not in said
    assert key.secret.hex() not in said


def test_python_recurses_no_deeper_for_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from settle import accounts, bounds; bounds.SCRYPT_COST = 4\n"
        f"accounts.create(Path({str(tmp_path / 'owner.json')!r}), 'geheim'); print(sys.getrecursionlimit())"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "1000"
