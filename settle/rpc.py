"""JSON-RPC to a chain, at one of several URLs: the first that answers well stays until it fails.

An RPC is a stranger: whatever bytes it sends give a value or a `ChainError`, within bounds of size and time. A URL may
hold a key, so no message and no log ever has more of it than its scheme and host.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
import trio

from . import bounds
from .errors import ChainError, Unavailable, WrongChain
from .replies import number

log = logging.getLogger("hallmark.chain")
logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells every URL in full

T = TypeVar("T")
Call = tuple[str, Sequence[Any]]

_BUSY = (-32016, -32097, -32603)  # over a rate, or the RPC's own fault: another one may do better
_LIMIT = -32005  # over a rate, or a question too large: only the words tell
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}  # so that no small answer grows here


class RpcError(ChainError):
    """The RPC understood and said no. `code` and `data` are JSON-RPC's; `data` is what a contract returned."""

    def __init__(self, message: str, code: int, data: bytes) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Endpoint:
    """One URL. `rests_until` is trio's time before which it is asked last; `checked`: it is of the right chain."""

    def __init__(self, url: str, client: httpx.AsyncClient, ids: itertools.count[int]) -> None:
        self.name = shown_url(url)
        self.rests_until = 0.0
        self.failures = 0
        self.checked = False
        self.foreign = False
        self._url = url
        self._client = client
        self._ids = ids
        self._batches = True

    def __repr__(self) -> str:
        return f"Endpoint({self.name})"

    async def call(self, method: str, *params: Any) -> Any:
        """One call's result. RpcError when the RPC says no, Unavailable for all else."""
        (result,) = await self._exchange([(method, params)])
        if isinstance(result, RpcError):
            raise result
        return result

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Results in the calls' order; an `RpcError` stands in the place of what was refused."""
        found: list[Any] = []
        for at in range(0, len(calls), bounds.MAX_BATCH):
            found += await self._exchange(calls[at : at + bounds.MAX_BATCH])
        return found

    async def _exchange(self, calls: Sequence[Call]) -> list[Any]:
        if len(calls) > 1 and not self._batches:
            return [(await self._exchange([call]))[0] for call in calls]
        bodies = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
            for method, params in calls
        ]
        answer = await self._post(msgspec.json.encode(bodies if len(bodies) > 1 else bodies[0]))
        if len(bodies) == 1:
            return [self._result(answer, bodies[0])]
        if not isinstance(answer, list):  # many public RPCs take no batches, and say so with a single error
            log.info("%s takes no batches: it is asked one by one", self.name)
            self._batches = False
            return await self._exchange(calls)
        by_id = {item.get("id"): item for item in answer if isinstance(item, dict) and isinstance(item.get("id"), int)}
        return [self._result(by_id.get(body["id"]), body) for body in bodies]

    def _result(self, answer: Any, body: dict[str, Any]) -> Any:
        if not isinstance(answer, dict):
            raise Unavailable(f"{self.name} answered {body['method']} with something that is no JSON-RPC")
        error = answer.get("error")
        if error is not None:  # an error may lack the id, where the RPC could not read the call
            return self._error(error, body["method"])
        if answer.get("id") != body["id"] or "result" not in answer:
            raise Unavailable(f"{self.name} answered {body['method']} with another call's answer, or none")
        return answer["result"]

    def _error(self, error: Any, method: str) -> RpcError:
        said = error.get("message") if isinstance(error, dict) else error
        code = error.get("code") if isinstance(error, dict) else None
        text = _printable(str(said))[:300]
        data = _error_data(error)
        crowded = code == _LIMIT and any(word in text.lower() for word in ("rate", "requests", "second", "capacity"))
        if (code in _BUSY or crowded) and not data and "revert" not in text:
            raise Unavailable(f"{self.name} cannot do {method} now: {text}")
        return RpcError(text, code if isinstance(code, int) else 0, data)

    async def _post(self, body: bytes) -> Any:
        try:
            with trio.fail_after(bounds.RPC_SECONDS):
                async with self._client.stream("POST", self._url, content=body, headers=_HEADERS) as response:
                    data = bytearray()
                    async for piece in response.aiter_raw():
                        data += piece
                        if len(data) > bounds.MAX_RESPONSE:
                            raise RpcError(f"{self.name} sent more than {bounds.MAX_RESPONSE >> 20} MiB", 0, b"")
        except trio.TooSlowError:
            raise Unavailable(f"{self.name} did not answer within {bounds.RPC_SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, ValueError) as error:
            # The library's message may hold the URL, and with it a key.
            raise Unavailable(f"{self.name} cannot be reached ({type(error).__name__})") from None
        if _is_shallow(data):
            with contextlib.suppress(msgspec.MsgspecError, RecursionError, ValueError):
                return msgspec.json.decode(data)
        status = response.status_code
        raise Unavailable(f"{self.name} answered with HTTP status {status} and no JSON")


class Rpc:
    """All URLs of one chain. Made by `open_rpc`."""

    def __init__(self, endpoints: Sequence[Endpoint], chain_id: int | None) -> None:
        self._endpoints = tuple(endpoints)
        self._chain_id = chain_id

    @property
    def all(self) -> tuple[Endpoint, ...]:
        """In the order in which they were given, also those that are of another chain."""
        return self._endpoints

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """In the order in which they would be asked now: those that failed lately come last."""
        now = trio.current_time()
        usable = [endpoint for endpoint in self._endpoints if not endpoint.foreign]
        return tuple(sorted(usable, key=lambda e: (e.rests_until > now, e.rests_until if e.rests_until > now else 0)))

    async def call(self, method: str, *params: Any) -> Any:
        """One call's result, from whichever RPC answers. RpcError or Unavailable."""
        return await self.ask(lambda endpoint: endpoint.call(method, *params))

    async def ask(self, work: Callable[[Endpoint], Awaitable[T]]) -> T:
        """Run `work` with one RPC; when that is Unavailable, all of it again with the next. Unavailable at last."""
        causes: dict[str, str] = {}
        for attempt in range(bounds.RPC_ROUNDS):
            if attempt:
                await trio.sleep(bounds.RPC_PAUSE)
            for endpoint in self.endpoints:
                try:
                    await self.check(endpoint)
                    result = await work(endpoint)
                except (Unavailable, WrongChain) as error:
                    causes[endpoint.name] = str(error)
                    self.rest(endpoint)
                else:
                    endpoint.failures, endpoint.rests_until = 0, 0.0
                    return result
        told = "; ".join(causes.values()) or "none of its RPCs is of this network's chain"
        raise Unavailable(f"The chain cannot be asked: {told}")

    def rest(self, endpoint: Endpoint) -> None:
        """Ask it last for a while, longer after each failure in a row."""
        first, most = bounds.RPC_REST
        endpoint.failures += 1
        endpoint.rests_until = trio.current_time() + min(most, first * 2 ** min(endpoint.failures - 1, 16))

    async def check(self, endpoint: Endpoint) -> None:
        """Ask an RPC for its chain's id, before anything else and once. WrongChain when it is another's."""
        if endpoint.checked:
            return
        told = number(await endpoint.call("eth_chainId"), "eth_chainId")
        if self._chain_id is not None and told != self._chain_id:
            endpoint.foreign = True
            log.error("%s is of chain %d, this network's is %d: it is not used", endpoint.name, told, self._chain_id)
            raise WrongChain(f"{endpoint.name} is of chain {told}, and this network's chain is {self._chain_id}")
        endpoint.checked = True


@asynccontextmanager
async def open_rpc(urls: Sequence[str], chain_id: int | None) -> AsyncIterator[Rpc]:
    """A client of a chain's RPCs, the preferred first. `chain_id` None takes whichever chain the first URL has.

    ChainError for a URL that is none. Nothing is asked yet.
    """
    for url in urls:
        check_url(url)
    limits = httpx.Limits(max_connections=bounds.RPC_CONNECTIONS, max_keepalive_connections=4)
    timeout = httpx.Timeout(bounds.RPC_SECONDS)
    secure = any(urlsplit(url).scheme != "http" for url in urls)  # 30 ms to read all certificates, which http needs not
    async with httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False, verify=secure) as client:
        ids = itertools.count(1)
        yield Rpc([Endpoint(url, client, ids) for url in dict.fromkeys(urls)], chain_id)


def check_url(url: str) -> None:
    """ChainError unless it is an http or https URL."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        good = False
    if not good:
        raise ChainError(f"{shown_url(url)} is no RPC's URL: http://127.0.0.1:8545, or https://…")


def shown_url(url: str) -> str:
    """As much of a URL as may be shown: scheme, host and port. What follows may be a key."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "a URL that cannot be read"
    if not host:
        return "a URL without a host"
    more = "/…" if parts.path.strip("/") or parts.query or parts.username else ""
    host = f"[{host}]" if ":" in host else host
    return _printable(f"{parts.scheme}://{host}{f':{port}' if port else ''}{more}")


def _is_shallow(data: bytearray) -> bool:
    """Whether its nesting is bounded: the decoder recurses as deep as the process lets it, which may be too deep."""
    if data.count(b"[") + data.count(b"{") <= bounds.MAX_NESTING:
        return True
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest <= bounds.MAX_NESTING


def _error_data(error: Any) -> bytes:
    for _ in range(4):  # some RPCs wrap the bytes once or twice
        if isinstance(error, str) and error.startswith("0x"):
            try:
                return bytes.fromhex(error[2:])
            except ValueError:
                return b""
        if not isinstance(error, dict):
            break
        error = error.get("data")
    return b""


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
