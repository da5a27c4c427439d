"""Every error that the packages raise, and what the user is told of it."""

from __future__ import annotations

import pytest

import engine.errors
import storage.errors
from engine import EngineBusy, EngineError, ModelRefused
from node.errors import CommandError, Exit
from node.failures import explain
from storage import ModelAmbiguous, StoreBusy, StoreError
from wire.errors import ErrorCode, RecordError, RemoteError

REMOTE = {
    ErrorCode.UNREACHABLE: Exit.NO_PEERS,
    ErrorCode.NOT_FOUND: Exit.NOT_FOUND,
    ErrorCode.REJECTED: Exit.NOT_PROVED,
    ErrorCode.PAYMENT: Exit.PAYMENT,
}


def code_of(error: BaseException) -> Exit | None:
    told = explain(error)
    return told.exit_code if told else None


@pytest.mark.parametrize("code", ErrorCode)
def test_every_remote_error_has_a_code_a_sentence_and_a_next_step(code: ErrorCode) -> None:
    told = explain(RemoteError(code, "it was so"))
    assert told is not None
    assert told.exit_code is REMOTE.get(code, Exit.REMOTE)
    assert "it was so" in told.message
    assert told.next_step


@pytest.mark.parametrize(
    "kind", [k for k in vars(storage.errors).values() if isinstance(k, type) and issubclass(k, StoreError)]
)
def test_every_error_of_the_store(kind: type[StoreError]) -> None:
    wanted = {StoreBusy: Exit.BUSY, ModelAmbiguous: Exit.NOT_FOUND}.get(kind, Exit.STORAGE)
    error = kind("so it was", ()) if issubclass(kind, engine.errors.FilesNeeded) else kind("so it was")
    assert code_of(error) is wanted


@pytest.mark.parametrize(
    "kind", [k for k in vars(engine.errors).values() if isinstance(k, type) and issubclass(k, EngineError)]
)
def test_every_error_of_the_engine(kind: type[EngineError]) -> None:
    error = kind("so it was", ()) if issubclass(kind, engine.errors.FilesNeeded) else kind("so it was")
    assert code_of(error) is (Exit.REMOTE if kind is EngineBusy else Exit.MODEL)


def test_the_others() -> None:
    mine = CommandError(Exit.BUSY, "m", "n")
    assert explain(mine) is mine
    assert code_of(RecordError("Offer: so it was")) is Exit.USAGE


@pytest.mark.parametrize("bug", [ValueError("x"), AssertionError(), KeyboardInterrupt(), SystemExit(1), OSError("x")])
def test_a_bug_is_not_dressed_up(bug: BaseException) -> None:
    assert explain(bug) is None


def test_groups_are_opened_however_deep() -> None:
    failure = RemoteError(ErrorCode.TIMEOUT, "late")
    group = ExceptionGroup("a", [ExceptionGroup("b", [ExceptionGroup("c", [failure])])])
    assert code_of(group) is Exit.REMOTE
    assert code_of(ExceptionGroup("a", [ModelRefused("first"), failure])) is Exit.MODEL


def test_a_group_with_a_bug_in_it_is_a_bug() -> None:
    failure = RemoteError(ErrorCode.TIMEOUT, "late")
    assert explain(ExceptionGroup("a", [failure, ValueError("bug")])) is None
    assert explain(ExceptionGroup("a", [failure, ExceptionGroup("b", [ValueError("bug")])])) is None
    assert explain(BaseExceptionGroup("a", [failure, KeyboardInterrupt()])) is None


def test_exit_codes_never_change() -> None:
    assert {e.name: e.value for e in Exit} == {
        "OK": 0, "INTERNAL": 1, "USAGE": 2, "CONFIG": 3, "BUSY": 4, "NOT_FOUND": 5, "NO_PEERS": 6, "REMOTE": 7,
        "NOT_PROVED": 8, "MODEL": 9, "STORAGE": 10, "CHAIN": 11, "PAYMENT": 12, "INTERRUPTED": 130,
    }  # fmt: skip
