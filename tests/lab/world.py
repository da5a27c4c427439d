"""A world of machines: public ones on the internet, others behind routers. Links change while it lives.

Machine i of the public ones is 20.i.0.1 and 2a01:i::1, router k is 21.k.0.1 and 2a02:k::1: addresses that count as
global, each in a range of its own. Behind router k are 192.168.k.11, .12, … and with `v6` 2a02:k:0:1::11, … .
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.node.processes.running import ROOT, _die_with_parent

from .links import Faults
from .namespaces import Namespace
from .routers import MAPPING, NESTED, PORT, Kind, miniupnpd, rules

_PREFIX = "hallmark-lab-"
# No waiting for a neighbour's objection to an address, and no addresses but those given.
_QUIET = {"ipv6.conf.all.accept_dad": 0, "ipv6.conf.default.accept_dad": 0, "ipv6.conf.all.accept_ra": 0}
_FORWARD = {"ipv4.ip_forward": 1, "ipv6.conf.all.forwarding": 1}


@dataclass(frozen=True)
class Machine:
    """Where a peer can run. `link` is the port of the internet that it is behind."""

    name: str
    network: Namespace
    v4: str
    v6: str  # or empty
    link: int

    @property
    def address(self) -> str:
        """Where a peer on it listens, as itself sees it."""
        return f"/ip4/{self.v4}/tcp/{PORT}"


@dataclass(frozen=True)
class Router:
    """A router with machines behind it. `stages`: the NATs that a packet passes, the outermost first."""

    kind: Kind
    v4: str  # outside
    stages: tuple[Namespace, ...]
    machines: tuple[Machine, ...]
    link: int

    def close(self) -> None:
        """Forward no port any more. What goes over it stays."""
        self.stages[0].run("nft", "flush", "chain", "inet", "nat", "prerouting")

    def flush_mapped(self) -> None:
        """Forget what was mapped on request, and tell nobody."""
        for table, chain in (("nat", "upnp_in"), ("nat", "upnp_out"), ("filter", "upnp_forward")):
            self.stages[-1].run("nft", "flush", "chain", "inet", table, chain)

    def forget(self) -> None:
        """Forget every mapping in use, as when it is switched off and on: connections over it are dead."""
        for stage in self.stages:
            stage.run("conntrack", "-F")


@dataclass
class _Device:
    device: int
    v4: str
    v6: str
    faults: dict[str, Any]


class World:
    """Open for the length of a `with` block; the internet runs from `start` on."""

    def __init__(self, delay: float = 0.01) -> None:
        """`delay`: of each machine's link, one way, in seconds."""
        self._faults = Faults(delay=delay)
        self._ports: list[_Device] = []
        self._ending = ExitStack()
        self._routers = 0
        self._daemons: dict[Namespace, subprocess.Popen[bytes]] = {}  # those that map ports on request
        self._emulator: subprocess.Popen[str] | None = None
        self.public: list[Machine] = []
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self._ending.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def add_public(self, count: int = 1) -> list[Machine]:
        """Machines with addresses of their own and no filter."""
        added = []
        for _ in range(count):
            number = len(self.public) + 1
            network = self._namespace(f"public {number}")
            v4, v6 = f"20.{number}.0.1", f"2a01:{number:x}::1"
            link = self._plug(network, v4, v6)
            added.append(Machine(network.name, network, v4, v6, link))
            self.public += added[-1:]
        return added

    def add_router(self, kind: Kind, machines: int = 1, *, v6: bool = False) -> Router:
        """A router and what is behind it."""
        self._routers += 1
        k = self._routers
        outer = self._namespace(f"router {k} ({kind.value})")
        outside = f"21.{k}.0.1"
        link = self._plug(outer, outside, f"2a02:{k:x}::1")
        outer.sysctl(_FORWARD)
        stages = [outer]
        if kind in NESTED:
            home = self._namespace(f"home router {k}")
            outer.join("homes", home, "wan")
            outer.ip(f"addr add 100.64.{k}.1/24 dev homes")
            home.ip(f"addr add 100.64.{k}.2/24 dev wan")
            home.ip(f"route add default via 100.64.{k}.1")
            home.sysctl(_FORWARD)
            home.run("nft", "-f", "-", stdin=rules(Kind.MAPPING if kind in MAPPING else Kind.EASY, ""))
            stages.append(home)
        outer.run("nft", "-f", "-", stdin=rules(kind, f"192.168.{k}.11"))
        inner = stages[-1]
        inner.ip("link add lan type bridge mcast_snooping 0")
        inner.ip(f"addr add 192.168.{k}.1/24 dev lan")
        inner.ip("link set lan up")
        if v6:
            inner.ip(f"addr add 2a02:{k:x}:0:1::1/64 dev lan nodad")
        behind = [self._behind(inner, k, number, link, v6) for number in range(1, machines + 1)]
        if kind in MAPPING:
            self._map_on_request(inner)
        return Router(kind, outside, tuple(stages), tuple(behind), link)

    def start(self) -> None:
        """Let the internet run. Nothing can be added after that."""
        # As a module of this tree, whatever the caller's directory is.
        devices = [port.device for port in self._ports]
        self._emulator = subprocess.Popen(
            [sys.executable, "-m", "tests.lab.emulator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            pass_fds=devices,
            preexec_fn=_die_with_parent,
        )
        self._ending.callback(self._stop, self._emulator)
        self._tell([asdict(port) for port in self._ports])
        for device in devices:  # the emulator has them now; while we do too, they would outlive it
            os.close(device)

    def change(self, *at: Machine | Router, **faults: float | bool) -> None:
        """Change what the links of these do, in both directions; of all machines when none is named."""
        ports = [one.link for one in at] or list(range(len(self._ports)))
        self._tell({"ports": ports, "set": faults})

    def figures(self) -> dict[str, Any]:
        """Bytes carried to each port, packets lost there, packets for nobody."""
        return self._tell({})

    def _tell(self, what: Any) -> dict[str, Any]:
        assert self._emulator is not None
        assert self._emulator.stdin is not None
        assert self._emulator.stdout is not None
        self._emulator.stdin.write(json.dumps(what) + "\n")
        self._emulator.stdin.flush()
        line = self._emulator.stdout.readline()
        if not line:
            raise RuntimeError("the internet has ended; what it said stands above")
        return dict(json.loads(line))

    def _namespace(self, name: str) -> Namespace:
        made = self._ending.enter_context(Namespace(name))
        made.sysctl(_QUIET)
        return made

    def _plug(self, network: Namespace, v4: str, v6: str) -> int:
        device = network.tun("wan")
        network.ip(f"addr add {v4}/24 dev wan")
        network.ip(f"addr add {v6}/128 dev wan nodad")
        network.ip("route add default dev wan")
        network.ip("-6 route add default dev wan")
        self._ports.append(_Device(device, v4, f"{v6.rstrip('1')}/32", asdict(self._faults)))
        return len(self._ports) - 1

    def _behind(self, router: Namespace, k: int, number: int, link: int, v6: bool) -> Machine:
        network = self._namespace(f"machine {number} behind {router.name}")
        v4, host = f"192.168.{k}.{10 + number}", f"2a02:{k:x}:0:1::{10 + number}"
        network.join("eth0", router, f"lan{number}")
        router.ip(f"link set lan{number} master lan")
        network.ip(f"addr add {v4}/24 dev eth0")
        network.ip(f"route add default via 192.168.{k}.1")
        if v6:
            network.ip(f"addr add {host}/64 dev eth0 nodad")
            network.ip(f"-6 route add default via 2a02:{k:x}:0:1::1")
        return Machine(network.name, network, v4, host if v6 else "", link)

    def restart_mapping(self, router: Router) -> None:
        """Have what maps ports on request forget all, and begin anew, as where a router is switched off and on."""
        inner = router.stages[-1]
        self._stop(self._daemons[inner])
        router.flush_mapped()
        self._map_on_request(inner)

    def _map_on_request(self, router: Namespace) -> None:
        folder = self.folder / router.name.replace(" ", "-")
        folder.mkdir(exist_ok=True)
        (folder / "leases").unlink(missing_ok=True)
        (folder / "conf").write_text(miniupnpd(str(folder)))
        with router.inside(), (folder / "log").open("wb") as log:
            words = ["miniupnpd", "-d", "-f", str(folder / "conf"), "-P", str(folder / "pid")]
            daemon = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent
            )
        self._daemons[router] = daemon
        self._ending.callback(self._stop, daemon)

    @staticmethod
    def _stop(process: subprocess.Popen[Any]) -> None:
        process.kill()
        process.wait()

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()


def sweep(own: int = 0) -> None:
    """Remove the folders of laboratories that were killed, and of the process `own`: all that stays of them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid == str(own) or not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
