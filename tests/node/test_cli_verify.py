"""`hallmark verify`: exit code 0 for a receipt that holds, 8 for any that does not, and nothing in between."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from node.errors import Exit
from node.networkfile import save_network
from tests.node.commands import Hallmark
from tests.verify.scenes import Scene, bent
from verify import verify_file
from wire.canonical import encode
from wire.receiptfile import MAX_RECEIPT_FILE

QUORUM, SIGNED = Scene(), Scene(tier="signed")
GOOD = encode(QUORUM.file)


@pytest.fixture
def receipt(home: Path) -> Path:
    """A valid receipt beside its network file, scene.toml; there is no peer."""
    save_network(home.parent / "scene.toml", QUORUM.network)
    path = home.parent / "answer.receipt"
    path.write_bytes(GOOD)
    return path


def test_a_valid_receipt_says_who_signed_and_what_it_rests_on(hallmark: Hallmark, receipt: Path) -> None:
    ran = hallmark("verify", receipt, "--network", "scene.toml")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("VALID\n")
    assert "signers   4 of 4" in ran.out
    assert all(key.peer_id in ran.out for key in QUORUM.keys)
    rests_on = verify_file(GOOD, QUORUM.network).rests_on
    assert rests_on
    assert all(f"  rests on  {sentence}" in ran.out for sentence in rests_on)
    assert "Do not use" not in ran.out


def test_of_several_stored_networks_the_files_own_is_taken(hallmark: Hallmark, receipt: Path, home: Path) -> None:
    (home / "networks").mkdir(parents=True)
    for network in (QUORUM.network, msgspec.structs.replace(QUORUM.network, name="another")):
        save_network(home / "networks" / f"{network.name}.toml", network)
    ran = hallmark("verify", receipt)
    assert (ran.code, ran.err) == (0, "")
    assert f"network   {QUORUM.network.name}\n" in ran.out
    (home / "networks" / f"{QUORUM.network.name}.toml").rename(home / "networks" / "third.toml")
    ran = hallmark("verify", receipt)
    assert (ran.code, "no network file of that name is stored here" in ran.err) == (Exit.CONFIG, True)
    receipt.write_bytes(b"VALID")
    ran = hallmark("verify", receipt)
    assert (ran.code, "is not a receipt" in ran.err) == (Exit.NOT_PROVED, True)


def test_what_only_the_policy_refuses_is_said_so(hallmark: Hallmark, receipt: Path) -> None:
    receipt.with_name("mine.toml").write_text("[quorum]\ncommittee = 9\n")
    ran = hallmark("verify", receipt, "--network", "scene.toml", "--policy", "mine.toml")
    assert ran.code == Exit.NOT_PROVED
    assert ran.out.startswith("NOT VALID\n")
    assert "Your policy refuses it." in ran.out
    assert "rests on" not in ran.out


def test_as_json(hallmark: Hallmark, receipt: Path) -> None:
    (told,) = hallmark("verify", receipt, "--network", "scene.toml", "--json").lines
    assert (told["event"], told["valid"], told["tier"], told["committee"]) == ("verified", True, "quorum", 4)
    assert told["model"] == QUORUM.signed_manifest.cid
    assert told["provider"] == QUORUM.provider.peer_id
    assert told["signers"] == [key.peer_id for key in QUORUM.keys]
    assert all(check["ok"] for check in told["checks"])
    assert told["rests_on"]


def test_a_signed_receipt_says_that_nobody_checked(hallmark: Hallmark, receipt: Path) -> None:
    receipt.write_bytes(encode(SIGNED.file))
    ran = hallmark("verify", receipt, "--network", "scene.toml")
    assert ran.code == 0
    assert "nobody else executed the model" in ran.out


def test_a_changed_output_is_exit_code_8_and_named(hallmark: Hallmark, receipt: Path) -> None:
    first = bytearray(QUORUM.file.outputs[0])
    first[0] ^= 1
    receipt.write_bytes(encode(bent(QUORUM.file, outputs=(bytes(first), *QUORUM.file.outputs[1:]))))
    ran = hallmark("verify", receipt, "--network", "scene.toml")
    assert ran.code == Exit.NOT_PROVED
    assert ran.out.startswith("NOT VALID\n")
    assert "does not match: output bytes" in ran.out
    assert "Do not use this answer." in ran.out
    assert "rests on" not in ran.out
    (told,) = hallmark("verify", receipt, "--network", "scene.toml", "--json").lines
    assert (told["valid"], told["rests_on"]) == (False, [])
    assert [c["name"] for c in told["checks"] if not c["ok"]] == ["output bytes"]


def test_any_changed_byte_is_exit_code_8(hallmark: Hallmark, receipt: Path) -> None:
    chosen = random.Random(7)
    for _ in range(40):
        data = bytearray(GOOD)
        data[chosen.randrange(len(data))] ^= chosen.randrange(1, 256)
        receipt.write_bytes(data)
        ran = hallmark("verify", receipt, "--network", "scene.toml")
        assert ran.code == Exit.NOT_PROVED
        assert not ran.out.startswith("VALID")


@pytest.mark.parametrize("data", [b"", b"\0", b"VALID", GOOD[:-1], GOOD + b"\0", b"\x81" * 5000, bytes(1 << 20)])
def test_what_is_no_receipt_is_exit_code_8(data: bytes, hallmark: Hallmark, receipt: Path) -> None:
    receipt.write_bytes(data)
    ran = hallmark("verify", receipt, "--network", "scene.toml")
    assert ran.code == Exit.NOT_PROVED
    assert "is not a receipt" in ran.err
    (told,) = hallmark("verify", receipt, "--network", "scene.toml", "--json").lines
    assert (told["event"], told["exit_code"]) == ("error", 8)


def test_a_file_over_the_bound_is_not_read(hallmark: Hallmark, receipt: Path) -> None:
    with receipt.open("r+b") as file:
        file.truncate(MAX_RECEIPT_FILE + 1)
    ran = hallmark("verify", receipt, "--network", "scene.toml")
    assert (ran.code, "no receipt is" in ran.err) == (Exit.NOT_PROVED, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"chain_id": 1},
        {"contract": b"\x12" * 20},
        {"epoch": 8},
        {"verifiers": QUORUM.network.verifiers[:3]},
        {"verifiers": ()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_network_s_receipt_is_exit_code_8(
    changes: dict[str, object], hallmark: Hallmark, receipt: Path
) -> None:
    save_network(receipt.with_name("other.toml"), bent(QUORUM.network, **changes))
    assert hallmark("verify", receipt, "--network", "other.toml").code == Exit.NOT_PROVED


def test_the_stored_network_is_the_default(hallmark: Hallmark, receipt: Path) -> None:
    assert hallmark("verify", receipt).code == Exit.CONFIG
    hallmark("init", "--network", "scene.toml")
    assert hallmark("verify", receipt).code == 0
    assert hallmark("verify", receipt, "--network", "scene").code == 0


def test_the_input_can_be_checked_too(hallmark: Hallmark, receipt: Path) -> None:
    command = ["verify", receipt, "--network", "scene.toml", "--input"]
    assert hallmark(*command, "image=[[1, 2, 3, 4]]").code == 0
    other = hallmark(*command, "image=[[1, 2, 3, 5]]")
    assert (other.code, "NOT VALID" in other.out) == (Exit.NOT_PROVED, True)
    assert hallmark(*command, "image=[[1, 2, 3]]").code == Exit.USAGE
    assert hallmark(*command, "picture=[[1, 2, 3, 4]]").code == Exit.USAGE
    receipt.write_bytes(b"garbage")
    assert hallmark(*command, "image=[[1, 2, 3, 4]]").code == Exit.NOT_PROVED


def test_files_that_cannot_be_read(hallmark: Hallmark, receipt: Path) -> None:
    assert hallmark("verify", "none.receipt", "--network", "scene.toml").code == Exit.NOT_FOUND
    assert hallmark("verify", receipt, "--network", "none.toml").code == Exit.CONFIG
    assert hallmark("verify", receipt, "--network", receipt.with_name("answer.receipt.toml")).code == Exit.CONFIG


def test_the_command_itself_ends_with_these_codes_and_loads_no_numbers(receipt: Path) -> None:
    code = "import sys; from node.cli.main import main\ntry: main()\nfinally: print('numpy' in sys.modules)"

    def ran() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "verify", str(receipt), "--network", "scene.toml"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    good = ran()
    assert (good.returncode, good.stdout.splitlines()[-1]) == (0, "False")
    receipt.write_bytes(GOOD[:-1])
    assert ran().returncode == Exit.NOT_PROVED
