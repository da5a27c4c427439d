"""From any package's error to what the user is told: one table, in one place."""

from __future__ import annotations

from engine import EngineBusy, EngineError
from settle.accounts import AccountError
from settle.devnet import DevnetError
from settle.errors import ChainError, Refused, WrongChain
from storage import ModelAmbiguous, StoreBusy, StoreError
from wire.errors import ErrorCode, RecordError, RemoteError

from .errors import CommandError, Exit

_REMOTE: dict[ErrorCode, tuple[Exit, str]] = {
    ErrorCode.UNREACHABLE: (Exit.NO_PEERS, "Check the addresses and that a peer runs there: hallmark doctor"),
    ErrorCode.NOT_FOUND: (Exit.NOT_FOUND, "See what is known: hallmark model ls"),
    ErrorCode.REJECTED: (Exit.NOT_PROVED, "Do not use this answer."),
    ErrorCode.PAYMENT: (Exit.PAYMENT, "See what is left: hallmark channel ls"),
    ErrorCode.OVERLOADED: (Exit.REMOTE, "Try again in a moment."),
}


def explain(error: BaseException) -> CommandError | None:
    """The CommandError that tells `error` to the user; None for what no table knows (a bug: let it show itself)."""
    if isinstance(error, CommandError):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = [told for inner in error.exceptions if (told := explain(inner))]
        return found[0] if len(found) == len(error.exceptions) else None
    if isinstance(error, RemoteError):
        exit_code, next_step = _REMOTE.get(error.code, (Exit.REMOTE, "Another peer may do better: try again."))
        return CommandError(exit_code, str(error), next_step)
    if isinstance(error, StoreBusy):
        return CommandError(Exit.BUSY, str(error))
    if isinstance(error, ModelAmbiguous):
        return CommandError(Exit.NOT_FOUND, str(error))
    if isinstance(error, StoreError):
        return CommandError(Exit.STORAGE, str(error))
    if isinstance(error, EngineError):
        return CommandError(Exit.REMOTE if isinstance(error, EngineBusy) else Exit.MODEL, str(error))
    if isinstance(error, DevnetError | AccountError):
        return CommandError(Exit.CONFIG, str(error))
    if isinstance(error, ChainError):
        return _of_chain(error)
    if isinstance(error, RecordError):
        return CommandError(Exit.USAGE, str(error))
    return None


def _of_chain(error: ChainError) -> CommandError:
    if isinstance(error, WrongChain):
        return CommandError(Exit.CONFIG, str(error), "Correct the RPC's URL.")
    next_step = "" if isinstance(error, Refused) else "Look at what answers: hallmark chain status"
    return CommandError(Exit.CHAIN, str(error), next_step)
