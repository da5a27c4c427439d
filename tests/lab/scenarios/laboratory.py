"""The laboratory itself, with plain sockets: links and routers are what they are called."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

from ..needs import lacks_mapping
from ..routers import MAPPING, PORT, Kind
from ..table import Row
from ..world import Machine, Router, World

_PACKETS = 1000


def run(quick: bool) -> Iterator[Row]:  # noqa: ARG001 — it is quick
    """Links delay and lose as told, and each router maps and filters as its kind does."""
    with World(delay=0.025) as world:
        here, there, other = world.add_public(3)
        kinds = [kind for kind in Kind if kind not in MAPPING or not lacks_mapping()]
        routers = [world.add_router(kind) for kind in kinds]
        second = world.add_router(Kind.EASY)
        world.start()
        yield from _links(world, here, there)
        world.change(delay=0.0, loss=0.0, rate=0.0)
        for router in routers:
            yield _nat(router, there, other)
        world.change(delay=0.02)
        for router in routers:
            if router.kind in (Kind.EASY, Kind.SYMMETRIC):
                yield _punched(router, second)


def _links(world: World, here: Machine, there: Machine) -> Iterator[Row]:
    for family, address in (("IPv4", there.v4), ("IPv6", there.v6)):
        said = here.network.run("ping", "-c", "6", "-i", "0.2", address)
        times = [float(t) for t in re.findall(r"time=([\d.]+)", said)]
        middle = sorted(times)[len(times) // 2]
        yield Row(
            f"the laboratory: round trip over {family}, 4 × 25 ms", f"{middle:.1f} ms", "100–105 ms", 99 < middle < 105
        )
    world.change(delay=0.0)
    world.change(there, loss=0.05)
    lost = 1 - _volley(here, there) / _PACKETS
    yield Row("the laboratory: 5% loss", f"{100 * lost:.1f}% of {_PACKETS} packets", "3–7%", 0.03 <= lost <= 0.07)
    world.change(there, loss=0.0, rate=1e6)
    speed = _stream(here, there, 2_000_000)
    yield Row("the laboratory: 1 MB/s, as TCP sees it", f"{speed / 1e6:.2f} MB/s", "0.8–1.0", 0.8e6 <= speed <= 1e6)
    world.change(there, rate=0.0, down=True)
    came = _volley(here, there)
    world.change(there, down=False)
    yield Row("the laboratory: a link that is down", f"{came} packets came", "0", came == 0)


def _volley(here: Machine, there: Machine) -> int:
    """How many of a thousand datagrams arrive."""
    with _bound(there, socket.SOCK_DGRAM) as target, _bound(here, socket.SOCK_DGRAM) as source:
        target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        for n in range(_PACKETS):
            source.sendto(n.to_bytes(4, "big"), (there.v4, PORT))
            if n % 50 == 0:
                time.sleep(0.005)
        target.settimeout(0.3)
        came = 0
        with suppress(TimeoutError):
            while target.recv(16):
                came += 1
    return came


def _stream(here: Machine, there: Machine, size: int) -> float:
    """Bytes a second of one TCP connection."""
    with _bound(there) as listener, _bound(here, port=0) as source:
        listener.listen()
        source.connect((there.v4, PORT))
        taking, _ = listener.accept()
        source.settimeout(30)
        with taking:
            taking.settimeout(30)
            source.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * size)
            began, left = time.monotonic(), size
            source.sendall(bytes(size))
            while left > 0:
                left -= len(taking.recv(1 << 16)) or left
    return size / (time.monotonic() - began)


def _nat(router: Router, there: Machine, other: Machine) -> Row:
    """One socket behind the router dials two machines from one port; then a stranger dials what they saw."""
    behind = router.machines[0]
    with ExitStack() as open_now:
        seen = []
        for machine in (there, other):
            listener = open_now.enter_context(_bound(machine))
            listener.listen()
            dialling = open_now.enter_context(_bound(behind))
            dialling.connect((machine.v4, PORT))
            accepted, outside = listener.accept()
            open_now.enter_context(accepted)
            seen.append(outside[1])
            assert outside[0] == router.v4
        own = open_now.enter_context(_bound(behind))
        own.listen()
        stranger = open_now.enter_context(_bound(there, port=0))
        stranger.settimeout(0.5)
        try:
            stranger.connect((router.v4, seen[0]))
            filtering = "let in"
        except ConnectionRefusedError:
            filtering = "refused"
        except TimeoutError:
            filtering = "kept out"
    udp = _udp_passes(behind, there)
    mapping = "one port" if seen[0] == seen[1] else "a port each"
    wanted = {
        Kind.REJECTING: ("one port", "refused", True),
        Kind.SYMMETRIC: ("a port each", "kept out", True),
        Kind.CARRIER: ("a port each", "kept out", True),
        Kind.SHARED: ("a port each", "kept out", True),
        Kind.FORWARDED: ("one port", "let in", True),
        Kind.NO_UDP: ("one port", "kept out", False),
    }.get(router.kind, ("one port", "kept out", True))
    found = (mapping, filtering, udp)
    return Row(f"the laboratory: {router.kind.value}", _nature(*found), _nature(*wanted), found == wanted)


def _nature(mapping: str, filtering: str, udp: bool) -> str:
    return f"{mapping} for two destinations, strangers {filtering}, {'' if udp else 'no '}UDP"


def _udp_passes(behind: Machine, there: Machine) -> bool:
    with _bound(there, socket.SOCK_DGRAM) as target, _bound(behind, socket.SOCK_DGRAM) as source:
        target.settimeout(0.3)
        source.sendto(b"?", (there.v4, PORT))
        with suppress(TimeoutError):
            return target.recv(1) == b"?"
    return False


def _punched(first: Router, second: Router) -> Row:
    """Whether both can dial each other at once, from ports that somebody saw: what hole punching rests on."""
    one, two = first.machines[0], second.machines[0]
    with _bound(one) as a, _bound(two) as b:
        for dialling, to in ((a, second.v4), (b, first.v4)):
            dialling.setblocking(False)
            with suppress(BlockingIOError):
                dialling.connect((to, PORT))
        deadline = time.monotonic() + 2
        while (through := _joined(a) and _joined(b)) is False and time.monotonic() < deadline:
            time.sleep(0.02)
    wanted = first.kind is Kind.EASY
    words = {True: "through", False: "not through"}
    what = f"the laboratory: {first.kind.value} and {second.kind.value} dial each other at once"
    return Row(what, words[through], words[wanted], through is wanted)


def _joined(dialling: socket.socket) -> bool:
    try:
        dialling.getpeername()
    except OSError:
        return False
    return True


def _bound(machine: Machine, kind: socket.SocketKind = socket.SOCK_STREAM, port: int = PORT) -> socket.socket:
    """A socket on the machine, as peers open theirs: a port may be dialled from and listened on."""
    with machine.network.inside():
        made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("0.0.0.0", port))
    if kind is socket.SOCK_STREAM:
        made.settimeout(5)
    return made
