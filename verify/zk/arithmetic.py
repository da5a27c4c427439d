"""Where the arithmetic of a proof is checked: not here. EZKL can panic, print and take all memory there is, so it runs
in a process of its own, and starting processes is not this package's craft. Who checks a proof says who computes.

Without that, every proof is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .statement import Statement

Checker = Callable[[Statement], str]  # "" when the proof holds, else a sentence; it never raises for what it is given


def _nobody(_: Statement) -> str:
    return "nobody here can check it: pip install 'hallmark[zk]'"


_checker: ContextVar[Checker] = ContextVar("checker of proofs", default=_nobody)


def fault(statement: Statement) -> str:
    """What is wrong with the proof; "" when it holds."""
    return _checker.get()(statement)


@contextmanager
def checked_by(checker: Checker) -> Iterator[None]:
    """While this lasts, and for this task alone, `checker` decides."""
    token = _checker.set(checker)
    try:
        yield
    finally:
        _checker.reset(token)
