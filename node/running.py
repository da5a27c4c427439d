"""Where an operation runs: in this user's running node when there is one, else in a short-lived peer of our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .control import Emit, call_node
from .datadir import DataDir
from .interrupt import interruptible


async def run_operation(
    directory: DataDir, flags: Mapping[str, Any], name: str, params: dict[str, Any], emit: Emit
) -> dict[str, Any]:
    """Run the operation `name`; its events go to `emit`. CommandError and the packages' errors as they arise, in a
    group; KeyboardInterrupt after a Ctrl-C."""
    return await interruptible(lambda: _run(directory, flags, name, params, emit))


async def _run(
    directory: DataDir, flags: Mapping[str, Any], name: str, params: dict[str, Any], emit: Emit
) -> dict[str, Any]:
    if directory.socket.exists():
        result = await call_node(directory.socket, name, params, emit)
        if result is not None:
            return result
    from .config import load_config  # none of this is needed where a node runs, which is asked most
    from .local import open_local
    from .operations import CHAINED, LISTENING, LOCAL, SPENDING, run_chained, run_local, run_networked

    config = load_config(directory, flags).config
    if name in LOCAL:
        async with open_local(directory, config) as local:
            return await run_local(local, name, params, emit)
    key = None
    if name in SPENDING:
        from .chain.wallets import unlock_account

        key = unlock_account(directory, config)  # here, where it may ask, and nothing runs that could stand still
    if name in CHAINED:
        from .chain.opening import open_purse

        async with open_local(directory, config) as local, open_purse(local, key) as purse:
            return await run_chained(purse, name, params, emit)
    from .opening import open_peer

    async with open_peer(directory, config, serving=False, listening=name in LISTENING, account=key) as peer:
        return await run_networked(peer, name, params, emit)
