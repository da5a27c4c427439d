"""What the devnet says no with: to its owner at the start, and to a caller over JSON-RPC."""

from __future__ import annotations

from typing import Any

# https://www.jsonrpc.org/specification, and beyond it what go-ethereum and anvil use
PARSE, REQUEST, METHOD, PARAMS, INTERNAL, SERVER, REVERTED = -32700, -32600, -32601, -32602, -32603, -32000, 3


class DevnetError(Exception):
    """The devnet cannot run here; `str()` says why and what to do."""


class Unstorable(Exception):
    """A block could not be written; what was acknowledged before it stands. `str()` says why."""


class RpcError(Exception):
    """An answer to a call that is an error. `data` is what a contract reverted with, where one did."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


class Rejected(RpcError):
    """A transaction that the pool does not take."""

    def __init__(self, message: str) -> None:
        super().__init__(SERVER, message)
