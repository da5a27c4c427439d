"""What a person sees of a generator before its answer is proved: on a terminal alone, and never as if it were one."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from node.cli import progress
from node.cli.progress import Shown

PEER = "16Uiu2Somebody"


def spoken(text: str | None, *ids: int) -> dict[str, Any]:
    return {"event": "tokens", "peer": PEER, "ids": list(ids), "text": text}


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal."""
    file = io.StringIO()
    made = Console(
        file=file, force_terminal=True, highlight=False, markup=False, soft_wrap=True, color_system="standard"
    )
    monkeypatch.setattr(progress, "console", lambda: made)
    return file


def show(screen: io.StringIO, *events: dict[str, Any]) -> str:
    with Shown(as_json=False) as shown:
        for event in events:
            shown(event)
    return screen.getvalue()


def test_what_is_not_proved_is_dim_and_says_so(screen: io.StringIO) -> None:
    text = show(screen, spoken(""), spoken("Once"), spoken(""), spoken(" upon\n[bold]"))
    dim, plain = "\x1b[2m", "\x1b[0m"
    assert text.splitlines()[0] == f"{dim}  not proved yet, from {PEER}:{plain}"
    assert text.replace(dim, "").replace(plain, "").endswith(":\nOnce upon\n[bold]\n")
    outside = [piece.rpartition(plain)[2] for piece in text.split(dim)]
    assert "".join(outside).strip() == ""


def test_ids_are_shown_where_there_is_no_text(screen: io.StringIO) -> None:
    assert "17 4 5 " in show(screen, spoken(None, 17, 4), spoken(None, 5)).replace("\x1b[0m", "").replace("\x1b[2m", "")


@pytest.mark.parametrize("event", ["rejected", "failed"])
def test_what_was_shown_is_withdrawn_with_its_answer(screen: io.StringIO, event: str) -> None:
    told = {"event": event, "peer": PEER, "text": "REJECTED: it lied"}
    text = show(screen, spoken("Once"), told, told)
    assert text.count("\n  REJECTED: it lied\n  What it said above is withdrawn: do not use it.\n") == 1
    assert text.count("withdrawn") == 1
    assert "withdrawn" not in show(screen, told).removeprefix(text)


def test_it_cannot_steer_the_terminal(screen: io.StringIO) -> None:
    text = show(screen, spoken("a\x1b[2J\x9b1;1H\r\u202eb\x07"))
    for mark in ("\x1b[2J", "\x9b", "\r", "\u202e", "\x07"):
        assert mark not in text


def test_a_pipe_gets_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    with Shown(as_json=False) as shown:
        shown(spoken("Once"))
    assert capsys.readouterr().out == ""
    with Shown(as_json=True) as shown:
        shown(spoken("Once", 1))
    assert json.loads(capsys.readouterr().out) == spoken("Once", 1)
