"""A decoder's state between two steps: keys and values of every position so far, checked for what the model says of it.

The tensors stay where the backend made them and are only handed back. Their shapes are a stranger's word: one that
grows faster than the tokens would take the memory that the request was admitted for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..bounds import MAX_CACHE
from ..errors import ModelFailed
from .layout import BRANCH, Layout

_TYPES = {"INT64": np.int64, "INT32": np.int32, "BOOL": np.bool_, "FP32": np.float32}
_CACHE_TYPES = {
    "BOOL": "?", "UINT8": "u1", "UINT16": "u2", "UINT32": "u4", "UINT64": "u8", "INT8": "i1", "INT16": "i2",
    "INT32": "i4", "INT64": "i8", "FP16": "f2", "BF16": "u2", "FP32": "f4", "FP64": "f8",
}  # fmt: skip


class Cache:
    """The cache of one generation that will hold up to `time` positions; ModelFailed where that is too much."""

    def __init__(self, layout: Layout, time: int) -> None:
        if (size := layout.cache_bytes(time)) > MAX_CACHE:
            raise ModelFailed(
                f"{time} tokens need a cache of {size} bytes, the most is {MAX_CACHE}; shorten the prompt, or ask for "
                "fewer tokens"
            )
        self._layout = layout
        self._time = 0
        self.names = [slot.present for slot in layout.slots]  # the outputs that are the cache's, as `take` wants them
        self._held: dict[str, Any] = {s.past: np.zeros(s.at(0), _CACHE_TYPES[s.datatype]) for s in layout.slots}

    def feeds(self, ids: Sequence[int]) -> dict[str, Any]:
        """The inputs of a step that runs `ids` behind all that ran before."""
        layout, start, stop = self._layout, self._time, self._time + len(ids)
        feeds: dict[str, Any] = {"input_ids": np.array([ids], _TYPES[layout.ids]), **self._held}
        if layout.mask:
            feeds["attention_mask"] = np.ones((1, stop), _TYPES[layout.mask])
        if layout.positions:
            feeds["position_ids"] = np.arange(start, stop, dtype=_TYPES[layout.positions])[None]
        if layout.branched:
            feeds[BRANCH] = np.array([start > 0])
        return feeds

    def take(self, values: Sequence[Any], count: int) -> None:
        """The step ran `count` ids and gave this; ModelFailed when the model's cache is not what it said."""
        self._time += count
        wanted = {slot.shape: slot.at(self._time) for slot in self._layout.slots}  # one, in most models
        for slot, value in zip(self._layout.slots, values, strict=True):
            if value.shape != wanted[slot.shape]:
                raise ModelFailed(
                    f"after {self._time} tokens the model's cache {slot.present!r} has shape {list(value.shape)}, and "
                    f"should have {list(wanted[slot.shape])}; export the model with a cache that grows by one a token"
                )
            self._held[slot.past] = value
