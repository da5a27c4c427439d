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


class FilesNeeded(ModelRefused):
    """The graph keeps weights in files that were not given with it: give these too. Relative to its folder, sorted."""

    def __init__(self, reason: str, paths: tuple[str, ...]) -> None:
        super().__init__(reason)
        self.paths = paths


class ModelFailed(EngineError):
    """The model failed on this input: the same input fails again, here and elsewhere; send another."""


class BeyondHere(ModelFailed):
    """The input is larger than this peer made the model ready for: send a smaller one, or ask another peer."""


class CardError(BeyondHere):
    """The card could not do this now, most often for want of memory: send a smaller input, or ask another peer."""


class CardLost(CardError):
    """The card, or its driver, failed in a way that only a new process mends."""


class WorkerDied(EngineError):
    """The worker process ended while it had this request: nothing else was lost, and a retry can help.

    `how` it ended stands in the text before what to do next.
    """

    def __init__(self, how: str, then: str = "Ask again: it is started anew") -> None:
        super().__init__(f"{how}. {then}")
        self.how = how


class ExecutionTimeout(EngineError):
    """The deadline passed: ask again with a later one, or elsewhere."""


class EngineBusy(EngineError):
    """Too many requests wait already: try again later, or elsewhere."""

    after = 0.0  # in about so many seconds it may be better; 0 where that is not known
