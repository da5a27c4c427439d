"""Keeps our port mapped while that is wanted: by the protocol that the router speaks, renewed, removed at the end."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_network

import trio

from ... import bounds
from ..places import Places, Scope, read_ip, written
from ..state import Mapped
from .ports import Grant, NoMapping, Port

log = logging.getLogger(__name__)

_CARRIERS = ip_network("100.64.0.0/10")  # RFC 6598


async def first_mapped(ports: Sequence[Port]) -> tuple[Port, Grant]:
    """The first of them, in this order, that a router maps. NoMapping names each one's reason.

    Not side by side: most routers speak several of the protocols and have one table, so that whoever comes second
    takes the mapping over, and ends it when it gives up.
    """
    refused: list[NoMapping] = []
    for port in ports:
        try:
            return port, await port.map()
        except NoMapping as error:
            refused.append(error)
    told = next((error for error in refused if error.outside is not None), NoMapping(""))
    raise NoMapping("; ".join(map(str, refused)) or "no router is known", told.router, told.outside)


class Keeper:
    """One mapping, or none. `report`: told what there is, and why there is none."""

    def __init__(self, places: Places, report: Callable[[Mapped], None]) -> None:
        self._places, self._report = places, report

    async def keep(
        self, ports: Sequence[Port], wanted: Callable[[], bool], pause: Callable[[float], Awaitable[None]]
    ) -> None:
        """Map, renew and at the end unmap, until it is `wanted` no more. `pause` waits, and less where news come."""
        mapped: Port | None = None
        found, missed = Mapped(), False
        try:
            while wanted():
                wait = bounds.MAPPING_RETRY_MOST
                try:
                    mapped, grant = await first_mapped([mapped] if mapped else ports)
                    found, missed = self._judged(mapped, grant), False
                    if found.external:
                        wait = min(max(grant.seconds / 2, bounds.MAPPING_RETRY), bounds.MAPPING_AGAIN)
                except NoMapping as error:
                    log.info("no port is mapped: %s", error)
                    if mapped is not None:  # a router that started anew has forgotten, and knows it again soon
                        wait = bounds.MAPPING_RETRY
                    if mapped is None or missed:  # one answer may be lost on the way, and what is mapped still stands
                        mapped, found = None, Mapped(trouble=self._explained(error))
                    missed = True
                self._report(found)
                await pause(wait)
        finally:
            # All of them: one that was given up may have been granted what it asked for.
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    for port in ports:
                        nursery.start_soon(port.unmap)
            self._report(Mapped())

    def _judged(self, port: Port, grant: Grant) -> Mapped:
        by = f"{port.name}, router {port.router}" if port.router else port.name
        if why := self._not_public(grant.ip):
            return Mapped(
                "", by, f"the router at {port.router} maps the port, but has no public address itself ({why})"
            )
        ip = read_ip(grant.ip)
        assert ip is not None  # else it is not public
        return Mapped(written(ip, grant.port), by)

    def _explained(self, error: NoMapping) -> str:
        """Why a router refuses; many do so because they stand behind another one, and say no more than `no`."""
        why = self._not_public(error.outside) if error.outside is not None else ""
        return f"{error}: the router at {error.router} has no public address itself ({why})" if why else str(error)

    def _not_public(self, outside: str) -> str:
        """Why nobody is reached at a router's own address; "" when strangers may be."""
        ip = read_ip(outside)
        if ip is None or ip.is_unspecified:
            return "it names none: there is another router behind it, or a carrier's NAT"
        if self._places.scope(ip) is Scope.GLOBAL:
            return ""
        if ip.version == 4 and ip in _CARRIERS:
            return f"{ip} is its provider's: there is a carrier's NAT behind it"
        return f"{ip} is not public: there is another router behind it"
