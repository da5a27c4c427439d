"""Progress for people: a bar with a rate for what has a size, a line for what has a name. Piped, only the lines.

What a generator says before it is proved is shown on a terminal alone, dim: nobody can mistake it for the answer, which
follows. Piped, it would be one.
"""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .screen import console, echo_json, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Shown:
    """An `emit` that shows events as they come; use as a context manager, so that the bar ends before the result."""

    def __init__(self, as_json: bool) -> None:
        self._json = as_json
        self._task: TaskID | None = None
        self._speaking = False  # a line of what is not proved yet has not ended

    @cached_property
    def _bar(self) -> Progress:
        from rich import progress as rich  # most commands have nothing to tell before their result

        return rich.Progress(
            rich.TextColumn("{task.description}"), rich.BarColumn(), rich.DownloadColumn(binary_units=True),
            rich.TransferSpeedColumn(), rich.TimeRemainingColumn(), rich.TextColumn("{task.fields[peers]}"),
            console=console(), transient=True,
        )  # fmt: skip

    def __enter__(self) -> Shown:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:  # stopping a bar that never began prints an empty line
            self._bar.stop()
        self._end_speech()

    def __call__(self, event: dict[str, Any]) -> None:
        if self._json:
            echo_json(event)
            return
        if event["event"] == "tokens":
            self._speak(event)
            return
        withdrawn = self._end_speech() and event["event"] in ("rejected", "failed")
        if "total" in event:
            if self._task is None:
                self._bar.start()
                self._task = self._bar.add_task(event["event"], total=event["total"], peers="")
            peers = {1: "from 1 peer"}.get(event["peers"], f"from {event['peers']} peers") if "peers" in event else ""
            self._bar.update(self._task, completed=event["done"], total=event["total"], peers=peers)
        if text := event.get("text"):
            self._bar.console.print(f"  {text}")
        if withdrawn:
            self._bar.console.print("  What it said above is withdrawn: do not use it.")

    def _speak(self, event: dict[str, Any]) -> None:
        screen = self._bar.console
        if not screen.is_terminal or event["text"] == "":
            return
        if not self._speaking:
            screen.print(f"  not proved yet, from {event['peer']}:", style="dim")
            self._speaking = True
        said = " ".join([*map(str, event["ids"]), ""]) if event["text"] is None else printable(event["text"])
        screen.print(said, style="dim", end="")

    def _end_speech(self) -> bool:
        """Whether there was any."""
        spoken, self._speaking = self._speaking, False
        if spoken:
            self._bar.console.print()
        return spoken
