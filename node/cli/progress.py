"""Progress for people: a bar with a rate for what has a size, a line for what has a name. Piped, only the lines."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from .screen import console, echo_json


class Shown:
    """An `emit` that shows events as they come; use as a context manager, so that the bar ends before the result."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(),
            TimeRemainingColumn(), TextColumn("{task.fields[peers]}"), console=console(), transient=True,
        )  # fmt: skip
        self._task: TaskID | None = None

    def __enter__(self) -> Shown:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:  # stopping a bar that never began prints an empty line
            self._bar.stop()

    def __call__(self, event: dict[str, Any]) -> None:
        if self._json:
            echo_json(event)
            return
        if "total" in event:
            if self._task is None:
                self._bar.start()
                self._task = self._bar.add_task(event["event"], total=event["total"], peers="")
            peers = {1: "from 1 peer"}.get(event["peers"], f"from {event['peers']} peers") if "peers" in event else ""
            self._bar.update(self._task, completed=event["done"], total=event["total"], peers=peers)
        if text := event.get("text"):
            self._bar.console.print(f"  {text}")
