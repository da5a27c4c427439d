"""TensorRT as a `Runtime`: the card opened, the node asked for what was built earlier, the rest built and handed back.

Engines go in and out through two memory files that the node made, mapped before the sandbox stands: no name of a file
ever reaches this process.
"""

from __future__ import annotations

import mmap
import os
from contextlib import closing

from ...errors import EngineError, ModelRefused
from ...messages import Built, Load, Platform
from ...sandbox import confine_beside_card
from .. import Graph, Node
from ..card import Card, forbid_tf32, import_cuda
from .building import build
from .execution import BadEngine, EngineSession
from .module import find_tensorrt, name_of, new_log


class TensorRT:
    """The `Runtime`. EngineError, with the next step, where it is not installed."""

    def __init__(self, wish: Load, node: Node) -> None:
        if wish.build is None:
            raise EngineError("the node did not say what an engine is built for")
        self._wish, self._build, self._node = wish, wish.build, node
        if not wish.tf32:
            forbid_tf32()
        self._trt, self._cuda = find_tensorrt(), import_cuda()
        self._log = new_log(self._trt)
        self._kept = mmap.mmap(self._build.kept, self._build.room, mmap.MAP_PRIVATE, mmap.PROT_READ)
        self._out = mmap.mmap(self._build.built, self._build.room)
        os.close(self._build.kept)
        os.close(self._build.built)

    @property
    def card_memory(self) -> int:
        return self._card.memory

    def confine(self, memory: int) -> tuple[str, ...]:
        return confine_beside_card(memory, self._open)

    def _open(self) -> None:
        card = self._card = Card(self._cuda)
        self._node.send(
            Platform(
                builder=name_of(self._trt),
                version=self._trt.__version__,
                device=card.name,
                compute_capability=card.compute_capability,
                processors=card.processors,
                driver=card.driver,
                cuda=card.cuda,
            )
        )

    def session(self, graph: Graph) -> EngineSession:
        with closing(self._kept), closing(self._out):
            return self._session(graph)

    def _session(self, graph: Graph) -> EngineSession:
        kept, timing = self._node.kept(), b""
        if kept.engine + kept.timing > self._build.room:
            raise EngineError("what the node kept is larger than there is room for")
        if kept.engine:
            try:
                return self._load(graph, self._kept[: kept.engine])
            except BadEngine:
                pass  # what is built now takes its place
        if kept.timing:
            timing = self._kept[kept.engine : kept.engine + kept.timing]
        memory = self._wish.memory
        engine, timing = build(
            self._trt,
            self._log,
            graph,
            sizes=self._build.sizes,
            memory=memory,
            tf32=self._wish.tf32,
            timing=timing,
            tell=self._node.send,
        )
        try:
            session = self._load(graph, engine)
        except BadEngine as error:
            raise ModelRefused(f"TensorRT built an engine that it cannot load here: {error}") from error
        self._hand_back(engine, timing)
        return session

    def _load(self, graph: Graph, engine: bytes) -> EngineSession:
        weights = {t.name for t in graph.model.graph.initializer}
        names = (
            [v.name for v in graph.model.graph.input if v.name not in weights],
            [v.name for v in graph.model.graph.output],
        )
        return EngineSession(self._trt, self._log, self._card, engine, names, self._wish.memory)

    def _hand_back(self, engine: bytes, timing: bytes) -> None:
        if len(engine) > self._build.room:
            return  # it serves as it is, and is built again at the next start
        if len(engine) + len(timing) > self._build.room:
            timing = b""
        self._out[: len(engine)] = engine
        self._out[len(engine) : len(engine) + len(timing)] = timing
        self._node.send(Built(engine=len(engine), timing=len(timing)))
