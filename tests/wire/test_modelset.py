"""A set of models under one hash: each is shown to be in it, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.canonical import decode, encode
from wire.cid import content_hash
from wire.errors import RecordError
from wire.modelset import EMPTY, ModelPath, path_of, root_of

models = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40, unique=True)


def leaf(model: bytes) -> bytes:
    return content_hash(b"\x00" + model)


def node(left: bytes, right: bytes) -> bytes:
    return content_hash(b"\x01" + left + right)


def test_small_trees_are_rfc_9162s() -> None:
    a, b, c, d, e = (bytes([n]) * 32 for n in range(5))
    assert root_of([]) == EMPTY
    assert root_of([a]) == leaf(a)
    three = node(node(leaf(a), leaf(b)), leaf(c))
    assert root_of([c, a, b, a]) == three  # in order, each once
    assert root_of([a, b, c, d, e]) == node(node(node(leaf(a), leaf(b)), node(leaf(c), leaf(d))), leaf(e))
    assert path_of([a, b, c], c) == ModelPath(place=2, size=3, beside=(node(leaf(a), leaf(b)),))


@given(models, st.data())
def test_every_model_of_a_set_has_a_path_to_its_root(held: list[bytes], data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(held))
    path = path_of(held, model)
    assert path.root(model) == root_of(held)
    assert decode(encode(path), ModelPath) == path


@given(models, st.data())
def test_no_other_model_and_no_bent_path_leads_there(held: list[bytes], data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(held))
    path, root = path_of(held, model), root_of(held)
    other = data.draw(st.binary(min_size=32, max_size=32).filter(lambda m: m != model))
    assert path.root(other) != root
    bent = ModelPath(
        place=data.draw(st.integers(0, 1023)),
        size=data.draw(st.integers(1, 1024)),
        beside=tuple(data.draw(st.permutations(path.beside)) if path.beside else ()),
    )
    try:
        leads = bent.root(other) == root
    except RecordError:
        leads = False
    assert not leads


def test_an_inner_node_is_no_model() -> None:
    """Half a tree, shown as a leaf: its hash has another beginning."""
    held = [bytes([n]) * 32 for n in range(4)]
    inner = node(leaf(held[0]), leaf(held[1]))
    path = ModelPath(place=0, size=2, beside=(node(leaf(held[2]), leaf(held[3])),))
    assert path.root(inner) != root_of(held)


@pytest.mark.parametrize(
    "path",
    [
        ModelPath(place=0, size=1, beside=(bytes(32),)),
        ModelPath(place=0, size=2, beside=()),
        ModelPath(place=5, size=4, beside=(bytes(32), bytes(32))),
        ModelPath(place=0, size=1024, beside=(bytes(32),) * 9),
    ],
)
def test_a_path_of_no_tree_is_refused(path: ModelPath) -> None:
    with pytest.raises(RecordError):
        path.root(bytes(32))


def test_who_is_not_in_the_set_has_no_path() -> None:
    with pytest.raises(KeyError):
        path_of([bytes(32)], b"\x01" * 32)
