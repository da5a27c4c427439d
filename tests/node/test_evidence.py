"""`hallmark fraud` and `hallmark receipt`: evidence listed, exported, and checked by who knows nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from node.config import Config
from node.datadir import DataDir
from node.fraud.keeping import keep, keep_all
from node.local import Local, open_local
from node.networkfile import save_network
from storage import StoreFull
from storage.frauds import Frauds
from tests.node.commands import Hallmark
from tests.verify.scenes import SALT, Scene, bent
from tests.verify.test_fraud import LIAR, NETWORK, SCENE, receipts, refused, rounds, sat, two_commits, two_votes
from verify.fraud import holds, verify_fraud
from wire.canonical import encode
from wire.fraud import Fraud, fraud_digest
from wire.keys import show_address


@pytest.fixture
def peer(hallmark: Hallmark, home: Path) -> Path:
    """A data directory on the scene's network, and the network's file beside it for strangers."""
    save_network(home.parent / "scene.toml", NETWORK)
    assert hallmark("init", "--network", "scene.toml").code == 0
    return home


def keeping(home: Path, *frauds: Fraud) -> None:
    """Keep these in the data directory, as a running node does when it meets them."""

    async def work() -> None:
        async with open_local(DataDir(home), Config()) as local:
            await keep_all(local, frauds)

    trio.run(work)


def test_a_fraud_is_listed_exported_and_verified_in_a_fresh_place(
    hallmark: Hallmark, peer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping(peer, two_votes(), refused())
    listed = hallmark("fraud", "ls")
    assert listed.code == 0, listed.err
    assert f"verifier {LIAR.peer_id} voted on one receipt twice: ACCEPT and REJECT" in listed.out
    digest = fraud_digest(two_votes(), NETWORK.domain).hex()
    assert hallmark("fraud", "export", digest[:10], "liar.fraud").code == 0
    (told,) = hallmark("fraud", "ls", "--json").lines
    assert {f["kind"] for f in told["frauds"]} == {"two_votes", "wrong_answer"}
    assert all(f["valid"] and f["settles"] for f in told["frauds"])

    monkeypatch.setenv("HALLMARK_DATA_DIR", str(tmp_path / "nobody"))
    ran = hallmark("verify", "liar.fraud", "--network", "scene.toml")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("VALID\n  fraud     two votes\n")
    assert f"culprit   {show_address(LIAR.address)}" in ran.out
    (told,) = hallmark("verify", "liar.fraud", "--network", "scene.toml", "--json").lines
    assert (told["kind"], told["fraud"], told["digest"], told["valid"]) == ("fraud", "two_votes", digest, True)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_file_with_one_byte_changed_accuses_nobody(hallmark: Hallmark, peer: Path, part: float) -> None:
    keeping(peer, receipts())
    digest = fraud_digest(receipts(), NETWORK.domain).hex()
    assert hallmark("fraud", "export", digest, "good.fraud").code == 0
    data = bytearray(Path("good.fraud").read_bytes())
    data[int(len(data) * part)] ^= 1
    Path("bad.fraud").write_bytes(data)
    ran = hallmark("verify", "bad.fraud", "--network", "scene.toml")
    assert ran.code == 8
    assert not ran.out.startswith("VALID")


def test_what_does_not_hold_is_not_kept(hallmark: Hallmark, peer: Path) -> None:
    forged = bent(two_votes(), second=SCENE.vote(2))
    assert not holds(forged, NETWORK)
    keeping(peer, forged)
    ran = hallmark("fraud", "ls")
    assert "No fraud was met." in ran.out


def test_one_fraud_is_kept_once(hallmark: Hallmark, peer: Path) -> None:
    again = bent(two_commits(), first=two_commits().second, second=two_commits().first)
    keeping(peer, two_commits(), again)
    (told,) = hallmark("fraud", "ls", "--json").lines
    assert len(told["frauds"]) == 1


def test_a_full_disk_stops_nothing(peer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bool:
        raise StoreFull("the disk is full")

    monkeypatch.setattr(Frauds, "put", full)
    keeping(peer, two_votes())


@pytest.mark.usefixtures("peer")
def test_an_unknown_or_ambiguous_digest_is_a_sentence(hallmark: Hallmark) -> None:
    ran = hallmark("fraud", "export", "abc", "x.fraud")
    assert ran.code == 5
    assert "no fraud file here begins with 'abc'" in ran.err
    assert "hallmark fraud ls" in ran.err
    assert hallmark("receipt", "export", "", "x.receipt").code == 5


def store_receipts(home: Path, *scenes: Scene, salt: bytes | None = None) -> None:
    async def work(local: Local) -> None:
        for n, scene in enumerate(scenes):
            file = scene.file if salt is None else sat(scene, n, salt)
            await local.store.in_thread(local.store.receipts.put, scene.receipt_digest, encode(file))

    async def run() -> None:
        async with open_local(DataDir(home), Config()) as local:
            await work(local)

    trio.run(run)


def test_a_receipt_is_listed_and_exported_as_it_is_now(hallmark: Hallmark, peer: Path) -> None:
    assert "No receipts yet." in hallmark("receipt", "ls").out
    store_receipts(peer, SCENE)
    listed = hallmark("receipt", "ls")
    assert SCENE.receipt_digest.hex()[:16] in listed.out
    assert hallmark("receipt", "export", SCENE.receipt_digest.hex()[:8], "answer.receipt").code == 0
    assert Path("answer.receipt").read_bytes() == encode(SCENE.file)
    assert hallmark("verify", "answer.receipt", "--network", "scene.toml").code == 0


def test_a_scan_reports_who_looks_lazy_and_says_that_it_accuses_nobody(hallmark: Hallmark, peer: Path) -> None:
    store_receipts(peer, *rounds(), salt=SALT)
    (told,) = hallmark("fraud", "scan", "--json").lines
    assert (told["receipts"], told["reports"]) == (3, 1)
    (listed,) = hallmark("fraud", "ls", "--json").lines
    (report,) = listed["frauds"]
    assert (report["kind"], report["settles"], report["valid"]) == ("lazy_votes", False, True)
    assert "this accuses nobody" in report["says"]
    assert hallmark("fraud", "export", report["digest"], "lazy.fraud").code == 0
    assert not verify_fraud(Path("lazy.fraud").read_bytes(), NETWORK).settles


async def test_keeping_says_what_to_do_next(peer: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_local(DataDir(peer), Config()) as local:
        await keep(local, two_votes())
        await keep(local, two_votes())
    assert caplog.text.count("hallmark fraud export") == 1
