"""The report and its plots: complete in themselves, and never more than text where a stranger's words stand."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.benching.page import page, write_page
from node.benching.plots import HEIGHT, WIDTH, Point, Series, axis, plot
from node.errors import CommandError, Exit

from .rows import ALICE, BOB, CARD, CPU, loop, model, step

PARAMS = {"tier": "signed", "duration": 2.0}
POSITIVE = st.floats(1e-3, 1e7)


def shown(*models: dict[str, Any]) -> str:
    return page({"models": list(models)}, PARAMS, datetime(2026, 11, 21, tzinfo=UTC))


@given(st.lists(POSITIVE, min_size=1, max_size=20))
def test_every_value_and_tick_lies_on_its_axis(values: list[float]) -> None:
    made = axis(values, from_zero=True)
    assert 2 <= len(made.ticks) <= 45
    for value in (*values, *made.ticks):
        assert -1e-6 <= made.place(value) <= 1 + 1e-6
    assert list(made.ticks) == sorted(made.ticks)


@given(st.lists(st.lists(st.tuples(POSITIVE, POSITIVE), max_size=5), max_size=4))
def test_a_plot_is_xml_and_nothing_leaves_its_frame(points: list[list[tuple[float, float]]]) -> None:
    series = [Series([Point(x, y, "8", "<&>") for x, y in one], i) for i, one in enumerate(points)]
    drawn = plot(series)
    if not any(points):
        assert drawn == ""
        return
    marks = list(ElementTree.fromstring(drawn).iter("circle"))
    assert len(marks) == sum(map(len, points))
    assert all(0 <= float(m.get("cx", "-1")) <= WIDTH and 0 <= float(m.get("cy", "-1")) <= HEIGHT for m in marks)


class Tags(HTMLParser):
    """What a browser would make of it."""

    VOID = ("meta", "br", "!doctype")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_fetches_nothing_and_runs_nothing() -> None:
    text = shown(model(steps=[step(ALICE, 1), step(ALICE, 8), step(BOB)], direct=[loop(1), loop(8)]))
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert not tags.seen & {"script", "link", "img", "iframe", "object", "form", "base", "a"}
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in text
    for said in ("coordinated omission", "nearest rank", ALICE, BOB, "1,234", "87%", "prefers-color-scheme"):
        assert said in text


def test_strangers_words_are_text() -> None:
    evil = '<script>alert(1)</script>"&'
    text = shown(
        model(name=evil, reference=evil, shapes=[evil], steps=[step(wrong=1, why_wrong=evil, backends={evil: 1})]),
        model(name=evil, left_out=evil),
    )
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 6


def test_a_cpu_that_stood_in_for_a_card_is_named_and_a_mixture_is_loud() -> None:
    fallen = shown(model(steps=[step(offered=CARD)]))
    assert f"executed by {CPU}, though it offers {CARD}" in fallen
    mixed = shown(model(steps=[step(backends={CPU: 5, CARD: 5})]))
    assert re.search(r'<li class="in bad">backends MIXED: ', mixed)


def test_a_model_without_answers_has_its_row_and_no_plot() -> None:
    none = dict.fromkeys(("p50_us", "p99_us", "max_us", "compute_share", "share_of_direct"))
    failures = {"failed": 3, "failures": {"timeout": 3}, "why_failed": "no answer"}
    empty = step(requests=0, items=0, items_per_s=0.0, backends={}, **none, **failures)
    text = shown(model(steps=[empty]))
    assert "<svg" not in text
    assert "failed at 8: 3 timeout; the last: no answer" in text


def test_a_better_backend_that_the_direct_loop_could_not_have_is_named() -> None:
    said = shown(model(direct=[loop(passed={"tensorrt": "<no BYTES>"})]))
    assert "not by tensorrt, which refuses it: &lt;no BYTES&gt;" in said


def test_a_direct_loop_far_from_what_was_served_does_not_press_it_into_a_corner() -> None:
    near = shown(model(steps=[step()], direct=[loop(items_per_s=2000.0)]))
    far = shown(model(steps=[step()], direct=[loop(items_per_s=9e6)]))
    assert "direct loop, by batch" in near
    assert "direct loop, by batch" not in far
    assert "9,000,000" in far


def test_a_report_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        write_page(tmp_path / "none" / "report.html", {"models": []}, PARAMS)
    assert caught.value.exit_code is Exit.STORAGE
