"""What can go wrong with an execution, by what helps: another model, another input, another try, another time."""

from __future__ import annotations


class EngineError(Exception):
    """The engine could not do this; the text says what happened and what to do next."""


class NotLoaded(EngineError):
    """This model is not loaded here: load it, then ask again."""


class ModelRefused(EngineError):
    """This model will not be executed here, whatever its input: the reason says what to change in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ModelFailed(EngineError):
    """The model failed on this input: the same input fails again, here and elsewhere; send another."""


class WorkerDied(EngineError):
    """The worker process ended while it had this request: nothing else was lost, and a retry can help."""


class ExecutionTimeout(EngineError):
    """The deadline passed: ask again with a later one, or elsewhere."""


class EngineBusy(EngineError):
    """Too many requests wait already: try again later, or elsewhere."""
