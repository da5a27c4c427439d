from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from node.benching import tables
from node.benching.tables import Watched, limits, notes, number, show

from .rows import ALICE, BOB, CARD, CPU, loop, model, step


def on(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False, markup=False, soft_wrap=True)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_table_fits_80_columns() -> None:
    console = on()
    wide = step(
        items_per_s=123_456.0, p50_us=12_345_678, p99_us=12_345_678, batch_p50=128, batch_max=256, failed=99_999,
        wrong=99_999,
    )  # fmt: skip
    show({"models": [model(steps=[step(ALICE, 256), wide], direct=[loop(1), loop(64)])]}, console)
    rows = [line for line in text_of(console).splitlines() if line.startswith(("…", "loop", "peer", "direct"))]
    assert len(rows) == 6
    assert max(map(len, rows)) <= 80


def test_it_says_what_executed_what_was_wrong_and_what_is_not_signed() -> None:
    said = "\n".join(
        notes(
            [
                step(ALICE, 1, offered=CARD),
                step(ALICE, 8, wrong=3, why_wrong="y differs by 0.2", countersigned=False, unsigned="it refused"),
                step(BOB, backends={CPU: 1, CARD: 2}, failed=2, failures={"overloaded": 2}, why_failed="busy"),
            ]
        )
    )
    assert f"executed by {CPU}, though it offers {CARD}" in said
    assert "WRONG at 8: 3 answers, not counted: y differs by 0.2" in said
    assert "of an answer's time it computed 62% at 1, 62% at 8 clients" in said
    assert "countersigned its figures at 1 clients" in said
    assert "not countersigned: it refused" in said
    assert f"backends MIXED: {CPU}, {CARD}" in said
    assert "failed at 8: 2 overloaded; the last: busy" in said


@pytest.mark.parametrize(("middle", "most", "text"), [(None, None, "–"), (1, 1, "1"), (6, 8, "6≤8")])
def test_a_batch_is_the_median_and_the_most(middle: int | None, most: int | None, text: str) -> None:
    assert tables.batch(step(batch_p50=middle, batch_max=most)) == text


def test_it_says_where_the_measurer_itself_was_the_limit() -> None:
    assert limits([step(clients=1)]) == []
    busy = [step(ALICE, 8, measurer_cpu=0.85), step(BOB, 8, measurer_cpu=0.85), step(ALICE, 64, measurer_cpu=0.99)]
    (said,) = limits(busy)
    assert "at 8, 64 clients" in said
    assert "99% of a core" in said


def test_it_says_which_better_backend_the_direct_loop_could_not_have() -> None:
    console = on()
    show({"models": [model(direct=[loop(passed={"tensorrt": "it has no BYTES"})])]}, console)
    assert "not by tensorrt, which refuses it: it has no BYTES" in text_of(console)


def test_a_model_that_was_left_out_says_why() -> None:
    console = on()
    show({"models": [{"name": "minilm", "left_out": "its file is not on this machine"}]}, console)
    assert "left out: its file is not on this machine" in text_of(console)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.005, "0.005"), (0.5, "0.50"), (12.34, "12.3"), (1234.5, "1,234")]
)
def test_numbers_have_few_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_with_json_only_steps_are_told_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    live = {"event": "live", "model": "digits@1.0.0", "rows": []}
    told = {key: value for key, value in step().items() if key != "benchmark"} | {"event": "step"}
    with Watched(as_json=True) as watched:
        watched(live)
        watched(told)
    assert json.loads(capsys.readouterr().out) == told


def test_without_a_terminal_a_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Watched(as_json=False) as watched:
        watched({"event": "live", "model": "digits@1.0.0", "rows": []})
        watched({"event": "step"} | step(wrong=2))
    said = capsys.readouterr().out
    assert (
        said.strip()
        == f"digits@1.0.0 …{ALICE[-8:]} 8 clients: 1,234 items/s, p50 6.50 ms, batch 6≤8, 0 failed, 2 wrong"
    )


def test_on_a_terminal_a_table_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), width=80, force_terminal=True, highlight=False, markup=False)
    monkeypatch.setattr(tables, "console", lambda: screen)
    running = {"peer": BOB, "clients": 8, "left": None, "items": 0, "items_per_s": None, "p50_us": None, "failed": 0,
               "wrong": 0}  # fmt: skip
    with Watched(as_json=False) as watched:
        watched({"event": "step"} | step(ALICE, 1))
        watched({"event": "live", "model": "digits@1.0.0", "rows": [running, running | {"left": 3.2}]})
    said = text_of(screen)
    assert all(word in said for word in (ALICE[-8:], BOB[-8:], "warm-up", "3 s left"))
