"""A dishonest provider: a peer like any other, but it changes each answer before it signs it.

It stands for one that runs a smaller model to save money. Everything else it does by the rules; the committee is what
catches it. Used by the demonstration and by tests: python -m node.demo.dishonest DATA_DIR [serve's flags]
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


def shift(outputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The outputs with their last axis rolled by one: plausible numbers under the wrong labels."""
    return tuple(
        from_array(t.name, np.ascontiguousarray(np.roll(to_array(t), 1, axis=-1)), t.header.datatype) for t in outputs
    )


def lie() -> None:
    """From now on every execution in this process is a lie."""
    honest = Engine.execute

    async def execute(
        self: Engine, model: bytes, inputs: Sequence[Tensor], *, deadline: float, on_tokens: OnTokens | None = None
    ) -> Execution:
        execution = await honest(self, model, inputs, deadline=deadline, on_tokens=on_tokens)
        return replace(execution, outputs=shift(execution.outputs))

    Engine.execute = execute  # type: ignore[method-assign]  # the lie itself


if __name__ == "__main__":
    lie()
    from node.cli.main import main

    sys.argv = ["hallmark", "serve", "--data-dir", *sys.argv[1:]]
    main()
