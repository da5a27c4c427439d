"""TensorRT itself: the module, whichever is installed, and its log, for on failure it returns None or False."""

from __future__ import annotations

from collections import deque
from importlib import import_module
from typing import Any

from ...errors import EngineError
from ...profiles import TENSORRT_MODULES

_LEAST = {"tensorrt": 11, "tensorrt_rtx": 1}  # networks are always strongly typed from here on
_KEPT = 6  # messages of an error; the first ones name the cause
_LONGEST = 400  # characters of one


def find_tensorrt() -> Any:
    """The module; EngineError, with the next step, where none can be used."""
    why = []
    for name in TENSORRT_MODULES:
        try:
            module = import_module(name)
            major = int(module.__version__.split(".")[0])
        except (ImportError, OSError, AttributeError, ValueError) as error:  # a stub package has neither
            why.append(f"{name}: {error}")
            continue
        if major < _LEAST[name_of(module)]:
            why.append(f"{name}: {module.__version__} is too old")
            continue
        return module
    raise EngineError(f"TensorRT cannot be imported ({'; '.join(why)}); install it: pip install 'hallmark[tensorrt]'")


def name_of(module: Any) -> str:
    """Which of the two it is."""
    return str(module.__name__).partition(".")[0].removesuffix("_bindings")


def new_log(module: Any) -> Any:
    """A logger for every object of the module; `said()` tells what went wrong since it was asked last."""

    class Log(module.ILogger):  # type: ignore[misc]  # a base that is known only now
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self._errors: deque[str] = deque(maxlen=_KEPT)

        def log(self, severity: Any, message: str) -> None:
            if severity in (module.ILogger.ERROR, module.ILogger.INTERNAL_ERROR) and len(self._errors) < _KEPT:
                self._errors.append(" ".join(message.split())[:_LONGEST])

        def said(self) -> str:
            text = "; ".join(self._errors)
            self._errors.clear()
            return text or "it gave no reason"

    return Log()
