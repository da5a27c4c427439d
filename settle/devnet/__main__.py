"""`python -m settle.devnet`: the devnet as a process of its own; its ready line is one JSON object."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

import trio

from .errors import DevnetError
from .serving import WARNING, Running, Settings, serve


def main() -> int:
    """Run until a signal, or with --until-eof until the standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m settle.devnet", description=WARNING)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--block-time", type=float, default=Settings.block_time)
    parser.add_argument("--idle", type=float, default=Settings.idle)
    parser.add_argument("--fund", action="append", default=[], type=bytes.fromhex, help="hexadecimal, without 0x")
    parser.add_argument("--cheats", action="store_true", help="time, snapshots and reorganisations on demand")
    parser.add_argument("--behind", type=int, default=0, help="seconds by which its clock is late")
    parser.add_argument("--until-eof", action="store_true", help="end with whoever holds the other end of our input")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings(
        given.dir, given.port, given.block_time, given.idle, tuple(given.fund), given.cheats, given.behind
    )
    failed: list[BaseException] = []
    try:
        trio.run(_run, settings, given.until_eof)
    except* DevnetError as group:
        failed += _leaves(group)
    except* KeyboardInterrupt:
        pass
    for error in failed:
        _say({"event": "error", "message": str(error)})
    return 1 if failed else 0


async def _run(settings: Settings, until_eof: bool) -> None:
    async with trio.open_nursery() as nursery:
        running: Running = await nursery.start(serve, settings)
        said = {"event": "ready", "url": running.url, "chain_id": running.chain_id, "block": running.block}
        _say(said | {"faucet": "0x" + running.faucet.hex(), "note": WARNING})
        if until_eof:
            await trio.to_thread.run_sync(
                sys.stdin.buffer.read,
                abandon_on_cancel=True,  # type: ignore[call-arg]  # the stubs are older
            )
            nursery.cancel_scope.cancel()


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    nested = [_leaves(error) if isinstance(error, BaseExceptionGroup) else [error] for error in group.exceptions]
    return [error for found in nested for error in found]


def _say(event: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
