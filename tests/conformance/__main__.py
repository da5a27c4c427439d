"""`make conformance`: every case that ONNX Runtime itself passes, asked of a peer; counts in docs/conformance.md.

`python -m tests.conformance [--only PATTERN] [--resume]`. What is done is kept in build/conformance.jsonl, a line a
case, so that a run which was broken off goes on where it was, and asks again what failed; a change of versions, or no
--resume, begins anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trio

from .cases import Case, all_cases
from .serving import BATCH, Verdict, open_stand, serve_all
from .table import write_table

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "conformance.jsonl"
TABLE = ROOT / "docs" / "conformance.md"
Row = Mapping[str, Any]


def references(cases: Sequence[Case]) -> Iterator[Row]:
    """What ONNX Runtime does with each case when it is called directly."""
    after, left = "", [case.name for case in cases]
    while left:
        command = [sys.executable, "-m", "tests.conformance.reference", *([after] if after else [])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True) as child:
            assert child.stdout is not None
            for line in child.stdout:
                row = json.loads(line)
                left.remove(row["name"])
                after = row["name"]
                yield row
        if left:
            after = left.pop(0)
            yield {"name": after, "why": "ends the process"}


class Kept:
    """The rows done so far, by the case's name, also on disk."""

    def __init__(self, resume: bool) -> None:
        self.rows: dict[str, Row] = {}
        header = json.dumps({name: version(name) for name in ("onnx", "onnxruntime", "numpy")})
        KEPT.parent.mkdir(exist_ok=True)
        lines = KEPT.read_text().splitlines() if resume and KEPT.exists() else []
        if lines and lines[0] == header:
            self.rows = {row["name"]: row for row in map(json.loads, lines[1:]) if not row["why"]}
        else:
            KEPT.write_text(header + "\n")

    def add(self, row: Row) -> None:
        self.rows[row["name"]] = row
        with KEPT.open("a") as file:
            file.write(json.dumps(row) + "\n")


def main() -> int:
    """Run what is left, write the table; 1 when a case that ONNX Runtime passes does not pass through a peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="such as 'node/test_cast*'; writes no table")
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    cases, kept = all_cases(), Kept(arguments.resume)
    say(f"{len(cases)} cases; first ONNX Runtime by itself")
    asked = []
    for reference in references(cases):
        case = next(case for case in cases if case.name == reference["name"])
        if reference["why"] is not None:
            kept.rows[case.name] = {"name": case.name, "alone": reference["why"], "obstacle": case.obstacle}
        elif case.name not in kept.rows and fnmatch(case.name, arguments.only):
            asked.append(case)
    say(f"{len(asked)} cases to be asked of a peer")
    trio.run(serve_batches, asked, kept)
    failed = [row for row in kept.rows.values() if row.get("why")]
    for row in failed:
        say(f"FAILED {row['name']}: {row['why']}")
    if len(kept.rows) == len(cases):
        write_table(TABLE, list(kept.rows.values()))
        say(f"written: {TABLE.relative_to(ROOT)}")
    return int(bool(failed))


async def serve_batches(cases: Sequence[Case], kept: Kept) -> None:
    """All cases, each batch of a provider of its own."""
    done = 0

    def tell(case: Case, verdict: Verdict) -> None:
        nonlocal done
        done += 1
        row = {"name": case.name, "obstacle": case.obstacle, "example": verdict.with_example, "why": verdict.why}
        kept.add(row)
        if verdict.why or done % 20 == 0 or done == len(cases):
            say(f"{done}/{len(cases)} {case.name}: {verdict.why or 'passes'}")

    for at in range(0, len(cases), BATCH):
        with TemporaryDirectory(prefix="hallmark-") as place:
            async with open_stand(Path(place)) as stand:
                await serve_all(stand, cases[at : at + BATCH], tell)


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    sys.exit(main())
