"""Opening a peer: a data directory, a libp2p host, what it knows of others, and its roles under one nursery."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from p2p import Admission, Channel, Uploads, open_host, serve_blobs
from wire.canonical import decode, encode
from wire.errors import RemoteError
from wire.keys import NodeKey, peer_id_of
from wire.presence import Presence, SignedPresence, sign_presence

from .announcing import run_names
from .auditing.news import AuditIntake
from .bounds import ACQUAINT_SECONDS, PRESENCE_EVERY, PRESENCE_LIFE_MS, PRESENCE_PAUSE, VISIT_MS
from .catalogue import CatalogueService, ask_offers, ask_presences
from .catchingup import run_catching_up
from .clock import now_ms
from .config import Config
from .datadir import DataDir
from .intake import Intake
from .listening import Listening, choose
from .local import open_local
from .memory import keep_memory
from .naming import rank_in_dht
from .networks.updating import PROTOCOL as NETWORK_PROTOCOL
from .networks.updating import Updates
from .noticeboard import Notice, Noticeboard, Ruling
from .peer import Peer
from .ready import ReadyModels
from .releases import RELEASE
from .roles.hub import run_hub
from .roles.provider import Provider
from .seen import keep_counts, write_counts
from .supervise import supervise
from .zk.knowing import serve_circuits
from .zk.provers import Provers

log = logging.getLogger("hallmark.node")

_ADMISSION = {Ruling.ACCEPT: Admission.ACCEPT, Ruling.IGNORE: Admission.IGNORE, Ruling.REJECT: Admission.REJECT}


@asynccontextmanager
async def open_peer(
    directory: DataDir, config: Config, *, serving: bool, listening: bool = False, account: NodeKey | None = None
) -> AsyncIterator[Peer]:
    """A running peer. `serving`: with its roles, listening; otherwise a short-lived client that only dials, or listens
    too (`listening`), to see whether it could be reached.
    `account`: who pays from here; where it serves, whichever account the configuration can unlock.

    Raises CommandError or StoreError when the data directory cannot be opened, CommandError when it cannot listen.
    """
    keep_memory()
    roles = config.roles if serving else ()
    async with open_local(directory, config, roles=roles) as local, AsyncExitStack() as opened:
        purse = None
        if local.network.chain is not None:  # loaded where money is: it takes a third of a second
            from .chain.opening import open_purse
            from .chain.wallets import unlock_quietly

            account = account or (await unlock_quietly(directory, config) if serving else None)
            purse = await opened.enter_async_context(open_purse(local, account))
        # An answer or a vote is waited for; a model that is fetched takes as long as it takes.
        uploads = Uploads(config.upload_rate or None, first=("infer", "committee"))
        place = choose(config.listen, directory.port) if serving or listening else Listening()
        starts = (*config.bootstraps, *local.network.bootstraps)
        opening = open_host(
            local.key,
            local.network,
            listen=place.addresses,
            bootstraps=starts,
            peerbook=directory.peerbook,
            standing=directory.standing,
            announce=config.announce,
            port_mapping=config.port_mapping == "auto" and (serving or listening),
            mdns=config.mdns == "auto" and serving,
            relay="relay" in roles,
            relays=(*config.relays, *local.network.relays) if serving else (),
            rendezvous=config.rendezvous if serving else (),
            uploads=uploads,
            judge=lambda key, value: rank_in_dht(key, value, local.network.domain, now_ms()),
        )
        async with opening as host, trio.open_nursery() as nursery:
            peer = Peer(
                local=local,
                host=host,
                board=Noticeboard(local.network.domain, {v.key for v in local.network.listed}),
                ready=ReadyModels(local),
                intake=Intake(local.store, local.network.domain),
                roles=local.roles,
                started_ms=now_ms(),
                listening=place,
                bootstraps=len(starts),
                chain=purse.chain if purse else None,
                sender=purse.sender if purse else None,
            )
            host.on_addresses_changed(peer.moved)
            audits = AuditIntake(local.store, local.network)
            local.followers.append(lambda now: host.use_bootstraps((*config.bootstraps, *now.bootstraps)))
            peer.updates = Updates(local, host)
            local.followers += [audits.follow, lambda now: peer.board.keep_room({v.key for v in now.listed})]
            payments = _join_payments(peer, opened)
            settling = _join_settling(peer)
            epochs = await _follow(peer, serving)
            await _join(peer, uploads)
            if serving:
                await _join_names(peer)
                await _join_audits(peer, audits)
            for name, service in {**epochs, **payments, **settling, **_services(peer, serving, audits)}.items():
                nursery.start_soon(supervise, name, service)
            try:
                yield peer
            finally:
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):  # it takes a moment on disk, and never waits for another peer
                    await write_counts(peer.tally, local.store)
                    await peer.checked.close()


def _services(peer: Peer, serving: bool, audits: AuditIntake) -> Mapping[str, Callable[[], Awaitable[None]]]:
    services: dict[str, Callable[[], Awaitable[None]]] = {
        "acquaintance": lambda: _get_acquainted(peer),
        "counts": lambda: keep_counts(peer.tally, peer.local.store),
    }
    if not serving:
        return services
    if peer.updates is not None:
        services["the network's file"] = peer.updates.run
    services["presence"] = lambda: _announce(peer)
    services["what gossip says of names"] = peer.intake.run
    services["what gossip says of checks"] = audits.run
    services["checks of answers"] = lambda: peer.checks.run(peer)
    services["names"] = lambda: run_names(peer)
    services["catching up"] = lambda: run_catching_up(peer)
    if "hub" in peer.roles:
        services["hub"] = lambda: run_hub(peer)
    if "provider" in peer.roles or "verifier" in peer.roles:
        services["models"] = peer.ready.run
    if "provider" in peer.roles:
        services["provider"] = Provider(peer).run
        services["attestation"] = lambda: _attest(peer)
        peer.provers = Provers(peer, peer.local.directory.circuits)
        services["circuits"] = peer.provers.run
    if "verifier" in peer.roles:
        from .roles.verifier import VerifierRole  # it compares tensors, so it loads numpy, which no other role needs

        services["verifier"] = VerifierRole(peer).run
    return services


async def _follow(peer: Peer, serving: bool) -> Mapping[str, Callable[[], Awaitable[None]]]:
    """The network's epochs come from its chain: at once for who asks and goes, again and again for who stays. So do
    accusations, and frauds go there."""
    if peer.chain is None:
        return {}
    from .chain.following import Following
    from .fraud.court import Court

    following = Following(peer.local, peer.chain)
    if not serving:
        await following.catch_up()
        return {}
    return {"epochs": following.run, "frauds on the chain": Court(peer).run}


def _join_payments(peer: Peer, ending: AsyncExitStack) -> Mapping[str, Callable[[], Awaitable[None]]]:
    if peer.chain is None:
        return {}
    from .paying.opening import join_payments

    return join_payments(peer, ending)


def _join_settling(peer: Peer) -> Mapping[str, Callable[[], Awaitable[None]]]:
    if peer.chain is None:
        if "settler" in peer.roles:
            log.warning("network %s has no chain: there is nothing to settle", peer.network.name)
        return {}
    from .settling.opening import join_settling

    return join_settling(peer)


async def _attest(peer: Peer) -> None:
    if peer.local.config.attester != "none":
        from .attesting.opening import run_attesting

        await run_attesting(peer)


async def _join(peer: Peer, uploads: Uploads) -> None:
    """Listen to gossip and answer what every peer answers: catalogues, and blobs that it holds."""

    def judge(take: Callable[[bytes, int], Notice]) -> Callable[[bytes, str], Admission]:
        return lambda data, author: _admission(take(data, now_ms()), author)

    def deliver(_: bytes, __: str) -> None:  # what is admitted is on the noticeboard already
        peer.board_changed.notify()

    def meet(data: bytes, __: str) -> None:
        presence = decode(decode(data, SignedPresence).body, Presence)
        peer.host.learn(peer_id_of(presence.peer), presence.addresses)
        peer.board_changed.notify()

    await peer.host.join("offers", judge(peer.board.take_offer), deliver)
    await peer.host.join("presences", judge(peer.board.take_presence), meet)

    def pulled(blob: bytes, peer_id: str) -> None:
        peer.tally.pulled(blob, peer_id, now_ms())

    async def blobs(channel: Channel) -> None:
        await serve_blobs(channel, peer.local.store, uploads, pulled)

    async def attest(channel: Channel) -> None:
        from .attesting.exchange import serve_attest  # few are ever asked

        await serve_attest(peer, channel)

    async def circuits(channel: Channel) -> None:
        await serve_circuits(channel, peer.local.store)

    peer.host.handle("attest", attest)
    peer.host.handle("circuits", circuits)
    peer.host.handle("blobs", blobs)
    peer.host.handle("catalogue", CatalogueService(peer).serve)
    if peer.updates is not None:
        peer.host.handle(NETWORK_PROTOCOL, peer.updates.serve)


async def _join_names(peer: Peer) -> None:
    """Listen to what is said of names: for peers that stay, since a command asks what it needs."""

    def admit(data: bytes, author: str) -> Admission:
        return _admission(peer.intake.take(data, author, now_ms()), author)

    await peer.host.join("names", admit, lambda _, __: None)


async def _join_audits(peer: Peer, audits: AuditIntake) -> None:
    """Listen to which providers' answers were checked, and how that ended."""

    def admit(data: bytes, author: str) -> Admission:
        return _admission(audits.take(data, now_ms()), author)

    await peer.host.join("audits", admit, lambda _, __: None)


