"""What can go wrong between us and a chain. Every `str()` is a sentence for a person."""

from __future__ import annotations


class ChainError(Exception):
    """The chain, or an RPC that speaks for it, did not do what was asked."""


class Unavailable(ChainError):
    """No RPC answered in time, or none of use: try later."""


class Refused(ChainError):
    """The contract, or the chain's rules, refused. `data` is what the contract returned."""

    def __init__(self, message: str, data: bytes = b"") -> None:
        super().__init__(message)
        self.data = data


class WrongChain(ChainError):
    """An RPC answers for another chain than the network's."""


class Undone(ChainError):
    """A block that was relied on is no longer in the chain, or RPCs disagree about it. Nothing more is believed."""
