"""What right answers are: those of the model executed here, or, where that cannot be, those a committee certified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import trio

from engine import EngineError
from storage import StoreError
from verify.tolerance import compare
from wire.canonical import Amount
from wire.cid import content_hash
from wire.generation import SCORES
from wire.manifest import Manifest, SignedManifest
from wire.tensors import Tensor, tensor_set

from ..asking import ask
from ..attempt import Question
from ..bounds import REQUEST_SECONDS
from ..control import Emit
from ..errors import CommandError, Exit
from ..local import Local
from ..modelfiles import Loadable, load
from ..peer import Peer
from . import bounds
from .inputs import NARROW, WIDE, draw, sizes

Outputs = Sequence[Tensor]


@dataclass(frozen=True)
class Pool:
    """The inputs that take turns, each with the outputs that are right. `source` says where those are from."""

    inputs: tuple[tuple[Tensor, ...], ...]
    outputs: tuple[Outputs, ...]
    tolerance: float | None  # None: only the same bytes will do
    source: str
    loadable: Loadable | None = None  # what this machine's engine was given; None where it cannot run the model
    generates: bool = False

    @property
    def hash(self) -> bytes:
        """What a benchmark says of its inputs."""
        return content_hash(b"".join(tensor_set(tensors).hash() for tensors in self.inputs))

    def fault(self, number: int, outputs: Outputs) -> str | None:
        """None when these are right answers to input `number`; else the sentence that says what is not."""
        right = self.outputs[number]
        if [t.header for t in right] == [t.header for t in outputs] and all(
            bytes(mine.data) == bytes(theirs.data) for mine, theirs in zip(right, outputs, strict=True)
        ):
            return None
        if self.generates:  # scores near 0 differ by much of themselves between machines; the tokens say what is right
            right, outputs = _without_scores(right), _without_scores(outputs)
        compared = compare(right, outputs, self.tolerance or 0.0)
        return None if compared.agrees else compared.reason


def _without_scores(outputs: Outputs) -> Outputs:
    return tuple(tensor for tensor in outputs if tensor.name != SCORES.name)


async def make_pool(
    peer: Peer, signed: SignedManifest, manifest: Manifest, dims: Mapping[str, int], max_price: int, emit: Emit
) -> Pool:
    """Inputs and right outputs for a model that peers answer; CommandError when nobody can say what is right."""
    try:
        return await own_pool(peer.local, signed, manifest, dims)
    except (EngineError, StoreError) as error:
        emit({"event": "reference", "text": f"this machine cannot say what is right ({error}): asking a committee"})
        return await _certified_pool(peer, signed, manifest, dims, max_price)


async def own_pool(local: Local, signed: SignedManifest, manifest: Manifest, dims: Mapping[str, int]) -> Pool:
    """Inputs, and the outputs of this machine's own engine. EngineError or StoreError when it cannot run the model."""
    store, engine = local.store, local.engine
    if not all(store.blobs.complete(file.blob) for file in manifest.files):
        raise StoreError("the model's files are not here")
    was_loaded = signed.model in {status.model for status in engine.loaded()}
    _, loadable = await load(engine, store, signed.model, manifest)
    try:
        try:
            return await _executed(local, signed.model, manifest, dims, WIDE, loadable)
        except EngineError:
            return await _executed(local, signed.model, manifest, dims, NARROW, loadable)
    finally:
        if not was_loaded:  # its memory and its worker are of no use to what is measured now
            with trio.CancelScope(shield=True):
                await engine.unload(signed.model)


async def _executed(
    local: Local, model: bytes, manifest: Manifest, dims: Mapping[str, int], below: int, loadable: Loadable
) -> Pool:
    shapes = sizes(manifest.inputs, dims)
    inputs: dict[bytes, tuple[Tensor, ...]] = {}  # by hash, for a small model may have fewer than we would draw
    outputs: list[Outputs] = []
    began, held = trio.current_time(), 0
    for number in range(2 * bounds.POOL):
        tensors = tuple(draw(model, number, manifest.inputs, shapes, below))
        if (digest := tensor_set(tensors).hash()) in inputs:
            continue
        execution = await local.engine.execute(model, tensors, deadline=REQUEST_SECONDS)
        inputs[digest] = tensors
        outputs.append(execution.outputs)
        held += sum(t.header.binary_data_size for t in (*tensors, *execution.outputs))
        late = trio.current_time() > began + bounds.POOL_SECONDS and len(inputs) >= bounds.POOL_LEAST
        if late or held > bounds.POOL_BYTES or len(inputs) == bounds.POOL:
            break
    tolerance = local.network.tolerance(manifest.profile)
    how = "to the bit" if tolerance is None else f"within {tolerance:g}"
    source = f"this machine's own engine, profile {manifest.profile}, {how}"
    return Pool(
        tuple(inputs.values()), tuple(outputs), tolerance, source, loadable, generates=manifest.interface == "generate"
    )


async def _certified_pool(
    peer: Peer, signed: SignedManifest, manifest: Manifest, dims: Mapping[str, int], max_price: int
) -> Pool:
    shapes = sizes(manifest.inputs, dims)
    inputs, outputs, committee, refused = [], [], 0, None
    for number in range(4 * bounds.QUORUM_POOL):
        tensors = tuple(draw(signed.model, number, manifest.inputs, shapes, NARROW))
        question = Question(signed, manifest, tensors, "quorum", Amount(max_price), REQUEST_SECONDS)
        try:
            answer = await ask(peer, question, lambda _: None)
        except CommandError as error:
            refused = error
            if error.exit_code is not Exit.NOT_PROVED:
                break
            continue  # its outputs are no finite numbers, say: there are other inputs
        inputs.append(tensors)
        outputs.append(answer.outputs)
        committee = answer.committee
        if len(inputs) == bounds.QUORUM_POOL:
            break
    if not inputs:
        assert refused is not None
        text = f"nobody can say what is right: no committee certified an answer either ({refused})"
        pull = f"Fetch the model, so that this machine can: hallmark model pull {signed.cid}"
        raise CommandError(refused.exit_code, text, pull) from refused
    tolerance = peer.network.tolerance(manifest.profile)
    source = f"answers that a committee of {committee} certified, profile {manifest.profile}"
    return Pool(tuple(inputs), tuple(outputs), tolerance, source, generates=manifest.interface == "generate")
