"""What makes quotes: the kernel's files, the enclave's module, a key in a file; and how each says that it cannot."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.attesting.attester import AttesterFailed, find_attester
from node.attesting.configfs import ConfigfsTsm, find_configfs, read_certificates
from node.attesting.nsm import Nsm, find_nsm
from node.attesting.runtime import measure_runtime
from node.errors import CommandError
from tests.node.attesting.kernels import FakeKernel, FakeNsm
from verify.tiers.tee.attested import BadQuote
from verify.tiers.tee.dev import read_dev
from wire.attestation import AmdCollateral

DATA = bytes(range(64))
RUNTIME = b"\x07" * 32


def found(tmp_path: Path, kernel: FakeKernel) -> ConfigfsTsm:
    tsm = find_configfs(tmp_path, kernel)
    assert isinstance(tsm, ConfigfsTsm), tsm
    return tsm


@pytest.mark.parametrize(("provider", "kind"), [("tdx_guest", "tdx"), ("sev_guest", "snp")])
def test_the_kernels_interface_is_found_by_its_providers_name(tmp_path: Path, provider: str, kind: str) -> None:
    assert found(tmp_path, FakeKernel(provider)).kind == kind
    assert list(tmp_path.iterdir()) == []


def test_an_interface_that_is_not_there_or_unknown_is_said(tmp_path: Path) -> None:
    assert "is not there" in str(find_configfs(tmp_path / "none"))
    assert "'arm_cca_guest'" in str(find_configfs(tmp_path, FakeKernel("arm_cca_guest")))
    (tmp_path / "file").write_text("")
    assert "is not there" in str(find_configfs(tmp_path / "file"))


def test_a_quote_is_over_our_bytes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    tsm = found(tmp_path, kernel := FakeKernel())
    assert tsm.quote(DATA) == (b"quote of " + DATA, None)
    assert tsm.quote(DATA[::-1]) == (b"quote of " + DATA[::-1], None)
    assert kernel.entries == 3  # the probe's and two reports of their own
    assert list(tmp_path.iterdir()) == []


def test_a_guest_at_a_lower_privilege_asks_at_its_own(tmp_path: Path) -> None:
    tsm = found(tmp_path, kernel := FakeKernel("sev_guest"))
    kernel.floor = 2
    assert tsm.quote(DATA)[0] == b"quote of " + DATA
    assert kernel.level == 2


def test_a_report_that_somebody_else_wrote_into_is_thrown_away(tmp_path: Path) -> None:
    tsm = found(tmp_path, kernel := FakeKernel())
    kernel.meddles = True
    with pytest.raises(AttesterFailed, match="somebody else"):
        tsm.quote(DATA)
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_that_fails_or_says_nothing_is_named(tmp_path: Path) -> None:
    def refuse(_: bytes) -> bytes:
        raise OSError(16, "Device or resource busy")

    for report, said in ((refuse, "busy"), (lambda _: b"", "0 bytes"), (lambda _: bytes(40_000), "bytes")):
        with pytest.raises(AttesterFailed, match=said):
            found(tmp_path, FakeKernel(report=report)).quote(DATA)
        assert list(tmp_path.iterdir()) == []


def table(*entries: tuple[str, bytes]) -> bytes:
    """AMD's certificate table, as a host writes it."""
    at = 24 * (len(entries) + 1)
    rows, certificates = b"", b""
    for guid, data in entries:
        offset = at + len(certificates)
        rows += UUID(guid).bytes + offset.to_bytes(4, "little") + len(data).to_bytes(4, "little")
        certificates += data
    return rows + bytes(24) + certificates


VCEK, ASK = "63da758d-e664-4564-adc5-f4b93be8accd", "4ab7b379-bbac-4fe4-a02f-05aef327c782"


