"""What a peer has without a network: its key, its network's rules, its store, its engine. Commands that need no other
peer (`model add`, `model ls`) work on this alone; `peer` puts a libp2p host and the roles on top."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from wire.keys import NodeKey
from wire.network import Network, Registry

from .config import Config
from .datadir import DataDir
from .errors import CommandError, Exit
from .keyfile import create_key, load_key
from .mirroring import Standing
from .networkfile import load_network, new_network, save_network
from .signal import Signal

if TYPE_CHECKING:
    from engine import Engine
    from storage import Store


@dataclass
class Local:
    """One opened data directory. Only `network` ever changes: with `follow`, when its chain opens an epoch."""

    directory: DataDir
    config: Config
    key: NodeKey
    network: Network
    store: Store
    engine: Engine
    models_changed: Signal = field(default_factory=Signal)  # a model came or went
    circuits_changed: Signal = field(default_factory=Signal)  # one was registered here, or learnt of
    frauds_changed: Signal = field(default_factory=Signal)  # a fraud file was kept
    names_changed: Signal = field(default_factory=Signal)  # a name record of this peer's own is new
    mirroring: Standing = field(default_factory=Standing)  # what the hub is at
    roles: tuple[str, ...] = ()  # those that run here now: none where a command has opened it for itself
    followers: list[Callable[[Network], None]] = field(default_factory=list)  # those that keep something of `network`

    def follow(self, network: Network) -> None:
        """From now on the network is this: the same one with further epochs. What is in flight keeps its own epoch,
        which `network.past` has. ValueError for another network."""
        if (network.name, network.domain) != (self.network.name, self.network.domain):
            raise ValueError(f"network {network.name} is not {self.network.name}")
        self.network = network
        for tell in self.followers:
            tell(network)


@asynccontextmanager
async def open_local(directory: DataDir, config: Config, *, roles: tuple[str, ...] = ()) -> AsyncIterator[Local]:
    """Open the data directory, for this process alone; CommandError or StoreError when it cannot be."""
    from engine import Settings, open_engine  # `hallmark verify` and `init` need neither
    from storage import open_store

    key = load_key(directory.key)
    network = load_network(find_network(directory, config.network))
    with open_store(directory.store, config.quota or None) as store:
        settings = Settings(
            threads=config.threads,
            memory=config.model_memory,
            all_memory=config.memory,
            card_memory=config.card_memory,
            tolerances={profile.name: profile.tolerance for profile in network.profiles},
            max_models=config.max_models,
            max_rows=config.max_batch,
            backend=config.backend,
            length=config.max_length,
            engines=directory.engines,
        )
        async with open_engine(settings) as engine:
            yield Local(directory, config, key, network, store, engine, roles=roles)


def initialise(directory: DataDir, network_file: Path | None) -> tuple[NodeKey, Path]:
    """Make a new peer: its directory, its key, and its network: the file given, one that was added before, or one of
    its own with itself as the only verifier. Returns the key and where the network file lies."""
    network = load_network(network_file) if network_file else None
    directory.create()
    key = create_key(directory.key)
    if network is None and (added := sorted(directory.networks.glob("*.toml"))):
        return key, added[0]
    if network is None:
        # Two that never heard of each other may stand in one LAN, and must not take each other for their own.
        network = new_network(f"home-{key.address.hex()[:6]}", [key.peer_id])
    return key, keep_network(directory, network)


def keep_network(directory: DataDir, network: Network) -> Path:
    """Store a network file under its name; CommandError when another network of that name is there, or a later one.

    Where its epochs are a chain's, those that were followed already are kept: the file that the network began with
    will always do.
    """
    place = directory.networks / f"{network.name}.toml"
    stored = load_network(place) if place.exists() else network
    if stored.domain != network.domain:
        raise CommandError(
            Exit.CONFIG, f"another network named {network.name!r} is stored in {place}", "Remove or rename that file."
        )
    if stored.publisher is not None and stored.version > network.version:
        raise CommandError(
            Exit.CONFIG,
            f"that file is version {network.version} of {network.name!r}, and version {stored.version} is stored",
            f"Use the newer file: {place}",
        )
    if stored.epoch > network.epoch and network.chain:
        names = (*Registry.__struct_fields__, "past")
        network = msgspec.structs.replace(network, **{name: getattr(stored, name) for name in names})
    if stored.epoch > network.epoch:
        raise CommandError(
            Exit.CONFIG,
            f"that file is of epoch {network.epoch} of network {network.name!r}, and epoch {stored.epoch} is stored",
            f"Use the newer file: {place}",
        )
    save_network(place, network)
    return place


def find_network(directory: DataDir, wanted: str) -> Path:
    """The network file that `wanted` means: a path, a stored name, or "" for the only one stored."""
    if wanted and (os.sep in wanted or wanted.endswith(".toml")):
        return Path(wanted).expanduser()
    stored = sorted(directory.networks.glob("*.toml"))
    names = ", ".join(p.stem for p in stored)
    if wanted:
        if (place := directory.networks / f"{wanted}.toml") not in stored:
            raise CommandError(
                Exit.CONFIG,
                f"no network named {wanted!r} is stored here" + (f", but {names}" if names else ""),
                "Store it from its file or URL: hallmark network add FILE|URL",
            )
        return place
    if len(stored) == 1:
        return stored[0]
    raise CommandError(
        Exit.CONFIG,
        f"several networks are stored here: {names}" if stored else "no network file is stored here",
        'Choose one: network = "NAME" in config.toml, or --network NAME where a command has it'
        if stored
        else "Get one (hallmark init --network FILE) or make one: hallmark network new NAME",
    )
