"""From an ONNX graph to a TensorRT engine: parse, ranges, build; every failure a sentence with TensorRT's own words.

Nothing here needs a card, except that TensorRT itself may want one to time kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...errors import ModelRefused
from ...messages import Building, Sizes
from .. import Graph
from .module import name_of
from .precision import widest_lost
from .shapes import Range, ranges_of

Tell = Callable[[Building], None]


def build(
    trt: Any, log: Any, graph: Graph, *, sizes: Sizes, memory: int, tf32: bool, timing: bytes, tell: Tell
) -> tuple[bytes, bytes]:
    """The engine's bytes, and how long kernels took, which makes the next build of this model shorter.

    `memory` bounds what a layer may take of the card beside its tensors, in bytes; `timing` is what an earlier build
    gave. ModelRefused where TensorRT cannot compute all of the graph as it is written.
    """
    builder = _made(trt.Builder(log), log, "start its builder")
    with parsed(trt, log, builder, graph) as network:
        config = _made(builder.create_builder_config(), log, "be configured")
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, memory)
        if not tf32:
            config.clear_flag(trt.BuilderFlag.TF32)
        config.progress_monitor = _monitor(trt, tell)
        _add_ranges(builder, config, network, sizes, log)
        cache = _timing_cache(trt, config, timing)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise ModelRefused(f"TensorRT cannot build the model: {log.said()}")
        return bytes(engine), bytes(cache.serialize()) if cache is not None else b""


@contextmanager
def parsed(trt: Any, log: Any, builder: Any, graph: Graph) -> Iterator[Any]:
    """The graph as TensorRT's network, as long as this lasts: the parser's weights lie in the graph's own memory."""
    if (lost := widest_lost(graph.model)) is not None:
        raise ModelRefused(f"the model computes in FP64 ({lost}), which TensorRT would do in FP32 without a word")
    network = _made(builder.create_network(0), log, "make a network")
    parser = _made(trt.OnnxParser(network, log), log, "make a parser")
    if not parser.load_model_proto(graph.data):
        raise _unparsed(parser, log)
    alive: list[Any] = []  # the weights' memory, until the build is done with it
    try:
        for span in graph.spans:
            if span.path in graph.files and span.tensor.external_data:  # a small one was moved into the graph
                alive.append(np.frombuffer(graph.files[span.path], np.uint8, span.size, span.offset))
                if not parser.load_initializer(span.tensor.name, alive[-1].ctypes.data, span.size):
                    raise _unparsed(parser, log)
        if not parser.parse_model_proto():
            raise _unparsed(parser, log)
        _check_names(graph.model, network)
        yield network
    finally:
        del network, parser
        alive.clear()  # so that the files can be unmapped


def input_ranges(network: Any, sizes: Sizes) -> dict[str, Range]:
    """The ranges of a network's inputs; ModelRefused where values, not shapes, would have to be given."""
    dims: dict[str, Sequence[int | str | None]] = {}
    for tensor in _inputs(network):
        if tensor.is_shape_tensor:
            raise ModelRefused(f"input {tensor.name!r} sets shapes by its values, for which an engine has no bounds")
        dims[tensor.name] = [
            (tensor.get_dimension_name(i) or None) if d < 0 else d for i, d in enumerate(tuple(tensor.shape))
        ]
    return ranges_of(dims, sizes)


def _add_ranges(builder: Any, config: Any, network: Any, sizes: Sizes, log: Any) -> None:
    ranges = input_ranges(network, sizes)
    if not any(r.is_free for r in ranges.values()):
        return
    profile = _made(builder.create_optimization_profile(), log, "make an optimisation profile")
    for name, built in ranges.items():
        if built.is_free:
            profile.set_shape(name, built.least, built.usual, built.most)
    if config.add_optimization_profile(profile) < 0:
        raise ModelRefused(f"TensorRT takes none of the model's shapes: {log.said()}")


def _inputs(network: Any) -> list[Any]:
    return [network.get_input(i) for i in range(network.num_inputs)]


def _check_names(model: Any, network: Any) -> None:
    weights = {t.name for t in model.graph.initializer} | {t.values.name for t in model.graph.sparse_initializer}
    wanted = [v.name for v in model.graph.input if v.name not in weights]
    given = [t.name for t in _inputs(network)]
    outputs = [network.get_output(i).name for i in range(network.num_outputs)]
    if sorted(given) != sorted(wanted) or sorted(outputs) != sorted(v.name for v in model.graph.output):
        raise ModelRefused("TensorRT takes or gives other tensors than the model says")


def _timing_cache(trt: Any, config: Any, timing: bytes) -> Any:
    """What the build reads and writes kernels' times in; TensorRT for RTX times nothing. A bad one is begun anew."""
    if name_of(trt) == "tensorrt_rtx":
        return None
    for content in (timing, b""):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return cache
    return None


def _monitor(trt: Any, tell: Tell) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # a base that is known only now
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase: str, _parent: str | None, steps: int) -> None:
            self._steps[phase] = steps
            self._say(phase, 0)

        def step_complete(self, phase: str, step: int) -> bool:
            self._say(phase, step + 1)
            return True

        def phase_finish(self, phase: str) -> None:
            self._steps.pop(phase, None)

        def _say(self, phase: str, done: int) -> None:
            steps = max(self._steps.get(phase, 0), done)
            tell(Building(phase="".join(c for c in phase[:200] if c.isprintable()), done=done, steps=steps))

    return Monitor()


def _made(thing: Any, log: Any, what: str) -> Any:
    if thing is None:
        raise ModelRefused(f"TensorRT could not {what}: {log.said()}")
    return thing


def _unparsed(parser: Any, log: Any) -> ModelRefused:
    errors = [parser.get_error(i) for i in range(min(parser.num_errors, 3))]
    texts = [" ".join(f"{e.node_operator()} {e.node_name()}: {e.desc()}".split()) for e in errors]
    return ModelRefused(f"TensorRT cannot read the model: {'; '.join(texts) or log.said()}"[:1500])
