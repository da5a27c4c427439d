"""`chain.status`: which RPCs answer, how far the chain is, and by which parameters its contracts work."""

from __future__ import annotations

import time
from typing import Any

from settle.chain import Chain, ChainError
from settle.replies import number
from settle.rpc import Endpoint
from wire.keys import show_address

from ..chain.opening import Purse, the_chain
from ..clock import now_ms
from ..control import Emit

_VIEWS = (  # contract, then the views that take nothing and say how it works
    ("Registry", ("parameters", "nodeCount", "owner")),
    ("Evidence", ("rules", "owner")),
    ("Split", ("parameters", "owner")),
    ("Epochs", ("current", "genesis", "epochSeconds", "windowSeconds", "answerSeconds", "slashBps", "demandBond")),
    ("Channels", ("MIN_WITHDRAW_DELAY", "MAX_WITHDRAW_DELAY", "MAX_CLAIMS")),
    ("HallmarkToken", ("name", "symbol", "totalSupply")),
)


async def show_status(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Everything that can be told; what the chain does not answer is left out, with the reason."""
    chain = the_chain(purse)
    rpcs = [await _ask(chain, endpoint) for endpoint in chain.rpc.all]
    status: dict[str, Any] = {
        "network": purse.local.network.name,
        "chain_id": chain.domain.chain_id,
        "confirmations": chain.spec.confirmations,
        "rpcs": rpcs,
        "account": None if purse.sender is None else show_address(purse.sender.address),
        "pending": [] if purse.sender is None else [entry.purpose for entry in purse.sender.pending],
    }
    try:
        head = await chain.head()
        status["head"] = {"block": head.number, "age_seconds": max(0, now_ms() // 1000 - head.timestamp)}
        status["contracts"] = {name: await _views(chain, name, views) for name, views in _VIEWS}
    except ChainError as error:
        status["problem"] = str(error)
    return status


async def _ask(chain: Chain, endpoint: Endpoint) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        if endpoint.foreign:
            raise ChainError(f"{endpoint.name} is of another chain")
        await chain.rpc.check(endpoint)
        newest = number(await endpoint.call("eth_blockNumber"), "eth_blockNumber")
    except ChainError as error:
        return {"url": endpoint.name, "answers": False, "why": str(error)}
    took = (time.perf_counter() - began) * 1000
    return {"url": endpoint.name, "answers": True, "block": newest, "milliseconds": round(took, 1)}


async def _views(chain: Chain, name: str, views: tuple[str, ...]) -> dict[str, Any]:
    address = chain.contracts[name]
    told: dict[str, Any] = {"address": show_address(address)}
    for view in views:
        value = await chain.call(address, name, view)
        told |= _plain(value) if view in ("parameters", "rules") else _plain({view: value})
    return told


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            plain[name] = _plain(value)
        else:
            plain[name] = show_address(value) if isinstance(value, bytes) and len(value) == 20 else value
    return plain