def test_the_chips_certificates_come_with_the_report_where_the_host_has_them(tmp_path: Path) -> None:
    tsm = found(tmp_path, kernel := FakeKernel("sev_guest"))
    assert tsm.quote(DATA)[1] is None
    kernel.aux = table((VCEK, b"vcek"), (ASK, b"ask"))
    assert tsm.quote(DATA)[1] == AmdCollateral(ask=b"ask", vcek=b"vcek")
    kernel.aux = table((VCEK, b"vcek"))
    assert tsm.quote(DATA)[1] is None


@given(st.binary(max_size=200))
def test_any_table_of_certificates(data: bytes) -> None:
    with suppress(BadQuote):
        assert read_certificates(data) is None


def test_the_module_of_a_nitro_enclave_signs_our_bytes(tmp_path: Path) -> None:
    device = tmp_path / "nsm"
    device.write_bytes(b"")
    assert isinstance(find_nsm(device), Nsm)
    assert "is not there" in str(find_nsm(tmp_path / "none"))
    module = Nsm(device, FakeNsm(lambda data: {"Attestation": {"document": b"document of " + data}}))
    assert module.quote(DATA) == (b"document of " + DATA, None)


@pytest.mark.parametrize(
    "reply",
    [
        {"Error": "InvalidArgument"},
        {"Attestation": {}},
        {"Attestation": {"document": b""}},
        7,
        [],
        {"Attestation": None},
    ],
)
def test_a_module_that_refuses_is_named(tmp_path: Path, reply: object) -> None:
    (tmp_path / "nsm").write_bytes(b"")
    with pytest.raises(AttesterFailed, match="no attestation document"):
        Nsm(tmp_path / "nsm", FakeNsm(lambda _: reply)).quote(DATA)


def test_a_device_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(AttesterFailed, match="does not answer"):
        Nsm(tmp_path / "none").quote(DATA)


def test_a_device_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "nsm").write_bytes(b"")
    with pytest.raises(AttesterFailed, match="does not answer"):  # a real ioctl, on a plain file
        Nsm(tmp_path / "nsm").quote(DATA)


def test_the_development_attester_is_there_only_when_it_is_named(tmp_path: Path) -> None:
    key = tmp_path / "attester.key"
    assert find_attester("none", key, lambda: RUNTIME).attester is None
    auto = find_attester("auto", key, lambda: RUNTIME)
    assert auto.attester is None or auto.attester.kind != "dev"
    assert not key.exists()
    dev = find_attester("dev", key, lambda: RUNTIME).attester
    assert dev is not None
    quote, _ = dev.quote(DATA)
    said = read_dev(quote)
    assert (said.kind, said.measurement, said.report_data) == ("dev", RUNTIME, DATA)
    again = find_attester("dev", key, lambda: RUNTIME).attester
    assert again is not None
    assert read_dev(again.quote(DATA)[0]).maker == said.maker  # the same key


def test_a_development_attesters_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    find_attester("dev", tmp_path / "attester.key", lambda: RUNTIME)
    (tmp_path / "attester.key").chmod(0o644)
    with pytest.raises(CommandError, match="read by other users"):
        find_attester("dev", tmp_path / "attester.key", lambda: RUNTIME)


def test_the_runtimes_measurement_covers_each_file_of_ours(tmp_path: Path) -> None:
    for package in ("engine", "node", "p2p", "storage", "verify", "wire"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "code.py").write_text("x = 1\n")
    before = measure_runtime(tmp_path)
    assert measure_runtime(tmp_path) == before
    (tmp_path / "wire" / "__pycache__").mkdir()
    (tmp_path / "wire" / "__pycache__" / "code.cpython-311.pyc").write_bytes(b"x")  # made from what is covered
    assert measure_runtime(tmp_path) == before
    seen = {before}
    for change in ("changed", "added", "moved"):
        if change == "changed":
            (tmp_path / "engine" / "code.py").write_text("x = 2\n")
        elif change == "added":
            (tmp_path / "node" / "more.py").write_text("")
        else:
            (tmp_path / "node" / "more.py").rename(tmp_path / "node" / "other.py")
        seen.add(measure_runtime(tmp_path))
    assert len(seen) == 4
