"""The section of figures is replaced, and nothing beside it."""

from __future__ import annotations

from .table import HEAD, Row, section

ROWS = [Row("a link is down", "3.0 s", "30 s", True), Row("a pair", "relayed", "direct", False)]


def test_a_section_is_added_once_and_then_replaced() -> None:
    text = "# Figures\n\nMeasured.\n\n## Money\n\nNone.\n"
    once = section(text, ROWS, "Told.")
    assert once.startswith(text)
    assert once.endswith(
        f"\n\n{HEAD}\n\nTold.\n\n| scenario | found | aim | |\n|---|---|---|---|\n"
        "| a link is down | 3.0 s | 30 s |  |\n| a pair | relayed | direct | **not met** |\n"
    )
    assert section(once, ROWS, "Told.") == once


def test_what_stands_after_it_stays() -> None:
    text = f"# Figures\n\n{HEAD}\n\nOld.\n\n| old |\n\n## Later\n\nStays.\n"
    new = section(text, ROWS[:1], "New.")
    assert "old" not in new.lower().replace("told", "")
    assert new.endswith("| a link is down | 3.0 s | 30 s |  |\n\n## Later\n\nStays.\n")


def test_whatever_a_program_said_stays_in_its_cell() -> None:
    said = Row("a pair", "exit code 7:\n  nobody | answers", "an answer", False)
    assert "| a pair | exit code 7: nobody / answers | an answer | **not met** |\n" in section("", [said], "Told.")
