"""Results of runs in a file, so that half an hour of scenarios goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import msgspec

from .run import Result

_SHOWING = {"__main__.py", "kept.py", "page.py", "text.py"}  # they decide nothing in a run
_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class _Line:
    code: str
    result: Result


class Kept:
    """A result a line, with what made it: other code would give another one."""

    def __init__(self, place: Path) -> None:
        self._place, self._code = place, _code()

    def results(self, names: Sequence[str], peers: int, seed: int) -> list[Result]:
        """Those of these scenarios that this code has given before."""
        lines = self._place.read_bytes().splitlines() if self._place.exists() else []
        read = [msgspec.json.decode(line, type=_Line) for line in lines]
        found = {
            one.result.scenario: one.result
            for one in read
            if (one.code, one.result.peers, one.result.seed) == (self._code, peers, seed)
        }
        return [found[name] for name in names if name in found]

    def keep(self, result: Result) -> None:
        """One more."""
        with self._place.open("ab") as file:
            file.write(msgspec.json.encode(_Line(self._code, result)) + b"\n")


def _code() -> str:
    """A hash of all that decides in a run."""
    digest = blake2b(digest_size=16)
    for folder in ("wire", "p2p", "verify", "bench/simulation/network"):
        for file in sorted((_ROOT / folder).rglob("*.py")):
            if file.name not in _SHOWING:
                digest.update(file.read_bytes())
    return digest.hexdigest()
