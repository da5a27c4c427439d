"""How this peer can be reached, told to a person: in one line, by whom it was found, and what to do about it.

The steps contain this machine's own addresses and port, so that they can be followed as they stand. A function of
what `p2p` found; it looks at nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from ipaddress import ip_address, ip_network
from typing import Any

from p2p import Reach, Reachability

OPEN = "--listen /ip4/0.0.0.0/tcp/4001"
_ANY = ("0.0.0.0", "::")
_LANS = [ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")]


def describe(found: Reachability, listen: Sequence[str], *, relays: bool = False) -> dict[str, Any]:
    """All of it, ready for JSON. `listen`: where it was told to listen; `relays`: it has the role of a relay."""
    return asdict(found) | {
        "state": found.state.value,
        "line": _line(found),
        "checked": _checked(found),
        "idle_relay": _idle_relay(found) if relays else "",
        "steps": [*_steps(found, listen), *(_without_relaying(found) if relays else ())],
    }


def _line(found: Reachability) -> str:
    at = ", ".join(found.confirmed)
    over = f"over {len(found.relays)} relay{'s' if len(found.relays) > 1 else ''}"
    match found.state:
        case Reach.PUBLIC:
            return f"yes, at {at} (public)"
        case Reach.MAPPED:
            return f"yes, at {at}, through {found.mapping} (mapped)"
        case Reach.LOCAL if found.scope == "machine":
            return "from this machine only (local)"
        case Reach.LOCAL:
            near = [address for address in found.listening if not ip_address(address.split("/")[2]).is_loopback]
            return f"from this LAN, at {', '.join(near)} (local)"
        case Reach.CHECKING:
            meanwhile = f"; {over} meanwhile" if found.relays else ""
            seen = ", ".join(dict.fromkeys(checker.detail for checker in found.checkers))
            if seen and all(checker.reached for checker in found.checkers):
                return f"it seems so, at {seen}; sure when {found.wanted} peers, each in another network, got through"
            return f"not known before {found.wanted} peers, each in another network, have dialled back{meanwhile}"
        case _:
            return f"{over}, not directly (private)" if found.relays else "no (private): it can ask, and is not asked"


def _checked(found: Reachability) -> str:
    """By whom, and what each found."""
    if found.state is Reach.LOCAL:
        return ""
    if not found.checkers:
        return "" if found.state is Reach.CHECKING else "nobody was asked to dial back"
    got = [c for c in found.checkers if c.reached]
    text = f"{len(got)} of {len(found.checkers)} peers that were asked to dial back got through"
    if (missing := found.wanted - len({c.range for c in found.checkers})) > 0:
        text += f"; {missing} more in other networks {'is' if missing == 1 else 'are'} needed"
    return text


def _idle_relay(found: Reachability) -> str:
    """Why nobody's streams will come this way, though the peer would carry them; "" where somebody's may."""
    match found.state:
        case Reach.PRIVATE:
            return "it carries nothing: a relay has to be dialled, and nobody can dial this peer"
        case Reach.LOCAL:
            near = "on this machine" if found.scope == "machine" else "in this LAN"
            return f"it carries nothing for others than peers {near}, who need no relay"
        case _:
            return ""


def _without_relaying(found: Reachability) -> Iterator[str]:
    if found.state is Reach.PRIVATE:
        yield "Until then nobody has anything of the role relay: start it without --role relay, or run that elsewhere."


def _steps(found: Reachability, listen: Sequence[str]) -> Iterator[str]:
    if found.state is Reach.LOCAL and found.scope == "machine":
        if any(one.split("/")[2] in _ANY for one in listen):
            yield "It listens on all addresses of this machine, which has only its own: connect it to a network."
            return
        yield f"To be reached from elsewhere, start it with {OPEN}"
    if found.state is not Reach.PRIVATE:
        return
    if not found.listening:
        yield f"Listen: start it with {OPEN}"
        return
    address = _best(found.listening)
    host, port = address.split("/")[2], address.split("/")[4]
    if listen and all(one.endswith("/tcp/0") for one in listen):
        yield f"Choose a port that stays the same at each start: {OPEN}"
    if ip_address(host).is_loopback:
        yield f"Listen beyond this machine: start it with {OPEN}"
        return
    if not _behind_router(host):
        yield f"Let TCP port {port} in to {host} through this machine's firewall: sudo ufw allow {port}/tcp"
        yield f"Where the machine is rented, let TCP port {port} in there too (its security group or network firewall)."
        return
    router = f"the router at {found.gateway}" if found.gateway else "the router"
    yield f"On {router}, forward TCP port {port} to {host} port {port}, which is this machine."
    yield f"Let TCP port {port} in through this machine's firewall: sudo ufw allow {port}/tcp"
    if not found.mapping:
        yield f"Or switch on UPnP or NAT-PMP on {router}: the port is then forwarded by itself."
    yield (
        "If your provider shares one address among its customers, no port can be opened: stay with relays, or run one "
        "on a public machine: hallmark serve --role relay"
    )


def _behind_router(host: str) -> bool:
    """Whether the address is one of those that routers give out, and not one of the world's."""
    address = ip_address(host)
    return address.is_link_local or any(address in network for network in _LANS if network.version == address.version)


def _best(listening: Sequence[str]) -> str:
    """The address a router would forward to: IPv4, and not loopback, where there is one."""
    return min(listening, key=lambda a: (ip_address(a.split("/")[2]).is_loopback, not a.startswith("/ip4"), len(a)))
