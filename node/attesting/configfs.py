"""Quotes from Linux (6.7 or newer) in a confidential guest: configfs-tsm, one interface to TDX and SEV-SNP.

Making a directory makes a report; its attribute `inblob` takes our 64 bytes, `outblob` gives the quote, `auxblob` what
the host knows besides (certificates). `generation` counts the writes, so that nobody else's report is taken for ours.
Source: Documentation/ABI/testing/configfs-tsm-report.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import ClassVar
from uuid import UUID

from verify.tiers.tee.attested import BadQuote
from wire.attestation import MAX_QUOTE, AmdCollateral, TeeKind

from .attester import AttesterFailed

TSM = Path("/sys/kernel/config/tsm/report")
PROVIDERS: dict[str, TeeKind] = {"tdx_guest": "tdx", "sev_guest": "snp"}
AUX = 64 * 1024  # bytes of certificates read, at most
# SEV-SNP's certificate table (AMD 56421): 16 bytes of GUID, offset and length; a row of zeros ends it.
_VCEK, _ASK = UUID("63da758d-e664-4564-adc5-f4b93be8accd"), UUID("4ab7b379-bbac-4fe4-a02f-05aef327c782")
_ROW = 24


class Files:
    """The file system, as far as a report needs it. The kernel answers behind it."""

    def mkdir(self, path: Path) -> None:
        path.mkdir()

    def rmdir(self, path: Path) -> None:
        path.rmdir()

    def read(self, path: Path, most: int) -> bytes:
        with path.open("rb", buffering=0) as file:
            return b"".join(iter(lambda: file.read(most), b""))[: most + 1]

    def write(self, path: Path, data: bytes) -> None:
        with path.open("wb", buffering=0) as file:
            file.write(data)


class ConfigfsTsm:
    """The kernel's reports. Raises AttesterFailed where it has none to give."""

    _numbers: ClassVar[count[int]] = count()

    def __init__(self, kind: TeeKind, where: Path = TSM, files: Files | None = None) -> None:
        self.kind, self._where, self._files = kind, where, files or Files()
        self.name = f"configfs-tsm ({kind})"

    def quote(self, report_data: bytes) -> tuple[bytes, AmdCollateral | None]:
        """A quote over 64 bytes of our own, and the chip's certificates where the host passes them on."""
        entry = self._where / f"hallmark-{os.getpid()}-{next(self._numbers)}"
        files = self._files
        try:
            files.mkdir(entry)
            try:
                self._rise(entry)
                before = int(files.read(entry / "generation", 32))
                files.write(entry / "inblob", report_data)
                quote = files.read(entry / "outblob", MAX_QUOTE)
                collateral = self._certificates(entry)
                if int(files.read(entry / "generation", 32)) != before + 1:
                    raise AttesterFailed("somebody else wrote into our report: it was thrown away")
            finally:
                files.rmdir(entry)
        except (OSError, ValueError) as error:
            raise AttesterFailed(f"the kernel gave no report: {error}") from error
        if not 0 < len(quote) <= MAX_QUOTE:
            raise AttesterFailed(f"the kernel's report has {len(quote)} bytes")
        return quote, collateral

    def _rise(self, entry: Path) -> None:
        """Ask as the privilege level that we run at, where there are several (SEV-SNP under a service module)."""
        try:
            floor = int(self._files.read(entry / "privlevel_floor", 32))
        except FileNotFoundError:
            return
        if floor:
            self._files.write(entry / "privlevel", b"%d" % floor)

    def _certificates(self, entry: Path) -> AmdCollateral | None:
        if self.kind != "snp":
            return None
        try:
            return read_certificates(self._files.read(entry / "auxblob", AUX))
        except FileNotFoundError:
            return None


def find_configfs(where: Path = TSM, files: Files | None = None) -> ConfigfsTsm | str:
    """The kernel's interface, or why there is none, in a sentence."""
    files = files or Files()
    if not where.is_dir():
        return f"{where} is not there: no confidential guest, or a Linux older than 6.7"
    entry = where / f"hallmark-{os.getpid()}-probe"
    try:
        files.mkdir(entry)
        try:
            provider = files.read(entry / "provider", 64).decode().strip()
        finally:
            files.rmdir(entry)
    except (OSError, ValueError) as error:
        return f"{where} cannot be used: {error}"
    if provider not in PROVIDERS:
        return f"{where} is served by {provider[:32]!r}, which this release does not know"
    return ConfigfsTsm(PROVIDERS[provider], where, files)


def read_certificates(table: bytes) -> AmdCollateral | None:
    """The chip's certificates in a host's table; None where either is missing, BadQuote where the table is none."""
    found: dict[UUID, bytes] = {}
    for at in range(0, len(table) - _ROW + 1, _ROW):
        row = table[at : at + _ROW]
        if not any(row):
            break
        offset, length = (int.from_bytes(row[i : i + 4], "little") for i in (16, 20))
        if offset + length > len(table):
            raise BadQuote("the host's table of certificates points beyond its end")
        found[UUID(bytes=row[:16])] = table[offset : offset + length]
    if _ASK not in found or _VCEK not in found:
        return None
    return AmdCollateral(ask=found[_ASK], vcek=found[_VCEK])
