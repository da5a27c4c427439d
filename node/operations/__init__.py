"""What commands do, apart from how they show it: plain functions over a peer, the same in a running node and in a
short-lived one. Parameters and results are plain values, since they may cross the control socket; progress goes out as
events. `LOCAL` ones need no other peer, `CHAINED` ones the network's chain and no peer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..chain.opening import Purse
    from ..control import Emit
    from ..local import Local
    from ..peer import Peer

LOCAL = {
    "model.add": "adding.add_model",
    "model.edit": "editing.edit_model",
    "model.withdraw": "editing.withdraw_model",
    "model.ls": "models.list_models",
    "model.rm": "store.remove_model",
    "model.export": "folders.export_folder",
    "fraud.export": "evidence.export_fraud",
    "fraud.scan": "evidence.scan_receipts",
    "channel.restore": "channels.restore_channels",
    "receipt.ls": "evidence.list_receipts",
    "receipt.export": "evidence.export_receipt",
    "zk.setup": "circuits.setup_circuit",
    "zk.check": "circuits.check_circuits",
    "bench.here": "bench.bench_here",
    "store.verify": "store.verify_store",
    "store.stat": "store.stat_store",
    "store.gc": "store.collect_garbage",
    "store.pin": "store.pin_model",
    "store.unpin": "store.unpin_model",
}
CHAINED = {
    "wallet.balance": "wallet.show_balance",
    "wallet.send": "wallet.send_money",
    "chain.status": "chain.show_status",
    "money": "money.show_money",
    "fraud.ls": "court.list_with_chain",
    "fraud.submit": "court.submit_fraud",
    "fraud.contest": "court.contest_fraud",
    "fraud.execute": "court.execute_fraud",
    "fraud.rule": "court.rule_fraud",
    "fraud.post": "court.rule_fraud",
    "income": "income.show_income",
    "income.network": "income.show_network_income",
    "stake": "stake.stake",
    "stake.show": "stake.show_stakes",
    "stake.unjail": "stake.unjail",
    "delegate": "stake.delegate",
    "unstake": "stake.unstake",
    "unstake.withdraw": "stake.withdraw",
    "unstake.ls": "stake.list_unbonding",
    "epoch.ls": "epochs.list_epochs",
    "channel.ls": "channels.list_channels",
    "channel.close": "channels.close_channel",
    "channel.claim": "channels.claim_channels",
}
# Of CHAINED and NETWORKED, those that need the account unlocked.
SPENDING = {
    "wallet.send", "fraud.submit", "fraud.contest", "fraud.execute", "fraud.post", "stake", "stake.unjail",
    "delegate", "unstake", "unstake.withdraw", "channel.open", "channel.topup", "channel.close",
    "channel.claim", "claim",
}  # fmt: skip
# Of NETWORKED, those for which a short-lived peer listens, as one that serves does.
LISTENING = {"reach"}
NETWORKED = {
    "model.show": "models.show_model",
    "model.pull": "models.pull_model",
    "model.search": "search.search_models",
    "model.versions": "search.list_versions",
    "store.repair": "store.repair_store",
    "infer": "infer.infer",
    "quote": "quote.quote",
    "channel.open": "channels.open_channel",
    "channel.topup": "channels.top_up_channel",
    "epoch.show": "epochs.show_epoch",
    "claim": "epochs.claim",
    "receipt.compact": "compacting.compact_receipt",
    "bench": "bench.bench",
    "peers": "peers.list_peers",
    "peers.standing": "peers.show_standing",
    "peers.ban": "peers.ban_peer",
    "peers.forgive": "peers.forgive_peer",
    "reach": "reach.show_reach",
    "network.update": "networks.update_network",
    "network.take": "networks.take_file",
    "ps": "ps.list_loaded",
}


async def run_local(local: Local, name: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run one of `LOCAL`. CommandError and the packages' errors as they arise."""
    return await _operation(LOCAL[name])(local, params, emit)


async def run_chained(purse: Purse, name: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run one of `CHAINED`. CommandError, ChainError and the packages' errors as they arise."""
    return await _operation(CHAINED[name])(purse, params, emit)


async def run_networked(peer: Peer, name: str, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run one of `NETWORKED`. CommandError and the packages' errors as they arise."""
    return await _operation(NETWORKED[name])(peer, params, emit)


def load_all() -> None:
    """Import every operation now, for a node that stays: it must not stand still when one is asked for first."""
    for place in (*LOCAL.values(), *CHAINED.values(), *NETWORKED.values()):
        _operation(place)


@cache
def _operation(place: str) -> Callable[[Any, dict[str, Any], Emit], Awaitable[dict[str, Any]]]:
    # Its module is loaded alone: a command that looks into its own store needs nothing of the network.
    module, _, function = place.partition(".")
    found: Callable[[Any, dict[str, Any], Emit], Awaitable[dict[str, Any]]]
    found = getattr(import_module(f".{module}", __name__), function)
    return found
