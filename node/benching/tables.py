"""What a benchmark shows on a terminal: a table that moves while it runs, and the last one, which stays."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..chain.amounts import show_amount
from ..cli.screen import console, echo_json, size, table
from . import bounds

Row = dict[str, Any]
NOTHING = "–"


class Watched:
    """An `emit` for `bench`: a live table on a terminal, lines where there is none, objects with --json."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._console = console()
        self._live: Live | None = None
        self._steps: list[Row] = []

    def __enter__(self) -> Watched:
        if not self._json and self._console.is_terminal:
            self._live = Live(console=self._console, transient=True, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: Row) -> None:
        name = event["event"]
        if name == "live":
            self._move(event)
        elif self._json:
            echo_json(event)
        elif name == "step":
            self._steps = [s for s in self._steps if s["model"] == event["model"]] + [event]
            if self._live is None:
                self._console.print(f"  {line(event)}")
        elif text := event.get("text"):
            self._console.print(f"  {text}")

    def _move(self, event: Row) -> None:
        if self._live is None:
            return
        done = [step for step in self._steps if step["name"] == event["model"]]
        self._live.update(Group(Text(event["model"], style="bold"), steps(done, event["rows"])), refresh=True)


def show(result: Row, on: Console) -> None:
    """The last table of each model, and beneath it what a table has no room for."""
    for model in result["models"]:
        on.print()
        on.print(Text(model["name"], style="bold"))
        if "left_out" in model:
            on.print(f"  left out: {model['left_out']}")
            continue
        on.print(f"  {model['model']}")
        on.print(f"  {model['inputs']} inputs take turns: {', '.join(model['shapes'])}")
        on.print(f"  right is: {model['reference']}")
        if model.get("direct"):
            on.print(direct(model["direct"]))
            for said in passed(model["direct"]):
                on.print(f"  {said}")
        if model.get("steps"):
            on.print(steps(model["steps"]))
            for note in [*notes(model["steps"]), *limits(model["steps"])]:
                on.print(f"  {note}")


def steps(done: Sequence[Row], running: Sequence[Row] = ()) -> RenderableType:
    """A row for each step and peer; those that run come last, with what is known so far."""
    rows = table("peer", ">clients", ">items/s", ">p50 ms", ">p99 ms", ">batch", ">failed", ">wrong", ">of direct")
    for row in done:
        rows.add_row(
            short(row["peer"]), str(row["clients"]), number(row["items_per_s"] if row["requests"] else None),
            ms(row["p50_us"]), ms(row["p99_us"]), batch(row), whole(row["failed"]), whole(row["wrong"]),
            percent(row["share_of_direct"]),
        )  # fmt: skip
    for row in running:
        left = f"{row['left']:.0f} s left" if row["left"] is not None else "warm-up"
        rows.add_row(
            short(row["peer"]), str(row["clients"]), number(row["items_per_s"]), ms(row["p50_us"]), left, "",
            whole(row["failed"]), whole(row["wrong"]), "", style="dim",
        )  # fmt: skip
    return rows


def direct(measured: Sequence[Row]) -> Table:
    """The direct loop, a row for each batch size."""
    rows = table("direct", ">batch", ">items/s", ">p50 ms", ">p99 ms", "")
    for row in measured:
        rows.add_row(
            "loop", str(row["batch"]), number(row["items_per_s"]), ms(row["p50_us"]), ms(row["p99_us"]),
            row["why"] or row["backend"],
        )  # fmt: skip
    return rows


def passed(measured: Sequence[Row]) -> list[str]:
    """The better backends that the direct loop did not have, and why."""
    return [f"not by {kind}, which refuses it: {why}" for kind, why in measured[0]["passed"].items()]


def notes(done: Sequence[Row]) -> list[str]:
    """For each peer: what executed, bytes, price, what went wrong, and whether it signed."""
    found = []
    for peer in dict.fromkeys(row["peer"] for row in done):
        mine = [row for row in done if row["peer"] == peer]
        found.append(f"{short(peer)} is {peer}")
        backends = dict.fromkeys(name for row in mine for name in row["backends"])
        if len(backends) > 1:
            found.append(f"  backends MIXED: {', '.join(backends)}")
        elif backends:
            (backend,) = backends
            differs = "" if backend == mine[0]["offered"] else f", though it offers {mine[0]['offered']}"
            found.append(f"  executed by {backend}{differs}")
        if shares := [
            f"{percent(r['compute_share'])} at {r['clients']}" for r in mine if r["compute_share"] is not None
        ]:
            found.append(f"  of an answer's time it computed {', '.join(shares)} clients")
        sent, received = (size(sum(row[way] for row in mine)) for way in ("sent_bytes", "received_bytes"))
        prices = [r["price_per_1000"] for r in mine if r["price_per_1000"] is not None]
        found.append(
            f"  tensors: {sent} sent, {received} received"
            + (f"; price of 1,000 items: {show_amount(max(prices))}" if prices else "")
        )
        for row in mine:
            if row["wrong"]:
                found.append(f"  WRONG at {row['clients']}: {row['wrong']} answers, not counted: {row['why_wrong']}")
            if row["failed"] or row["given_up"]:
                kinds = ", ".join(f"{n} {kind}" for kind, n in row["failures"].items()) or "given up"
                found.append(f"  failed at {row['clients']}: {kinds}; the last: {row['why_failed']}")
        signed = [str(r["clients"]) for r in mine if r["countersigned"]]
        if signed:
            found.append(f"  countersigned its figures at {', '.join(signed)} clients")
        for why in dict.fromkeys(r["unsigned"] for r in mine if r["unsigned"]):
            found.append(f"  not countersigned: {why}")
    return found


def limits(done: Sequence[Row]) -> list[str]:
    """Where the measurer itself may have been what was slow."""
    busy = {row["clients"]: row["measurer_cpu"] for row in done if row["measurer_cpu"] >= bounds.MEASURER_BUSY}
    if not busy:
        return []
    at = ", ".join(map(str, busy))
    most = f"{max(busy.values()):.0%} of a core"
    return [f"at {at} clients this machine, which measures, was itself busy ({most}): the peers may bear more"]


def line(row: Row) -> str:
    """A step in one line, where no table can move."""
    rate = number(row["items_per_s"] if row["requests"] else None)
    bad = f", {row['failed']} failed, {row['wrong']} wrong" if row["failed"] or row["wrong"] else ""
    who = f"{row['name']} {short(row['peer'])} {row['clients']} clients"
    return f"{who}: {rate} items/s, p50 {ms(row['p50_us'])} ms, batch {batch(row)}{bad}"


def short(peer: str) -> str:
    """The end of a peer id: their beginnings are alike."""
    return f"…{peer[-8:]}"


def number(value: float | None) -> str:
    """Four digits or so."""
    if value is None:
        return NOTHING
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:,.{digits}f}"


def ms(us: int | None) -> str:
    """Microseconds as milliseconds."""
    return NOTHING if us is None else number(us / 1000)


def batch(row: Row) -> str:
    """How many requests were executed together: the median, and the most where that is another."""
    middle, most = row["batch_p50"], row["batch_max"]
    if middle is None:
        return NOTHING
    return str(middle) if middle == most else f"{middle}≤{most}"


def percent(share: float | None) -> str:
    return NOTHING if share is None else f"{share:.0%}"


def whole(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"
