"""Runs `hallmark` inside the test's process, through the same `main` that the command calls."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from node.cli.main import main


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output, read as --json promises it: one object a line, each with its event."""
        read = [json.loads(line) for line in self.out.splitlines()]
        assert all(isinstance(line["event"], str) for line in read)
        return read


Hallmark = Callable[..., Ran]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hallmark:
    """`hallmark("id", "--json")`."""

    def hallmark(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["hallmark", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return Ran(int(left.value.code or 0), said.out, said.err)

    return hallmark
