"""A chain for demos and tests: a single sequencer without consensus, py-evm behind JSON-RPC on loopback, on disk.

Everything else speaks to it as to any other chain, by URL. `devnet` starts it as a process of its own and `serve` runs
it inside this one; `engine` is the EVM, `ledger` the chain, `methods` what may be asked. What a transaction's sender
was told is in a block is on disk; what only waits is lost when the process dies, as with other nodes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import DevnetError
    from .serving import WARNING, Running, Settings, devnet_here, serve
    from .starting import devnet

__all__ = ["WARNING", "DevnetError", "Running", "Settings", "devnet", "devnet_here", "serve"]
_HOMES = {
    "errors": ("DevnetError",),
    "serving": ("WARNING", "Running", "Settings", "devnet_here", "serve"),
    "starting": ("devnet",),
}


def __getattr__(name: str) -> Any:
    # On demand: who starts the process need not import an EVM.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module 'settle.devnet' has no attribute {name!r}")
