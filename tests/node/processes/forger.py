"""A provider that puts one other token into each story, and the text that goes with it, and shows nothing beforehand.

As `node.demo.dishonest`, but a forgery that fits in itself: only whoever has the model finds it out. A program:
python forger.py DATA_DIR [serve's flags].
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine import Engine, Execution
from node.streaming import OnTokens
from wire.arrays import from_array, to_array
from wire.tensors import Tensor

_PLACE = 5


def forge() -> None:
    """From now on each story in this process has another token in one place."""
    honest = Engine.execute

    async def execute(
        self: Engine,
        model: bytes,
        inputs: Sequence[Tensor],
        *,
        deadline: float,
        on_tokens: OnTokens | None = None,  # noqa: ARG001
    ) -> Execution:
        execution = await honest(self, model, inputs, deadline=deadline)
        tokens, _, *rest = execution.outputs
        ids = to_array(tokens).copy()
        ids[_PLACE] = (ids[_PLACE] + 1) % 256
        said = bytes(i for i in ids.tolist() if i < 256).decode(errors="replace")
        return replace(
            execution, outputs=(from_array("tokens", ids), from_array("text", np.array([said], object)), *rest)
        )

    Engine.execute = execute  # type: ignore[method-assign]  # the forgery itself


if __name__ == "__main__":
    forge()
    from node.cli.main import main

    sys.argv = ["hallmark", "serve", "--data-dir", *sys.argv[1:]]
    main()
