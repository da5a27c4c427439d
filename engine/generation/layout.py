"""How a decoder's graph names its inputs, its cache and its logits, read from its signature.

Exporters agree on `input_ids`, `attention_mask`, `position_ids` and `logits`, and differ on the cache: Hugging Face's
have `past_key_values.0.key` and `present.0.key`, others `past_key_0` and `present_key_0`, or `past_0` with keys and
values in one tensor. All of them say `past` on the way in and `present` on the way out, and leave the time axis free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from wire.tensors import ITEM_SIZE, DataType, TensorSpec

from ..errors import ModelRefused
from ..messages import Signature

IDS, MASK, POSITIONS, LOGITS = "input_ids", "attention_mask", "position_ids", "logits"
BRANCH = "use_cache_branch"  # of two decoders in one graph: whether to run the one that reads the cache
_IDS_TYPES = ("INT64", "INT32")
_MASK_TYPES = ("INT64", "INT32", "BOOL", "FP32")


@dataclass(frozen=True, slots=True)
class Slot:
    """One tensor of the cache: its name on both ways, its shape for one sequence, with None at the time axis."""

    past: str
    present: str
    datatype: DataType
    shape: tuple[int | None, ...]

    def at(self, time: int) -> tuple[int, ...]:
        """Its shape with so many positions in it."""
        return tuple(time if dim is None else dim for dim in self.shape)


@dataclass(frozen=True, slots=True)
class Layout:
    """A decoder, as the loop needs to know it. `mask` and `positions` are None where the graph does without.

    `branched`: the graph holds two decoders, of which the one without a cache makes the first step.
    """

    ids: DataType
    mask: DataType | None
    positions: DataType | None
    slots: tuple[Slot, ...]
    branched: bool = False

    def cache_bytes(self, time: int) -> int:
        """What the cache takes with so many positions in it."""
        return sum(prod(slot.at(time)) * ITEM_SIZE[slot.datatype] for slot in self.slots)


def looks_like_decoder(signature: Signature) -> bool:
    """Whether a graph with this signature means to be run token by token."""
    outputs = {spec.name for spec in signature.outputs}
    names = [spec.name for spec in signature.inputs]
    return IDS in names and LOGITS in outputs and any(_present_of(name, outputs) for name in names)


def layout_of(signature: Signature) -> Layout:
    """The layout of a decoder's graph; ModelRefused names what does not fit."""
    inputs = {spec.name: spec for spec in signature.inputs}
    outputs = {spec.name: spec for spec in signature.outputs}
    if IDS not in inputs or LOGITS not in outputs:
        raise ModelRefused(f"a decoder takes {IDS!r} and gives {LOGITS!r}; export the model so, or serve its tensors")
    if len(outputs[LOGITS].shape) != 3 or outputs[LOGITS].datatype not in ("FP32", "FP16", "FP64"):
        raise ModelRefused(
            f"the decoder's {LOGITS!r} are not FP32, FP16 or FP64 of shape [batch, sequence, vocabulary]; cast them"
        )
    slots = []
    for name in sorted(inputs.keys() - {IDS, MASK, POSITIONS, BRANCH}):
        present = _present_of(name, outputs)
        if present is None:
            raise ModelRefused(f"the decoder also takes {name!r}, which no generation loop here knows how to fill")
        slots.append(_slot(inputs[name], outputs[present]))
    if not slots:
        raise ModelRefused("the decoder has no cache (past_… in, present_… out); export it with one")
    return Layout(
        ids=_flat(inputs, IDS, _IDS_TYPES) or "INT64",
        mask=_flat(inputs, MASK, _MASK_TYPES),
        positions=_flat(inputs, POSITIONS, _IDS_TYPES),
        slots=tuple(slots),
        branched=_branched(inputs.get(BRANCH)),
    )


def _branched(spec: TensorSpec | None) -> bool:
    if spec is None:
        return False
    if spec.datatype != "BOOL" or len(spec.shape) != 1 or not (spec.shape[0] == 1 or isinstance(spec.shape[0], str)):
        raise ModelRefused(f"the decoder's {BRANCH!r} is not one BOOL of shape [1]")
    return True


def _present_of(name: str, outputs: Mapping[str, object] | set[str]) -> str | None:
    if not name.startswith("past"):
        return None
    names = (name.replace("past_key_values", "present", 1), "present" + name.removeprefix("past"))
    return next((present for present in names if present in outputs), None)


def _flat(inputs: Mapping[str, TensorSpec], name: str, types: tuple[str, ...]) -> DataType | None:
    spec = inputs.get(name)
    if spec is None:
        return None
    fits = len(spec.shape) == 2 and (isinstance(spec.shape[0], str) or spec.shape[0] == 1)
    if not fits or isinstance(spec.shape[1], int) or spec.datatype not in types:
        raise ModelRefused(f"the decoder's {name!r} is not [batch, sequence] of {' or '.join(types)}")
    return spec.datatype


def _slot(past: TensorSpec, present: TensorSpec) -> Slot:
    shape: list[int | None] = [dim if isinstance(dim, int) else None for dim in past.shape]
    free = [axis for axis, dim in enumerate(shape) if dim is None]
    if len(free) == 2:
        shape[free.pop(0)] = 1  # the batch stands before the time, in every exporter's layout
    if len(free) != 1 or past.datatype not in ITEM_SIZE or len(present.shape) != len(shape):
        dims = ", ".join(map(str, past.shape))
        raise ModelRefused(f"the cache {past.name!r} [{dims}] must leave open the batch and the past's length, no more")
    if present.datatype != past.datatype:
        raise ModelRefused(f"the cache comes as {past.datatype} ({past.name!r}) and leaves as {present.datatype}")
    return Slot(past.name, present.name, past.datatype, tuple(shape))
