"""What `hallmark doctor` says of attestation: what there is, whether it works, and what others would have to trust."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from verify.teepolicy import LEVELS
from verify.tiers.tee import read_quote
from verify.tiers.tee.attested import Attested, BadQuote
from verify.tiers.tee.dcap import platform_of
from wire.attestation import REPORT_DATA, Collateral

from ..config import Config
from ..datadir import DataDir
from .attester import Attester, AttesterFailed, find_attester
from .collateral import Collaterals
from .runtime import measure_runtime


@dataclass(frozen=True)
class Seen:
    """One thing looked at: well or not, what was found, and the step that mends it."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


def look_at_attestation(directory: DataDir, config: Config, now_s: int) -> Iterator[Seen]:
    """Everything about attestation on this machine. It makes one quote, where it can."""
    runtime = measure_runtime()
    found = find_attester(config.attester, directory.attester_key, lambda: runtime)
    collaterals = Collaterals(directory.collateral)
    if found.attester is None:
        yield Seen("attestation", True, f"none, so no tier tee is offered: {'; '.join(found.looked)}")
    else:
        yield from _try(found.attester, collaterals, directory, now_s)
    yield Seen("runtime", True, f"measures {runtime.hex()}")
    today = datetime.fromtimestamp(now_s, UTC).date()
    for kept in collaterals.all():
        said = f"{kept.platform}: issued {kept.issued}{_age(kept.issued, today)}, until {kept.until}"
        yield Seen("collateral", True, said + "; checked again whenever it is used")


def _try(attester: Attester, collaterals: Collaterals, directory: DataDir, now_s: int) -> Iterator[Seen]:
    data = os.urandom(REPORT_DATA)
    try:
        quote, collateral = attester.quote(data)
        held: Collateral | None = collateral
        if attester.kind in ("sgx", "tdx"):
            best = collaterals.best(attester.kind, quote, now_s)
            if best is None:
                name = platform_of(quote)
                mend = f"Lay what a PCS client fetched for it into {directory.collateral / name}.json"
                yield Seen("attestation", False, f"{attester.name} makes quotes; Intel's collateral is missing", mend)
                return
            held = best[0]
        said = read_quote(attester.kind, quote, held, now_s)
    except (AttesterFailed, BadQuote) as error:
        yield Seen("attestation", False, f"{attester.name}: {error}", "Mend what it names, or set attester to none.")
        return
    if said.report_data != data or said.debug:
        wrong = "it runs in debug mode" if said.debug else "it signs something else than it was given"
        yield Seen("attestation", False, f"{attester.name}: {wrong}", "Nobody will take its word: start it anew.")
        return
    yield Seen("attestation", True, f"{attester.name}: a quote was made, and holds")
    yield Seen("measurement", True, f"others have to trust {said.measurement.hex()} ({_firmware(said)})")
    yield Seen("registers", True, ", ".join(f"{name} {value.hex()}" for name, value in said.registers))


def _firmware(said: Attested) -> str:
    levels = ", ".join(f"{name} {level}" for name, level in zip(LEVELS, said.levels, strict=False))
    traits = f", {', '.join(said.traits)}" if said.traits else ""
    return (f"TCB {said.tcb}" if said.tcb else levels or "no verdict on firmware") + traits


def _age(issued: str, today: date) -> str:
    try:
        return f" ({(today - date.fromisoformat(issued)).days} days ago)"
    except ValueError:
        return ""
