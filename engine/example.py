"""The first run of a model that brings an example: on that, instead of inputs that we make up. Worker side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from mmap import mmap

from wire.errors import RecordError
from wire.example import EXAMPLE, read_example
from wire.tensors import Tensor, check_headers

from .errors import ModelFailed, ModelRefused
from .messages import Signature


def run_example(
    files: Mapping[str, bytes | mmap], signature: Signature, run: Callable[[Sequence[Tensor]], tuple[list[Tensor], int]]
) -> int | None:
    """The microseconds that the model took for its example; None when it has none. ModelRefused when it fails there."""
    content = files.get(EXAMPLE)
    if content is None:
        return None
    try:
        inputs = read_example(bytes(content))
        check_headers([t.header for t in inputs], signature.inputs, "inputs")
        run(inputs)
        outputs, elapsed = run(inputs)  # the first run also warms up: this one is the figure
        check_headers([t.header for t in outputs], signature.outputs, "outputs")
    except (RecordError, ModelFailed) as error:
        raise ModelRefused(f"the model failed on the example that it brings ({EXAMPLE}): {error}") from error
    return elapsed
