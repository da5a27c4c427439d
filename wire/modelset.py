"""A set of models under one hash, and the path by which any of them is shown to be in it.

The tree is RFC 9162's (Certificate Transparency), with BLAKE3: leaves are the models' hashes in ascending order, each
once. A quote then binds a provider's whole set, and evidence for one answer carries a few hashes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

from msgspec import Meta

from .bounds import Hash32
from .canonical import Record
from .cid import content_hash
from .errors import RecordError

MAX_DEPTH = 10  # of 1,024 models, which is what a peer can be told to hold in memory
MAX_MODELS = 1 << MAX_DEPTH
EMPTY = content_hash(b"hallmark no models 1")  # the root where nothing is held yet


class ModelPath(Record):
    """Where one model stands among `size`: its place, and the hashes beside the way up, the lowest first."""

    place: Annotated[int, Meta(ge=0, le=MAX_MODELS - 1)]
    size: Annotated[int, Meta(ge=1, le=MAX_MODELS)]
    beside: Annotated[tuple[Hash32, ...], Meta(max_length=MAX_DEPTH)]

    def root(self, model: bytes) -> bytes:
        """The root of the set that has the model there; RecordError when the path is of no tree."""
        place, last, node = self.place, self.size - 1, _leaf(model)
        for sibling in self.beside:
            if last == 0:
                raise RecordError("ModelPath: longer than its tree is high")
            if place & 1 or place == last:
                node = _node(sibling, node)
                while not place & 1 and place:  # levels at which the last subtree stands alone
                    place, last = place >> 1, last >> 1
            else:
                node = _node(node, sibling)
            place, last = place >> 1, last >> 1
        if last or self.place >= self.size:
            raise RecordError("ModelPath: it ends below the root")
        return node


def root_of(models: Iterable[bytes]) -> bytes:
    """The hash of a set of models (32 bytes each)."""
    leaves = [_leaf(model) for model in sorted(set(models))]
    return _root(leaves) if leaves else EMPTY


def path_of(models: Iterable[bytes], model: bytes) -> ModelPath:
    """The path of one of `models`; KeyError when it is none of them."""
    held = sorted(set(models))
    if model not in held:
        raise KeyError("that model is not in the set")
    place = held.index(model)
    return ModelPath(place=place, size=len(held), beside=tuple(_beside([_leaf(m) for m in held], place)))


def _leaf(model: bytes) -> bytes:
    return content_hash(b"\x00" + model)


def _node(left: bytes, right: bytes) -> bytes:
    return content_hash(b"\x01" + left + right)


def _split(size: int) -> int:
    """The largest power of two below `size`: how many leaves the left subtree has."""
    return 1 << (size - 1).bit_length() - 1


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    left = _split(len(leaves))
    return _node(_root(leaves[:left]), _root(leaves[left:]))


def _beside(leaves: Sequence[bytes], place: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    left = _split(len(leaves))
    if place < left:
        return [*_beside(leaves[:left], place), _root(leaves[left:])]
    return [*_beside(leaves[left:], place - left), _root(leaves[:left])]
