"""What commands do, apart from how they show it: plain functions over a peer, the same in a running node and in a
short-lived one. Parameters and results are plain values, since they may cross the control socket; progress goes out as
events. `LOCAL` ones need no other peer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ..control import Emit
from ..local import Local
from ..peer import Peer
from .adding import add_model
from .bench import bench, bench_here
from .editing import edit_model, withdraw_model
from .folders import export_folder
from .infer import infer
from .models import list_models, pull_model, show_model
from .peers import list_peers
from .ps import list_loaded
from .search import list_versions, search_models
from .store import (
    collect_garbage,
    pin_model,
    remove_model,
    repair_store,
    stat_store,
    unpin_model,
    verify_store,
)

Result = Awaitable[dict[str, Any]]

LOCAL: dict[str, Callable[[Local, dict[str, Any], Emit], Result]] = {
    "model.add": add_model,
    "model.edit": edit_model,
    "model.withdraw": withdraw_model,
    "model.ls": list_models,
    "model.rm": remove_model,
    "model.export": export_folder,
    "bench.here": bench_here,
    "store.verify": verify_store,
    "store.stat": stat_store,
    "store.gc": collect_garbage,
    "store.pin": pin_model,
    "store.unpin": unpin_model,
}
NETWORKED: dict[str, Callable[[Peer, dict[str, Any], Emit], Result]] = {
    "model.show": show_model,
    "model.pull": pull_model,
    "model.search": search_models,
    "model.versions": list_versions,
    "store.repair": repair_store,
    "infer": infer,
    "bench": bench,
    "peers": list_peers,
    "ps": list_loaded,
}
