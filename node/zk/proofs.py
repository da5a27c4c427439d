"""Proofs checked in a node: by a warm process, once each, so that a check inside the loop is only a look.

`verify` decides what a proof has to state and asks whether it holds, without waiting. So who asked for an answer has
its proof checked first, and what was found is remembered for that moment.
"""

from __future__ import annotations

from collections import OrderedDict

import trio

from engine import EngineError
from engine.zk.running import Verifier, open_verifier
from verify.zk.statement import Statement

from ..bounds import MAX_CHECKED_PROOFS


class CheckedProofs:
    """What was found of the last proofs. A machine but for `check`."""

    def __init__(self) -> None:
        self._verifier = Verifier()
        self._found: OrderedDict[bytes, str] = OrderedDict()

    async def check(self, statement: Statement) -> str:
        """ "" when the proof holds, else what is wrong. EngineError when that could not be found out."""
        name = statement.hash
        if name not in self._found:
            fault = await self._verifier.check(statement.files)
            self._found[name] = fault
            if len(self._found) > MAX_CHECKED_PROOFS:
                self._found.popitem(last=False)
        return self._found[name]

    def found(self, statement: Statement) -> str:
        """As `check` found it; a fault when it did not."""
        return self._found.get(statement.hash, "it could not be checked")

    async def close(self) -> None:
        """End the process."""
        await self._verifier.close()


def check_now(statement: Statement) -> str:
    """Check one proof in a process for it alone. Blocks, and must not be called inside trio."""

    async def check() -> str:
        async with open_verifier() as verifier:
            return await verifier.check(statement.files)

    try:
        return trio.run(check)
    except EngineError as error:
        return str(error)
