"""Adding a network: a file that a person was given becomes one of this peer's networks, or replaces an older one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wire.errors import RecordError
from wire.keys import show_address
from wire.network import Network
from wire.networkfile import read_file

from ..datadir import DataDir
from ..errors import CommandError, Exit
from ..local import keep_network
from ..networkfile import load_network, parse_network, save_network
from .archive import Archive
from .rules import SignedFile, follow

_AGAIN = "Get the file again from whoever runs the network."


@dataclass(frozen=True)
class Added:
    """A network that is stored now. `signed`: its publisher signed this very file. `kept`: a newer one stays."""

    network: Network
    place: Path
    signed: bool
    kept: bool


def add_network(
    directory: DataDir, text: str, source: str, *, publisher: bytes | None = None, replace: bool = False
) -> Added:
    """Store the network file `text`, which came from `source`.

    `publisher`: who must have signed it. `replace`: instead of whatever is stored under its name. CommandError says
    why it is not taken.
    """
    network, file = _read(text, source)
    place = directory.networks / f"{network.name}.toml"
    stored = load_network(place) if place.exists() else None
    if publisher is not None:
        _check_publisher(file, publisher, source)
    elif file is not None and file.hands_over and not _known(stored, file):
        raise CommandError(
            Exit.CONFIG,
            f"{source} is not signed by the publisher that it names, or was changed since",
            f"{_AGAIN} Where a publisher has handed over, say who signed it: --publisher ADDRESS",
        )
    archive = Archive(directory.signed(network.name))
    if stored is not None and not replace:
        if (kept := _beside(stored, network, file, place)) is not None:
            same = file is not None and file.version == kept.version and _known(kept, file)
            if file is not None and same and (archive.newest is None or archive.newest.version < file.version):
                archive.keep(file)  # it was stored before, without its signature
            return Added(kept, place, same, kept=True)
        if file is not None and stored.publisher is not None and stored.version < network.version:
            network = follow(stored, file)
    directory.create()
    if replace:
        archive.clear()
        save_network(place, network)
    else:
        keep_network(directory, network)
    if file is not None:
        archive.keep(file)
    return Added(load_network(place), place, file is not None, kept=False)


def _read(text: str, source: str) -> tuple[Network, SignedFile | None]:
    try:
        network, signed = parse_network(text), read_file(text)
        if signed is not None and network.publisher is None:
            raise RecordError("it is signed, and names no publisher")
    except RecordError as error:
        raise CommandError(Exit.CONFIG, f"network file {source}: {error}", _AGAIN) from error
    return network, None if signed is None else SignedFile(signed, network)


def _check_publisher(file: SignedFile | None, publisher: bytes, source: str) -> None:
    if file is None:
        said = f"{source} is not signed, and {show_address(publisher)} should have"
        raise CommandError(Exit.CONFIG, said, _AGAIN)
    if not file.signed.is_by(publisher, file.network.domain):
        raise CommandError(Exit.CONFIG, f"{source} is not signed by {show_address(publisher)}", _AGAIN)


def _known(stored: Network | None, file: SignedFile) -> bool:
    return stored is not None and stored.publisher is not None and file.signed.is_by(stored.publisher, stored.domain)


def _beside(stored: Network, network: Network, file: SignedFile | None, place: Path) -> Network | None:
    """What stays instead of the file; None where the file is taken. CommandError where it may be neither."""
    anew = "To use this one all the same, add --replace to hallmark network add"
    if stored.domain != network.domain:
        said = f"another network named {network.name!r} is stored in {place}: its chain or contract is another"
        raise CommandError(Exit.CONFIG, said, anew)
    if stored.publisher is None:
        return None  # as files of the first release: the later epoch holds
    if network.publisher is not None and network.version <= stored.version:
        return stored  # the file that a network began with will always do
    try:
        if file is None:
            raise RecordError("it is not signed, and the network's publisher has signed the one that is stored")
        follow(stored, file)
    except RecordError as error:
        raise CommandError(Exit.CONFIG, f"that file may not follow {place}: {error}", anew) from error
    return None
