"""MessagePack as nobody at home writes it: valid, and not canonical."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack


def pack_wide(value: Any) -> bytes:
    """Every length and integer in its longest form."""
    match value:
        case dict():
            body = b"".join(pack_wide(k) + pack_wide(v) for k, v in value.items())
            return b"\xdf" + len(value).to_bytes(4, "big") + body
        case list():
            return b"\xdd" + len(value).to_bytes(4, "big") + b"".join(map(pack_wide, value))
        case str():
            return b"\xdb" + len(value.encode()).to_bytes(4, "big") + value.encode()
        case bytes():
            return b"\xc6" + len(value).to_bytes(4, "big") + value
        case bool() | None:
            return bytes(msgpack.packb(value))
        case int():
            return b"\xcf" + value.to_bytes(8, "big") if value >= 0 else b"\xd3" + value.to_bytes(8, "big", signed=True)
    raise TypeError(value)


def pack_map(pairs: list[tuple[Any, Any]]) -> bytes:
    """A map of these pairs, whatever their keys."""
    packer = msgpack.Packer(use_bin_type=True)
    return bytes(packer.pack_map_header(len(pairs))) + b"".join(packer.pack(k) + packer.pack(v) for k, v in pairs)


def change_every(plain: Any, change: Callable[[Any], list[Any]]) -> list[Any]:
    """Copies of `plain`, each with one value inside changed to one of what `change` gives for it."""
    copies = list(change(plain))
    if isinstance(plain, dict):
        for key in plain:
            copies += [plain | {key: changed} for changed in change_every(plain[key], change)]
    elif isinstance(plain, list):
        for i, item in enumerate(plain):
            copies += [[*plain[:i], changed, *plain[i + 1 :]] for changed in change_every(item, change)]
    return copies
