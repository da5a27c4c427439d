"""`model add --example`: inputs that its publisher knows to work, made into a file of the model (see wire.example)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from posixpath import dirname, join
from tempfile import TemporaryDirectory
from typing import Any

from wire.errors import RecordError
from wire.example import EXAMPLE, write_example
from wire.tensors import TensorSpec

from ..errors import CommandError, Exit
from .gathering import Gathered


@contextmanager
def with_example(
    gathered: Gathered, given: Mapping[str, Sequence[Any]], specs: Sequence[TensorSpec]
) -> Iterator[dict[str, Path]]:
    """The model's files by path, the graph first: with an example of `given` (see node.inputs), unless that is empty.

    CommandError when these are no inputs of the model, or too large.
    """
    if not given:
        yield gathered.files
        return
    from ..inputs import make_tensors  # numpy: a node that only hosts does without

    tensors = make_tensors({name: (how, data) for name, (how, data) in given.items()}, specs)
    try:
        data = write_example(tensors)
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error), "Give a smaller one; free dims can be 1.") from error
    with TemporaryDirectory(prefix="hallmark-") as folder:
        path = Path(folder) / EXAMPLE
        path.write_bytes(data)
        others = gathered.files | {join(dirname(gathered.graph), EXAMPLE): path}
        yield {name: others[name] for name in [gathered.graph, *sorted(others.keys() - {gathered.graph})]}
