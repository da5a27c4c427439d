"""A whole peer in a process of its own: serves `echo` and blobs, joins a topic, provides, and says what it hears.

Run as `python -m tests.p2p.peer_process BOOTSTRAP…`; ends with its standard input. Its lines are JSON.
"""

from __future__ import annotations

import json
import sys

import trio

from p2p import Admission, Uploads, open_host, serve_blobs
from wire.keys import NodeKey

from .blobs.made import BLOB, Store
from .hosts import NETWORK, echo


def say(**what: object) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main() -> None:
    store, uploads = Store(full=True), Uploads()
    async with open_host(NodeKey.generate(), NETWORK, listen=["/ip4/127.0.0.1/tcp/0"], bootstraps=sys.argv[1:]) as host:
        host.handle("echo", echo)
        host.handle("blobs", lambda channel: serve_blobs(channel, store, uploads))
        await host.join(
            "offers", lambda *_: Admission.ACCEPT, lambda data, author: say(heard=data.hex(), author=author)
        )
        say(ready=host.peer_id, address=host.addresses[0])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(host.provide, BLOB)
            await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)
