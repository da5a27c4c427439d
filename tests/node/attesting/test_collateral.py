"""Intel's words on platforms: kept when a quote was checked with them, newest first, whoever gave them."""

from __future__ import annotations

from pathlib import Path

from node.attesting.collateral import Collaterals, ends_soon, holding
from node.bounds import MAX_PLATFORMS
from tests.verify.scenes import bent
from tests.verify.tee.samples import INTEL_AT, MONTH, intel, needed, sample
from verify.tiers.tee.dcap import platform_of

pytestmark = needed
TDX = "tdx-b0c06f000000"


def kept(folder: Path) -> Collaterals:
    """A folder in which the TDX sample's collateral was kept."""
    quote, collateral = intel("tdx")
    found = holding("tdx", quote, collateral, INTEL_AT)
    assert found is not None
    assert Collaterals(folder).keep(collateral, found)
    return Collaterals(folder)


def test_what_a_quote_was_checked_with_is_kept_and_found(tmp_path: Path) -> None:
    collaterals, (quote, collateral) = kept(tmp_path / "collateral"), intel("tdx")
    assert platform_of(quote) == TDX
    assert collaterals.get(TDX) == collateral
    best = collaterals.best("tdx", quote, INTEL_AT)
    assert best is not None
    assert best[0] == collateral
    (entry,) = collaterals.all()
    assert (entry.platform, entry.issued, entry.until) == (TDX, "2025-06-19", "2025-07-19")


def test_nothing_is_best_once_it_has_ended(tmp_path: Path) -> None:
    assert kept(tmp_path / "c").best("tdx", intel("tdx")[0], INTEL_AT + MONTH) is None


def test_the_same_again_is_not_written_again(tmp_path: Path) -> None:
    collaterals, (quote, collateral) = kept(tmp_path / "c"), intel("tdx")
    found = holding("tdx", quote, collateral, INTEL_AT)
    assert found is not None
    assert not collaterals.keep(collateral, found)


def test_what_an_operator_laid_there_serves_once_a_quote_holds_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / f"{TDX}.json").write_bytes(sample("dcap/tdx_quote_collateral.json"))
    assert Collaterals(folder).best("tdx", intel("tdx")[0], INTEL_AT) is not None
    forged = sample("dcap/tdx_quote_collateral.json").replace(b"OutOfDate", b"UpToDate")
    (folder / f"{TDX}.json").write_bytes(forged)
    assert Collaterals(folder).best("tdx", intel("tdx")[0], INTEL_AT) is None


def test_files_that_are_none_are_passed_over(tmp_path: Path) -> None:
    collaterals = kept(tmp_path)
    for name, data in {
        "a.json": b"{}",
        "b.json": b"\xff",
        "c.collateral": b"\x81",
        "d.txt": b"x",
        "e.json": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
    assert [entry.platform for entry in collaterals.all()] == [TDX]


def test_what_a_peer_gives_counts_only_when_a_quote_holds_with_it() -> None:
    (quote, own), (_, other) = intel("tdx"), intel("sgx")
    assert holding("tdx", quote, other, INTEL_AT) is None
    aged = bent(own, tcb_info=own.tcb_info.replace(b"2025-07-19", b"2035-07-19"))  # a peer makes it look younger
    assert holding("tdx", quote, aged, INTEL_AT) is None
    assert holding("tdx", quote, own, INTEL_AT) is not None


def test_newer_is_looked_for_a_day_before_the_end() -> None:
    found = holding("tdx", *intel("tdx"), INTEL_AT)
    assert found is not None
    assert not ends_soon(found, found.good_until_s - 25 * 3600)
    assert ends_soon(found, found.good_until_s - 23 * 3600)


def test_strangers_platforms_fill_no_disk(tmp_path: Path) -> None:
    collaterals = kept(tmp_path)
    quote, collateral = intel("sgx")
    for n in range(MAX_PLATFORMS):
        info = b'{"id":"SGX","fmspc":"%012x","issueDate":"2025-06-19","nextUpdate":"2025-07-19"}' % n
        found = holding("sgx", quote, collateral, INTEL_AT)
        assert found is not None
        collaterals.keep(bent(collateral, tcb_info=info), found)
    assert len(collaterals.all()) == MAX_PLATFORMS


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert Collaterals(tmp_path / "none").all() == []
    assert Collaterals(tmp_path / "none").get(TDX) is None
