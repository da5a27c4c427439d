"""What is held for others: bounded for each peer and for all, and free again when it is over."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.bounds import MAX_HELD, MAX_HELD_PER_PEER
from node.held import Held
from wire.bounds import MAX_TENSOR_BYTES
from wire.errors import ErrorCode, RemoteError
from wire.tensors import TensorHeader


def headers(size: int) -> list[TensorHeader]:
    return [TensorHeader(name="x", shape=(size,), datatype="UINT8", binary_data_size=size)]


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, MAX_TENSOR_BYTES), st.booleans()), max_size=80))
def test_no_bound_is_passed_and_nothing_is_kept(asked: list[tuple[str, int, bool]]) -> None:
    held, expected = Held(), dict.fromkeys("abcdefgh", 0)
    with ExitStack() as in_hand:
        for peer, size, fails in asked:
            fits = expected[peer] + size <= MAX_HELD_PER_PEER and sum(expected.values()) + size <= MAX_HELD
            if not fits:
                with pytest.raises(RemoteError) as caught:
                    in_hand.enter_context(held.inputs(peer, headers(size)))
                assert (caught.value.code, caught.value.after_ms > 0) == (ErrorCode.OVERLOADED, True)
            elif fails:
                with suppress(ZeroDivisionError), held.inputs(peer, headers(size)):
                    raise ZeroDivisionError
            else:
                in_hand.enter_context(held.inputs(peer, headers(size)))
                expected[peer] += size
            assert held.total == sum(expected.values())
    assert held.total == 0


def test_a_peer_over_its_share_leaves_room_for_others() -> None:
    held = Held()
    with ExitStack() as in_hand:
        for _ in range(MAX_HELD_PER_PEER // MAX_TENSOR_BYTES):
            in_hand.enter_context(held.inputs("greedy", headers(MAX_TENSOR_BYTES)))
        with pytest.raises(RemoteError, match="your requests in hand"), held.inputs("greedy", headers(1)):
            pass
        with held.inputs("modest", headers(MAX_TENSOR_BYTES)):
            pass
    with held.inputs("greedy", headers(1)):
        pass
