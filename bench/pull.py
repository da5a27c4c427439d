"""`model pull`'s engine: from one and from three peers to LMDB on disk, against curl from a TLS server to a file.

Every peer is a process of its own, on loopback. Also: ten kills at random moments, and one of three peers that stalls
or lies.    python -m bench.pull [--mib N] [--runs N] [--kills N] [--place DIR] [--json]
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import random
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.figures import percentile, show
from bench.transport import certificate

MIB = 1024 * 1024


class Child:
    """A `bench.pull_peer` and its lines."""

    def __init__(self, *words: str) -> None:
        program = [sys.executable, "-m", "bench.pull_peer", *words]
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> dict[str, Any]:
        """Its next line."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a peer ended early; what it said stands above")
        return dict(json.loads(line))

    def ask(self) -> dict[str, Any]:
        """How a serving peer stands."""
        assert self.process.stdin is not None
        self.process.stdin.write("how\n")
        self.process.stdin.flush()
        return self.hear()

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(stores: Sequence[Path], kinds: Sequence[str]) -> Iterator[tuple[list[Child], list[str]]]:
    """Peers that serve the stores, and their addresses."""
    with ExitStack() as leaving:
        children = []
        for store, kind in zip(stores, kinds, strict=True):
            children.append(Child("serve", str(store), kind))
            leaving.callback(children[-1].end)
        yield children, [child.hear()["address"] for child in children]


def pull(place: Path, cid: str, addresses: Sequence[str]) -> dict[str, Any]:
    """One pull into a new store, which is removed afterwards."""
    child = Child("pull", str(place), cid, *addresses)
    try:
        child.hear()
        return child.hear()
    finally:
        child.end()
        shutil.rmtree(place)


def curl(file: Path, place: Path) -> tuple[float, float]:
    """Seconds for curl to fetch the file over TLS and write it; and until that is on disk, as with LMDB."""
    certificate(place)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "tls.pem")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(file.stat().st_size))
            self.end_headers()
            with file.open("rb") as stream:
                while piece := stream.read(256 * 1024):
                    self.wfile.write(piece)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = place / "curled"
    began = time.perf_counter()
    url = f"https://127.0.0.1:{server.server_port}/"
    subprocess.run(["curl", "--silent", "--fail", "--insecure", "--output", target, url], check=True)
    written = time.perf_counter() - began
    with target.open("r+b") as stream:
        os.fsync(stream.fileno())
    synced = time.perf_counter() - began
    server.shutdown()
    server.server_close()
    target.unlink()
    return written, synced


def rates(file: Path, cid: str, stores: Sequence[Path], place: Path, runs: int) -> list[dict[str, Any]]:
    """curl, one peer and three peers, interleaved."""
    size = file.stat().st_size / MIB
    seconds: dict[str, list[float]] = {"curl": [], "curl, synced": [], "one": [], "three": []}
    memory: dict[str, list[float]] = {"one": [], "three": []}
    serving_memory: list[float] = []
    for _ in range(runs):
        written, synced = curl(file, place)
        seconds["curl"].append(written)
        seconds["curl, synced"].append(synced)
        for name, count in (("one", 1), ("three", 3)):
            with serving(stores[:count], ["honest"] * count) as (children, addresses):
                took = pull(place / "pulled", cid, addresses)
                seconds[name].append(took["seconds"])
                memory[name].append(took["own_mib"])
                serving_memory += [child.ask()["own_mib"] for child in children]
    base = percentile(seconds["curl"], 50)
    rows = []
    for name, text in (
        ("curl", "curl, TLS to a file"),
        ("curl, synced", "the same, until it is on disk"),
        ("one", "pull from one peer"),
        ("three", "pull from three peers"),
    ):
        median = percentile(seconds[name], 50)
        row = {"what": text, "mib_s": round(size / median), "of_curl": round(base / median, 2), "runs": runs}
        if name in memory:
            row |= {"peak_mib": max(memory[name]), "peak_serving_mib": max(serving_memory)}
        rows.append(row)
    return rows


def trouble(cid: str, stores: Sequence[Path], place: Path) -> list[dict[str, Any]]:
    """Three peers of which the first is honest, stalls or lies: what that costs."""
    rows, honest = [], 0.0
    for kind in ("honest", "stalls", "lies"):
        with serving(stores, [kind, "honest", "honest"]) as (_, addresses):
            took = pull(place / "pulled", cid, addresses)
        honest = honest or took["seconds"]
        lost = round(took["seconds"] - honest, 2)
        rows.append({"what": f"one of three {kind}", "seconds": round(took["seconds"], 2), "lost_s": lost,
                     "said": " | ".join(took["events"])})  # fmt: skip
    return rows


def killed(cid: str, store: Path, place: Path, size: int, kills: int, alone: float) -> dict[str, Any]:
    """A pull killed at random moments, each within the time that the whole would take, and then let through."""
    random.seed(3)
    with serving([store], ["honest"]) as ([child], addresses):
        for _ in range(kills):
            attempt = Child("pull", str(place / "pulled"), cid, *addresses)
            attempt.hear()
            time.sleep(random.uniform(0, alone / kills))
            attempt.end()
        took = pull(place / "pulled", cid, addresses)
        given = child.ask()["given"]
    return {
        "what": f"killed {kills} times",
        "given_to_size": round(given / size, 3),
        "last_s": round(took["seconds"], 2),
    }


def measure(arguments: argparse.Namespace, place: Path) -> list[tuple[str, list[dict[str, Any]]]]:
    """All tables."""
    file = place / "file"
    with file.open("wb") as stream:
        for _ in range(arguments.mib):
            stream.write(os.urandom(MIB))
    stores = [place / f"store-{i}" for i in range(3)]
    adding = Child("add", str(stores[0]), str(file))
    cid = adding.hear()["cid"]
    adding.process.wait()
    for store in stores[1:]:
        shutil.copytree(stores[0], store)
    first = rates(file, cid, stores, place, arguments.runs)
    tables = [(f"Pulling {arguments.mib} MiB", first)]
    tables.append(("Trouble", trouble(cid, stores, place)))
    if arguments.kills:
        alone = arguments.mib / first[2]["mib_s"]
        row = killed(cid, stores[0], place, arguments.mib * MIB, arguments.kills, alone)
        tables.append(("Killed", [row]))
    return tables


def main() -> None:
    """Parse the arguments, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--place", type=Path, help="a directory on the disk to measure")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.place) as place:
        for title, rows in measure(arguments, Path(place)):
            show(title, rows, arguments.json)


if __name__ == "__main__":
    main()
