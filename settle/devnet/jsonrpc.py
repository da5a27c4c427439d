"""JSON-RPC 2.0 around the methods: any bytes give an answer. https://www.jsonrpc.org/specification"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import lmdb
import msgspec
import trio

from . import bounds
from .errors import INTERNAL, PARSE, REQUEST, RpcError, Unstorable

log = logging.getLogger("hallmark.devnet")

Call = Callable[[str, Sequence[Any]], Any]


async def answer(body: bytes, call: Call) -> bytes:
    """The answer to a request's bytes; empty for notifications alone. Others are served between a batch's calls."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return _failure(None, RpcError(PARSE, "Parse error"))
    if not isinstance(request, list):
        return _one(request, call)
    if not 0 < len(request) <= bounds.MAX_BATCH:
        return _failure(None, RpcError(REQUEST, f"Invalid Request: a batch has 1 to {bounds.MAX_BATCH} calls"))
    answers: list[bytes] = []
    room = bounds.MAX_ANSWER
    for item in request:
        if found := _one(item, call):
            if (room := room - len(found)) < 0:
                return _failure(None, RpcError(-32003, "the answer to this batch is too large"))
            answers.append(found)
        await trio.lowlevel.checkpoint()
    return b"[" + b",".join(answers) + b"]" if answers else b""


def _one(request: Any, call: Call) -> bytes:
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return _failure(None, RpcError(REQUEST, "Invalid Request"))
    name = request.get("id")
    if isinstance(name, bool | list | dict):
        return _failure(None, RpcError(REQUEST, "Invalid Request: an id is a string or a number"))
    given = request.get("params", [])
    if not isinstance(given, list):
        return _failure(name, RpcError(-32602, "invalid params: a list is needed"))
    try:
        result = call(request["method"], given)
        made = msgspec.json.encode({"jsonrpc": "2.0", "id": name, "result": result})
    except RpcError as error:
        made = _failure(name, error)
    except Unstorable as error:
        made = _failure(name, RpcError(INTERNAL, str(error)))
    except lmdb.Error as error:
        log.error("the chain on disk cannot be read: %s", error)
        made = _failure(name, RpcError(INTERNAL, f"the chain on disk cannot be read: {error}"))
    except Exception:  # ours: one caller's question must not end the chain for all
        log.exception("%s failed", request["method"][: bounds.MAX_FIELD])
        made = _failure(name, RpcError(INTERNAL, "Internal error"))
    if len(made) > bounds.MAX_ANSWER:
        made = _failure(name, RpcError(-32003, "the answer is too large"))
    return made if "id" in request else b""


def _failure(name: Any, error: RpcError) -> bytes:
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        body["data"] = error.data
    return msgspec.json.encode({"jsonrpc": "2.0", "id": name, "error": body})
