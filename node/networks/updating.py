"""A running peer keeps its network's file new: it asks its neighbours and, rarely, the file's own URLs.

What it takes over it gives to others on the stream `network`. Any peer may be asked, since the publisher's signature
is what counts, and so a new file reaches everybody even where no URL can be.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable

import trio

from p2p import Channel, Host
from wire.errors import ErrorCode, RecordError, RemoteError
from wire.networkfile import AskNetwork, NetworkReply, read_file

from ..bounds import UPDATE_ASK, UPDATE_EVERY, UPDATE_NEIGHBOURS, UPDATE_SECONDS, UPDATE_STEPS
from ..errors import CommandError
from ..local import Local, keep_network
from .archive import Archive
from .rules import follow, follow_text, read_signed

log = logging.getLogger("hallmark.network")

PROTOCOL = "network"


class Updates:
    """The newer files of one peer's network."""

    def __init__(self, local: Local, host: Host, fetch: Callable[[str], Awaitable[str]] | None = None) -> None:
        self._local, self._host, self._fetch = local, host, fetch or _fetch
        self.archive = Archive(local.directory.signed(local.network.name))
        self._forked = False
        self._catch_up()

    def take(self, text: str, whence: str) -> None:
        """Take over a file that may follow ours; RecordError says why it may not."""
        ours, newest = self._local.network, self.archive.newest
        try:
            file, network = follow_text(ours, text)
        except RecordError:
            self._look_for_fork(text, whence)
            raise
        self.archive.keep(file)
        self._local.follow(network)
        try:
            keep_network(self._local.directory, network)
        except CommandError as error:
            log.warning("version %d of the network file holds, and is not saved: %s", network.version, error)
        log.info("version %d of the network file, signed by its publisher, came from %s", network.version, whence)
        if file.hands_over and network.publisher != (newest.network.publisher if newest else None):
            log.warning("the publisher of network %s has handed over to another", network.name)
        if (ours.chain, ours.relays) != (network.chain, network.relays):
            log.warning("the network's RPCs, confirmations or relays are others now: from this peer's next start")

    async def serve(self, channel: Channel) -> None:
        """Answer one question for the next file."""
        asked = await channel.receive(AskNetwork, timeout=UPDATE_SECONDS)
        following = self.archive.after(asked.version)
        text = following.signed.text.encode() if following else b""
        await channel.send(NetworkReply(size=len(text)))
        await channel.send_data(text)

    async def ask_peer(self, peer_id: str) -> bool:
        """Ask a neighbour; whether its file was newer and is ours now. RemoteError says why it is not."""
        taken = False
        for _ in range(UPDATE_STEPS):
            async with self._host.exchange(peer_id, PROTOCOL) as channel:
                await channel.send(AskNetwork(version=self._local.network.version))
                size = (await channel.receive(NetworkReply, timeout=UPDATE_SECONDS)).size
                data = await channel.receive_data(size, timeout=UPDATE_SECONDS)
            if not data:
                break
            try:
                self.take(data.decode(), f"peer {peer_id}")
            except (RecordError, UnicodeDecodeError) as error:
                raise RemoteError(ErrorCode.BAD_RECORD, f"the network file of {peer_id}: {error}") from error
            taken = True
        return taken

    async def ask_url(self, url: str) -> bool:
        """Ask one of the file's URLs; whether there is a newer one and it is ours now. CommandError, RecordError."""
        text = await self._fetch(url)
        signed, newest = read_file(text), self.archive.newest
        if signed is not None and newest is not None and signed.body == newest.signed.body:
            return False
        self.take(text, url)
        return True

    async def run(self) -> None:
        """Ask again and again, until cancelled."""
        if self._local.network.publisher is None:
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask_neighbours)
            nursery.start_soon(self._ask_urls)

    async def _ask_neighbours(self) -> None:
        while not self._host.connected():  # noqa: ASYNC110 — the host tells nobody
            await trio.sleep(1)
        while True:
            peers = [status.peer_id for status in self._host.connected()]
            for peer_id in random.sample(peers, min(UPDATE_NEIGHBOURS, len(peers))):
                try:
                    await self.ask_peer(peer_id)
                except RemoteError as error:  # one of the release before does not serve it
                    log.debug("%s gave no network file: %s", peer_id, error)
            await trio.sleep(random.uniform(*UPDATE_ASK))

    async def _ask_urls(self) -> None:
        while True:
            await trio.sleep(random.uniform(*UPDATE_EVERY))
            for url in self._local.network.updates:
                try:
                    await self.ask_url(url)
                except (CommandError, RecordError) as error:
                    log.info("%s: %s", url, error)
                else:
                    break

    def _catch_up(self) -> None:
        """Files that were taken over before, where this start was with an older one."""
        for file in self.archive.all():
            if file.version > self._local.network.version:
                try:
                    self._local.follow(follow(self._local.network, file))
                except RecordError as error:
                    log.warning("version %d of the network file is stored and does not count: %s", file.version, error)

    def _look_for_fork(self, text: str, whence: str) -> None:
        """Tell once when the publisher signed two files of one version: somebody has its key, or it erred."""
        ours, newest = self._local.network, self.archive.newest
        signed = read_file(text)
        if self._forked or signed is None or newest is None or newest.version != ours.version:
            return
        if ours.publisher is None or signed.body == newest.signed.body or not signed.is_by(ours.publisher, ours.domain):
            return
        try:
            self._forked = read_signed(text).version == ours.version
        except RecordError:
            return
        if self._forked:
            log.warning("%s has another version %d of the network file, signed too; ours is kept", whence, ours.version)


async def _fetch(url: str) -> str:
    from .fetching import fetch_file  # httpx takes a third of a second to load, and few ever ask

    return await fetch_file(url)
