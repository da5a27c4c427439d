"""Seeds by name: `/dnsaddr/NAME` stands for the addresses in the TXT records of `_dnsaddr.NAME`.

A record is `dnsaddr=` and a multiaddress, which may be a further name. So the seeds of a network can move without a
new network file, and several names, of several zones, do not fail together. DNS is not believed: an address holds the
peer's id, and whoever answers there proves it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import dns.asyncresolver
import dns.exception
import dns.resolver
import trio
from multiaddr import Multiaddr

from wire.errors import RemoteError
from wire.text import one_line

from .. import bounds
from ..addresses import read_address

log = logging.getLogger(__name__)

Txt = Callable[[str], Awaitable[Sequence[str]]]
"""The TXT records of a name, each as one text; `LookupError` says why there are none."""

Dialled = Callable[[str, str | None], str | None]
"""The whole address in a text, if it is one that can be dialled, and of the peer that is wanted, if any is."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a name stands for now: whole addresses that can be dialled, or why there are none."""

    name: str
    addresses: tuple[str, ...] = ()
    failure: str | None = None


def is_name(address: str) -> bool:
    """Whether this is a seed by name, and no address yet."""
    return address.startswith("/dnsaddr/")


async def system_txt(name: str) -> Sequence[str]:
    """Ask the machine's own resolver."""
    try:
        resolver = dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        raise LookupError("this machine has no DNS resolver configured") from None
    return await ask(resolver, name)


async def ask(resolver: dns.asyncresolver.Resolver, name: str) -> Sequence[str]:
    """Ask this resolver."""
    resolver.lifetime = bounds.SEED_QUERY
    try:
        answer = await resolver.resolve(name, "TXT")
    except dns.resolver.NXDOMAIN:
        raise LookupError(f"there is no {name} in DNS") from None
    except dns.resolver.NoAnswer:
        raise LookupError(f"{name} has no TXT records in DNS") from None
    except dns.exception.Timeout:
        raise LookupError(f"DNS did not answer within {bounds.SEED_QUERY:.0f} s about {name}") from None
    except dns.resolver.NoNameservers as error:  # it begins with the question, which is told already
        raise LookupError(one_line(f"DNS: {str(error).rpartition(' IN TXT: ')[2]}")) from error
    except Exception as error:  # a name that is none, servers that refuse, sockets that fail: each has its own kind
        raise LookupError(one_line(f"DNS: {error}")) from error
    return [b"".join(record.strings).decode(errors="replace") for record in list(answer)[: bounds.SEED_RECORDS]]


async def resolve(seed: str, txt: Txt = system_txt, dialled: Dialled | None = None) -> Found:
    """What `/dnsaddr/NAME` or `/dnsaddr/NAME/p2p/PEER` stands for. Raises nothing.

    `dialled`: which addresses are of use, where that is not for peers of ours to say.
    """
    name = seed.split("/")[2]
    search = _Search(txt, dialled or _dialled)
    with trio.move_on_after(bounds.SEED_TIME) as limit:
        try:
            await search.follow(seed, 0)
        except LookupError as error:
            search.failures.append(str(error))
    if limit.cancelled_caught:
        search.failures.append(f"DNS took over {bounds.SEED_TIME:.0f} s")
    if search.addresses:
        return Found(name, tuple(search.addresses))
    why = search.failures[0] if search.failures else "its records hold no address that can be dialled"
    return Found(name, failure=f"the seed {name} cannot be found: {why}")


@dataclass
class _Search:
    txt: Txt
    dialled: Dialled
    addresses: dict[str, None] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    async def follow(self, seed: str, depth: int) -> None:
        """Take up what the name stands for, and what the names in there do."""
        _, _, name, *rest = seed.split("/")
        wanted = rest[1] if len(rest) == 2 and rest[0] == "p2p" else None
        if rest and wanted is None:
            raise LookupError(one_line(f"{seed} cannot be read; write /dnsaddr/NAME"))
        if name in self.asked:
            return
        if len(self.asked) >= bounds.SEED_NAMES:
            raise LookupError(f"its records lead to over {bounds.SEED_NAMES} names")
        self.asked.add(name)
        further: list[str] = []
        for record in await self.txt(f"_dnsaddr.{name}"):
            text = record.removeprefix("dnsaddr=")
            if text == record or len(text) > bounds.ADDRESS_TEXT:
                continue
            if is_name(text):
                if wanted is None or text.endswith(f"/p2p/{wanted}"):
                    further.append(text)
            elif (whole := self.dialled(text, wanted)) and len(self.addresses) < bounds.SEED_ADDRESSES:
                self.addresses[whole] = None
        for text in further:
            if depth + 1 >= bounds.SEED_DEPTH:
                self.failures.append(f"its records lead over more than {bounds.SEED_DEPTH} names")
                return
            try:
                await self.follow(text, depth + 1)
            except LookupError as error:  # the others may still be found
                self.failures.append(str(error))


def _dialled(text: str, wanted: str | None) -> str | None:
    """The address, if it is one that we can dial: seeds often list other transports beside."""
    try:
        owner, address = read_address(text)
    except RemoteError:
        return None
    return None if wanted not in (None, owner) else str(Multiaddr(f"{address}/p2p/{owner}"))
