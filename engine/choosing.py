"""Which backends a model is tried on: what the operator wants, what the model's profile allows, what executed here.

A backend of a card counts once its probe executed, in this process's life; the CPU's need none, since no model is
offered that has not run once. Where a model is refused by the best of them it goes to the next, and the reason is
kept: a receipt names what executed, `hallmark ps` why it was not the better one.
"""

from __future__ import annotations

import logging

import trio

from wire.generation import Interface

from .cardfiles import has_card
from .errors import EngineError, ModelRefused
from .probing import probe_backend
from .profiles import KINDS, BackendKind, Wanted, profile_of

log = logging.getLogger("hallmark.engine")


class Choice:
    """What an operator wants, and what was found out so far."""

    def __init__(self, wanted: Wanted) -> None:
        self.card_memory = 0  # bytes of the card, once a probe executed there
        self._wanted = wanted
        self._problems: dict[BackendKind, str | None] = {}  # None: it executed
        self._one_probe = trio.Lock()

    async def backends(self, profile: str, interface: Interface) -> tuple[BackendKind, ...]:
        """The best first; never empty. ModelRefused where the profile leaves none, EngineError where none executes."""
        allowed = profile_of(profile).backends(interface)
        if not allowed:
            raise ModelRefused(f"nothing is generated under the runtime profile {profile!r}")
        if self._wanted == "auto":
            found = [kind for kind in KINDS if kind in allowed and await self._problem(kind) is None]
            if not found:
                raise ModelRefused(
                    f"the runtime profile {profile!r} needs {' or '.join(allowed)} for this model, and none executes "
                    "here; hallmark doctor says why"
                )
            return tuple(found)
        if self._wanted not in allowed:
            raise ModelRefused(
                f"the runtime profile {profile!r} has this model executed by {' or '.join(allowed)}, and this peer's "
                f"backend is {self._wanted}: change that setting, or leave it to auto"
            )
        if (problem := await self._problem(self._wanted)) is not None:
            raise EngineError(f"{self._wanted} does not execute here: {problem}")
        return (self._wanted,)

    async def learn_card(self) -> None:
        """See to it that `card_memory` is known, where a card is used at all."""
        for kind in KINDS:
            if kind != "onnxruntime-cpu" and self._wanted in ("auto", kind):
                await self._problem(kind)

    async def _problem(self, kind: BackendKind) -> str | None:
        if kind == "onnxruntime-cpu":
            return None
        if self._wanted == "auto" and not has_card():
            return "there is no card here"
        async with self._one_probe:
            if kind not in self._problems:
                found = await probe_backend(kind)
                missing = "" if found.installed else "it is not installed; "
                self._problems[kind] = None if found.backend else missing + found.problem
                self.card_memory = max(self.card_memory, found.card_memory)
                if found.installed:
                    log.info("%s executes here%s", kind, f" not: {found.problem}" if found.problem else "")
            return self._problems[kind]
