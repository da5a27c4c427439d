"""From a delivered answer to its final payout, on the devnet.    python -m bench.payout [--epoch S] [--settlers N]

Settlers in this process, with real stores, streams and contracts, by the wall clock. The answer is delivered, and
its price is claimed and collected, at the start; its provider claims its line as soon as the root is final.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio

from bench.figures import show
from node.config import Config
from node.opening import open_peer
from node.operations.epochs import claim
from settle.ledger import Status
from tests.node.settling.deals import Deal
from tests.node.settling.village import Village, settle_in, village
from tests.verify.scenes import key_of
from verify.settling import slim
from wire.settlement import Settle, Settled

PRICE = 10_000


async def reached(probe: Callable[[], Awaitable[bool]]) -> None:
    """Return once it holds."""
    while not await probe():  # noqa: ASYNC110 — contracts tell nobody
        await trio.sleep(0.1)


async def measure(place: Village, directory: Path) -> dict[str, Any]:
    """One answer's way, in seconds from its delivery."""
    town, provider = place.town, key_of("provider")
    async with town.open() as chain:
        head = await chain.head()
    began, found = time.perf_counter(), dict[str, Any]()

    def note(what: str) -> None:
        found[what] = round(time.perf_counter() - began, 1)

    on = place.peers[0].network
    deal = Deal(on=on, at_ms=head.timestamp * 1000, tier="quorum", verifiers=len(on.verifiers), price=PRICE)
    async with place.peers[1].host.exchange(place.peers[0].host.peer_id, "settle") as channel:
        await channel.send(Settle(file=slim(deal.file)))
        await channel.receive(Settled, timeout=30)
    epoch = await place.earn(PRICE)
    note("receipt handed over, revenue collected")

    async def stands(status: Status) -> bool:
        said: Any = await place.ask("rootOf", epoch)
        return bool(said["status"] >= status)

    async def is_over() -> bool:
        return int(str(await place.ask("current"))) > epoch

    await reached(is_over)
    note("its epoch is over")
    await reached(lambda: stands(Status.POSTED))
    note("root posted")
    await reached(lambda: stands(Status.FINAL))
    note("root final")
    config = Config(bootstraps=place.peers[0].host.addresses)
    home = settle_in(directory / "provider", provider, place.network)
    async with open_peer(home, config, serving=False, account=town.account(9)) as peer:
        done = await claim(peer, {"epoch": epoch}, lambda _: None)
    if not done["claimed"]:
        raise SystemExit("the provider was paid nothing")
    note("provider paid")
    found["epochs later"] = int(str(await place.ask("current"))) - epoch
    return found


async def run(epoch: int, settlers: int) -> list[dict[str, Any]]:
    """Rows: how far, and when."""
    with tempfile.TemporaryDirectory() as place:
        async with village(Path(place), settlers=settlers, epoch=epoch) as town:
            found = await measure(town, Path(place))
    later = found.pop("epochs later")
    rows: list[dict[str, Any]] = [
        {"step": step, "seconds": at, "epochs": round(at / epoch, 2)} for step, at in found.items()
    ]
    rows[-1]["paid in"] = f"epoch + {later}"
    return rows


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epoch", type=int, default=20, help="seconds")
    parser.add_argument("--settlers", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    show(f"From answer to payout, epochs of {given.epoch} s", trio.run(run, given.epoch, given.settlers), given.json)


if __name__ == "__main__":
    main()