def _admission(notice: Notice, author: str) -> Admission:
    if notice.ruling is Ruling.REJECT:
        log.warning("gossip of %s rejected: %s", author, notice.rule)
    return _ADMISSION[notice.ruling]


async def _get_acquainted(peer: Peer) -> None:
    """Ask each newly connected peer once what was said before we came. One that dialled us may be gone in a moment, as
    those are that only look whether it can be done."""
    asked: set[str] = set()

    async def ask(peer_id: str) -> None:
        try:
            await ask_presences(peer, peer_id)
            await ask_offers(peer, peer_id, None)
        except RemoteError as error:
            log.info("%s told nothing of others: %s", peer_id, error)

    async with trio.open_nursery() as nursery:
        while True:
            now, connected = now_ms(), peer.host.connected()
            asked &= {status.peer_id for status in connected}
            for status in connected:
                stays = status.outgoing or now - status.since_ms >= VISIT_MS
                if stays and status.peer_id not in asked:
                    asked.add(status.peer_id)
                    nursery.start_soon(ask, status.peer_id)
            await trio.sleep(ACQUAINT_SECONDS)


async def _announce(peer: Peer) -> None:
    """Say where this peer is, now, whenever that changes, and again before the last word expires."""
    while True:
        now, changes = now_ms(), peer.reach_changed.count
        presence = Presence(
            peer=peer.local.key.public,
            addresses=peer.host.addresses,
            roles=tuple(role for role in peer.roles if role != "relay"),  # type: ignore[misc]  # config admits only roles
            release=RELEASE,
            sequence=now,
            issued_ms=now,
            expires_ms=now + PRESENCE_LIFE_MS,
        )
        data = encode(sign_presence(presence, peer.local.key, peer.network.domain))
        peer.board.take_presence(data, now)
        await peer.host.publish("presences", data)
        await trio.sleep(PRESENCE_PAUSE)
        await peer.reach_changed.wait(PRESENCE_EVERY - PRESENCE_PAUSE, since=changes)
