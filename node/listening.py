"""Where a peer listens that was not told where: on every address of this machine, IPv4 and IPv6, at one port.

The port is 4001, or, where another program has that (a second peer, another person's), the next that is free. It is
then kept in the data directory: what a router forwards, a firewall lets in and others remember must hold after the
next start too, and a second peer on one machine must not need a setting of its own.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from p2p.addresses import listenable

from .errors import CommandError, Exit

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)  # for demonstrations, tests and benches, which nobody from outside shall reach
FIRST, LAST = 4001, 4100  # ports that are tried; below those from which systems let connections leave
_HOSTS = ("/ip4/0.0.0.0", "/ip6/::")
_NO_SUCH = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


@dataclass(frozen=True)
class Listening:
    """Multiaddresses to listen on, and, where they are not what one would expect, why."""

    addresses: tuple[str, ...] = ()
    why: str = ""


def choose(configured: tuple[str, ...], kept: Path) -> Listening:
    """What was `configured`, to the letter; without anything, every address of this machine at one port.

    `kept`: the file that holds another port than 4001. CommandError says what cannot be listened on, and why.
    """
    if configured:
        try:
            for address in configured:
                listenable(address)
        except ValueError as error:
            raise CommandError(Exit.CONFIG, str(error)) from error
        except OSError as error:
            raise CommandError(Exit.CONFIG, str(error.strerror), "Give another: --listen ADDRESS") from error
        return Listening(configured)
    wanted = _read(kept)
    for port in dict.fromkeys((wanted, *range(FIRST, LAST + 1))):
        if not (addresses := _free(port)):
            continue
        if port == wanted:
            return Listening(addresses, f"kept since another program had port {FIRST}" if port != FIRST else "")
        try:
            kept.write_text(f"{port}\n")
        except OSError as error:
            raise CommandError(Exit.STORAGE, f"{kept} cannot be written: {error.strerror}") from error
        return Listening(addresses, f"another program has port {wanted}; this peer keeps {port} from now on")
    raise CommandError(
        Exit.CONFIG,
        f"other programs have all ports from {FIRST} to {LAST}",
        "Give one that is free: --listen /ip4/0.0.0.0/tcp/PORT",
    )


def _free(port: int) -> tuple[str, ...]:
    """What to listen on at that port; nothing when another program listens there, in either family."""
    found = []
    for host in _HOSTS:
        address = f"{host}/tcp/{port}"
        try:
            listenable(address)
        except OSError as error:
            if error.errno in _NO_SUCH:  # a machine without IPv6, say
                continue
            return ()
        found.append(address)
    return tuple(found)


def _read(kept: Path) -> int:
    try:
        port = int(kept.read_text())
    except (OSError, ValueError):  # there is none, or it was cut off: another will do
        return FIRST
    return port if 0 < port < 1 << 16 else FIRST
