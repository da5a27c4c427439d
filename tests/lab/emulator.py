"""The process that is the internet: it moves packets between TUN devices, late, in order or not, or never.

Run as `python -m tests.lab.emulator`, with a JSON line of all ports on standard input; each line after that changes
ports' faults, and is answered by the figures. Ends with its standard input. The devices are open already, each made in
its machine's namespace.
"""

from __future__ import annotations

import gc
import json
import os
import select
import sys
import time
from ipaddress import IPv4Address, IPv6Network
from random import Random
from typing import Any

from .internet import Internet
from .links import Faults

_PACKET = 1 << 16
_AT_ONCE = 64  # packets of one device before the others have their turn


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _answer(internet: Internet, line: bytes) -> dict[str, Any]:
    """Do what a line says."""
    asked = json.loads(line)
    for number in asked.get("ports", []):
        for name, value in asked["set"].items():
            setattr(internet.ports[number].faults, name, value)
    lost = [port.up.lost + port.down.lost for port in internet.ports]
    return {"carried": [port.carried for port in internet.ports], "lost": lost, "astray": internet.astray}


def _move(internet: Internet, devices: dict[int, int], lines: int) -> None:
    writers = {port: device for device, port in devices.items()}
    poll = select.epoll()
    for each in (*devices, lines):
        poll.register(each, select.EPOLLIN)
    pending = b""
    while True:
        due = internet.next()
        # Half a millisecond early is nearer than the whole one that a wait may come late.
        wait = -1.0 if due is None else max(0.0, due - time.monotonic() - 0.0005)
        for ready, _ in poll.poll(wait):
            if ready == lines:
                data = os.read(lines, _PACKET)
                if not data:
                    return
                *whole, pending = (pending + data).split(b"\n")
                for line in whole:
                    _say(_answer(internet, line))
                continue
            for _ in range(_AT_ONCE):
                try:
                    packet = os.read(ready, _PACKET)
                except OSError:  # nothing more, or the device is down
                    break
                internet.came(devices[ready], packet, time.monotonic())
        for port, packet in internet.due(time.monotonic() + 0.0005):
            try:
                os.write(writers[port], packet)
            except OSError:  # its queue is full, or it is down: lost, as on a real one
                internet.ports[port].down.lost += 1


def main() -> None:
    internet, devices = Internet(Random(7)), dict[int, int]()
    lines = sys.stdin.fileno()
    taken = b""
    while not taken.endswith(b"\n"):
        taken += os.read(lines, _PACKET)
    for port in json.loads(taken):
        os.set_blocking(port["device"], False)
        devices[port["device"]] = internet.add(
            Faults(**port["faults"]), IPv4Address(port["v4"]), IPv6Network(port["v6"])
        )
    _say({"running": len(devices)})
    gc.disable()  # nothing here refers to itself, and a pause would be a fault that nobody asked for
    _move(internet, devices, lines)


if __name__ == "__main__":
    main()
