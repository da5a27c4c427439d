"""`hallmark wallet` and `hallmark chain`, on a devnet of their own, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.chain.amounts import UNIT, parse_amount, show_amount
from node.cli.wallet import command as wallet
from node.errors import CommandError, Exit
from node.networkfile import load_network
from settle import bounds

from .commands import Hallmark, runner

OTHER = "0x00000000000000000000000000000000000000Aa".lower()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory, a passphrase in a file, and keystores that are quickly opened."""
    passphrase = tmp_path / "passphrase"
    passphrase.touch(0o600)
    passphrase.write_text("geheim\n")
    monkeypatch.setenv("HALLMARK_PASSPHRASE_FILE", str(passphrase))
    monkeypatch.setenv("HALLMARK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(bounds, "SCRYPT_COST", 4)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hallmark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hallmark:
    return runner(monkeypatch, capsys)


@pytest.fixture
def devnet(tmp_path: Path) -> Iterator[str]:
    """The URL of a devnet in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "settle.devnet",
        "--until-eof",
        "--dir",
        str(tmp_path / "devnet"),
        "--block-time",
        "0.02",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.kill()


def test_an_account_is_made_and_found_again(here: Path, hallmark: Hallmark) -> None:
    (made,) = hallmark("wallet", "new", "--json").lines
    assert hallmark("wallet", "address").out.strip() == made["address"]
    assert hallmark("wallet", "ls", "--json").lines[0]["accounts"] == {"owner": made["address"]}
    keystore = here / "data" / "accounts" / "owner.json"
    assert keystore.stat().st_mode & 0o777 == 0o600
    again = hallmark("wallet", "new")
    assert (again.code, "exists already" in again.err) == (Exit.CONFIG, True)
    assert hallmark("wallet", "new", "--account", "spare").code == 0
    (imported,) = hallmark("wallet", "import", keystore, "--account", "copy", "--json").lines
    assert imported["address"] == made["address"]


def test_a_plain_key_is_imported_and_rubbish_is_not(here: Path, hallmark: Hallmark) -> None:
    plain = here / "key"
    plain.write_text("0x" + "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
    (made,) = hallmark("wallet", "import", plain, "--json").lines
    assert made["address"] == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    for rubbish in ("", "abcd", "00" * 32, "ff" * 32, "{}", "{"):
        plain.write_text(rubbish)
        assert hallmark("wallet", "import", plain, "--account", "other").code == Exit.CONFIG
    assert not (here / "data" / "accounts" / "other.json").exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda file: file.chmod(0o644), "read by other users"),
        (lambda file: file.unlink(), "cannot be read"),
        (lambda file: file.write_text("\n"), "is empty"),
        (lambda file: file.write_bytes(b"\xff"), "not UTF-8"),
        (lambda file: file.write_text("x" * 2000), "too large"),
    ],
)
def test_a_passphrase_that_cannot_be_had(
    spoil: Callable[[Path], object], says: str, here: Path, hallmark: Hallmark
) -> None:
    spoil(here / "passphrase")
    ran = hallmark("wallet", "new")
    assert ran.code == Exit.CONFIG
    assert says in ran.err
    assert not (here / "data" / "accounts" / "owner.json").exists()


def test_without_a_terminal_nobody_is_asked(here: Path, hallmark: Hallmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HALLMARK_PASSPHRASE_FILE")
    ran = hallmark("wallet", "new")
    assert (ran.code, "no terminal" in ran.err, "--passphrase-file" in ran.err) == (Exit.CONFIG, True, True)
    assert not (here / "data" / "accounts").exists()


def test_at_a_terminal_a_new_passphrase_is_asked_for_twice(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HALLMARK_PASSPHRASE_FILE")
    monkeypatch.setattr("node.chain.wallets._at_a_terminal", lambda: True)
    ran = CliRunner().invoke(wallet, ["new"], input="one\ntwo\nsame\nsame\n")
    assert ran.exit_code == 0, ran.output
    from settle.accounts import unlock

    assert unlock(here / "data" / "accounts" / "owner.json", "same")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["../owner", "", "Owner", "a/b", "x" * 40])
def test_what_is_no_accounts_name(name: str, hallmark: Hallmark) -> None:
    assert hallmark("wallet", "address", "--account", name).code in (Exit.USAGE, Exit.CONFIG)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1", UNIT),
        ("1.5", 15 * UNIT // 10),
        ("0.000000000000000001", 1),
        ("007", 7 * UNIT),
        ("1" + "0" * 20, UNIT * 10**20),
    ],
)
def test_amounts(text: str, units: int) -> None:
    assert parse_amount(text) == units
    assert parse_amount(show_amount(units).replace(",", "")) == units


@pytest.mark.parametrize(
    "text", ["", "0", "0.0", "-1", "1,5", "1e3", ".5", "5.", "1.0000000000000000001", "9" * 22, "٣", "1_0"]
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(CommandError):
        parse_amount(text)


def test_a_network_is_founded_and_paid_on(here: Path, hallmark: Hallmark, devnet: str) -> None:
    hallmark("init")
    (owner,) = hallmark("wallet", "new", "--json").lines
    founded = hallmark("chain", "deploy", "--rpc", devnet, "--epoch-seconds", "30", "--json")
    assert founded.code == 0, founded.err
    network = load_network(here / "devnet.toml")
    assert network.chain is not None
    assert network.chain.rpcs == (devnet,)
    assert founded.lines[-1]["chain"]["epochs"].startswith("0x")
    assert (
        hallmark("chain", "deploy", "--rpc", devnet, "--epoch-seconds", "30").code == Exit.CONFIG
    )  # the file is there
    assert hallmark("chain", "deploy", "--rpc", devnet, "--epoch-seconds", "30", "--out", "again.toml").code == 0
    assert (here / "again.toml").read_text() == (here / "devnet.toml").read_text()

    assert hallmark("init", "--network", "devnet.toml", "--data-dir", "other").code == 0
    there = ("--data-dir", here / "other")
    (balance,) = hallmark("wallet", "balance", owner["address"], "--json", *there).lines
    assert (balance["tokens"], balance["symbol"]) == (990_000_000 * UNIT, "OPG")
    assert hallmark("wallet", "send", OTHER, "1", *there).code == Exit.CONFIG  # there is no account
    (payer,) = hallmark("wallet", "new", "--json", *there).lines
    poor = hallmark("wallet", "send", OTHER, "1", *there)
    assert poor.code == Exit.CHAIN
    assert "ERC20InsufficientBalance" in poor.err or "coin" in poor.err
    assert hallmark("wallet", "faucet", *there).code == 0
    *_, sent = hallmark("wallet", "send", OTHER, "1.5", "--json", *there).lines
    assert (sent["event"], sent["amount"], sent["from"]) == ("sent", 15 * UNIT // 10, payer["address"])
    assert sent["left"]["tokens"] == 10_000 * UNIT - 15 * UNIT // 10
    assert hallmark("wallet", "send", OTHER, "7", "--units", *there).code == 0
    assert hallmark("wallet", "send", OTHER, "0.25", "--coin", *there).code == 0
    (got,) = hallmark("wallet", "balance", OTHER, "--json", *there).lines
    assert (got["tokens"], got["coins"]) == (15 * UNIT // 10 + 7, UNIT // 4)

    (status,) = hallmark("chain", "status", "--json", *there).lines
    assert status["rpcs"][0]["answers"]
    assert status["contracts"]["Epochs"]["epochSeconds"] == 30
    assert status["contracts"]["Split"]["now_"]["verifiers"] == 1000
    assert "Registry" in hallmark("chain", "status", *there).out


@pytest.mark.usefixtures("here")
def test_a_chain_that_is_down_and_one_that_is_none(hallmark: Hallmark) -> None:
    hallmark("init")
    hallmark("wallet", "new")
    down = hallmark("chain", "deploy", "--rpc", "http://127.0.0.1:1/geheim")
    assert (down.code, "cannot be reached" in down.err, "geheim" in down.err + down.out) == (Exit.CHAIN, True, False)
    assert hallmark("chain", "deploy", "--rpc", "nowhere").code == Exit.CHAIN
    without = hallmark("chain", "status")
    assert (without.code, "has no chain" in without.err) == (Exit.CONFIG, True)
    assert hallmark("wallet", "balance").code == Exit.CONFIG
    assert hallmark("wallet", "faucet", "--rpc", "http://127.0.0.1:1").code == Exit.CHAIN
    wrong = hallmark("chain", "deploy", "--rpc", "http://127.0.0.1:1", "--verifier", "nobody")
    assert wrong.code == Exit.USAGE
