"""Fake routers on loopback that speak the real protocols: NAT-PMP and PCP over UDP, UPnP's SSDP and SOAP."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAN = "urn:schemas-upnp-org:service:WANIPConnection:1"
DEVICE = """<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0
</minor></specVersion><device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><deviceList>
<device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType><serviceId>c</serviceId>
<controlURL>/control</controlURL><eventSubURL>/e</eventSubURL><SCPDURL>/s</SCPDURL></service></serviceList><deviceList>
<device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList><service>
<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><serviceId>w</serviceId>
<controlURL>/control</controlURL><eventSubURL>/e</eventSubURL><SCPDURL>/s</SCPDURL></service></serviceList></device>
</deviceList></device></deviceList></device></root>"""


class UdpRouter:
    """Speaks PCP, or only NAT-PMP (`old`). `mapped`: internal ports by external one."""

    def __init__(self, *, old: bool = False, ip: str = "203.0.113.5", refuses: int = 0, life: int = 7200) -> None:
        self.old, self.ip, self.refuses, self.life = old, ip, refuses, life
        self.mapped: dict[int, int] = {}
        self.asked = 0

    def answer(self, packet: bytes) -> bytes | None:
        """What a router says to this."""
        self.asked += 1
        if packet[0] == 2 and not self.old:
            (wanted,) = struct.unpack("!I", packet[4:8])
            internal, external = struct.unpack("!HH", packet[40:44])
            if packet[8:20] != b"\x00" * 10 + b"\xff\xff":  # an IPv6 port is let through as it is
                self._map(internal, internal, wanted)
                head = struct.pack("!BBxBII12x", 2, 0x81, self.refuses, min(wanted, self.life), 1)
                return head + packet[24:40] + struct.pack("!HH", internal, internal) + packet[8:24]
            external = self._map(internal, external or 40000, wanted)
            head = struct.pack("!BBxBII12x", 2, 0x81, self.refuses, min(wanted, self.life), 1)
            return (
                head
                + packet[24:40]
                + struct.pack("!HH", internal, external)
                + b"\x00" * 10
                + b"\xff\xff"
                + socket.inet_aton(self.ip)
            )
        if packet[0] == 2:  # a router that knows version 0 alone
            return struct.pack("!BBHI", 0, 0x80 | packet[1], 1, 1)
        if packet[1] == 0:
            return struct.pack("!BBHI4s", 0, 0x80, self.refuses, 1, socket.inet_aton(self.ip))
        _, _, internal, external, wanted = struct.unpack("!BBxxHHI", packet)
        external = self._map(internal, external or 40000, wanted)
        return struct.pack("!BBHIHHI", 0, 0x82, self.refuses, 1, internal, external, min(wanted, self.life))

    def _map(self, internal: int, external: int, seconds: int) -> int:
        if seconds == 0:
            self.mapped = {e: i for e, i in self.mapped.items() if i != internal}
            return 0
        if not self.refuses:
            self.mapped[external] = internal
        return external

    @contextmanager
    def running(self, host: str = "127.0.0.1") -> Iterator[int]:
        """Serve; the UDP port."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.bind((host, 0))

            def serve() -> None:
                while True:
                    packet, sender = udp.recvfrom(2048)
                    if not packet:
                        return
                    if (answer := self.answer(packet)) is not None:
                        udp.sendto(b"garbage", sender)  # which a client passes over
                        udp.sendto(answer, sender)

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                yield udp.getsockname()[1]
            finally:
                with socket.socket(family, socket.SOCK_DGRAM) as end:
                    end.sendto(b"", udp.getsockname())
                thread.join()


class UpnpRouter:
    """An Internet gateway device. `taken`: external ports of others; `permanent`: it knows no leases that end."""

    def __init__(self, *, ip: str = "203.0.113.5", taken: tuple[int, ...] = (), permanent: bool = False) -> None:
        self.ip, self.taken, self.permanent = ip, taken, permanent
        self.mapped: dict[int, tuple[str, int, int]] = {}  # by external port: who, its port, for how long

    def soap(self, body: str) -> tuple[int, str]:
        """A call's status and reply."""
        name = re.search(r"<u:(\w+)", body)
        assert name is not None
        say = {k: v for k, v in re.findall(r"<(New\w+)>([^<]*)</", body)}
        port = int(say.get("NewExternalPort", 0))
        found: dict[str, Any] = {}
        match name[1]:
            case "GetStatusInfo":
                found = {"NewConnectionStatus": "Connected", "NewLastConnectionError": "", "NewUptime": 1}
            case "GetExternalIPAddress":
                found = {"NewExternalIPAddress": self.ip}
            case "AddPortMapping":
                if port in self.taken:
                    return 500, _fault(718, "ConflictInMappingEntry")
                if self.permanent and int(say["NewLeaseDuration"]):
                    return 500, _fault(725, "OnlyPermanentLeasesSupported")
                who = say["NewInternalClient"], int(say["NewInternalPort"]), int(say["NewLeaseDuration"])
                self.mapped[port] = who
            case "DeletePortMapping":
                self.mapped.pop(port, None)
        inner = "".join(f"<{k}>{v}</{k}>" for k, v in found.items())
        return 200, _envelope(f'<u:{name[1]}Response xmlns:u="{WAN}">{inner}</u:{name[1]}Response>')

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve SSDP and HTTP on loopback."""
        router = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(200, DEVICE)

            def do_POST(self) -> None:
                self._reply(*router.soap(self.rfile.read(int(self.headers["Content-Length"])).decode()))

            def _reply(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.send_header("Content-Type", "text/xml")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ssdp:
            ssdp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            ssdp.bind(("239.255.255.250", 1900))
            group = socket.inet_aton("239.255.255.250") + socket.inet_aton("127.0.0.1")
            ssdp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            ssdp.settimeout(0.1)
            ending = threading.Event()
            threads = [
                threading.Thread(target=http.serve_forever, args=(0.05,)),
                threading.Thread(target=self._discovered, args=(ssdp, http.server_port, ending)),
            ]
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                ending.set()
                http.shutdown()
                for thread in threads:
                    thread.join()
                http.server_close()

    def _discovered(self, ssdp: socket.socket, port: int, ending: threading.Event) -> None:
        while not ending.is_set():
            try:
                packet, sender = ssdp.recvfrom(2048)
            except TimeoutError:
                continue
            wanted = re.search(r"\nST: ?(\S+)", packet.decode(errors="replace"))
            if packet.startswith(b"M-SEARCH") and wanted and "InternetGatewayDevice" in wanted[1]:
                ssdp.sendto(
                    f"HTTP/1.1 200 OK\r\nST: {wanted[1]}\r\nUSN: uuid:1::{wanted[1]}\r\nEXT:\r\n"
                    f"LOCATION: http://127.0.0.1:{port}/root.xml\r\nCACHE-CONTROL: max-age=60\r\n\r\n".encode(),
                    sender,
                )


def _envelope(body: str) -> str:
    return (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        f's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>{body}</s:Body></s:Envelope>'
    )


def _fault(code: int, text: str) -> str:
    return _envelope(
        "<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
        '<UPnPError xmlns="urn:schemas-upnp-org:control-1-0">'
        f"<errorCode>{code}</errorCode><errorDescription>{text}</errorDescription></UPnPError></detail></s:Fault>"
    )
