"""The example in JavaScript fetches a model and its offers from a real peer, and stops at what does not match."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

import pytest

from .made import large, save
from .running import ROOT, eventually
from .town import Fort, add

EXAMPLE = ROOT / "examples" / "js"
NODE = which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="SKIPPED: node is not installed"),
    pytest.mark.skipif(
        not (EXAMPLE / "node_modules" / "libp2p").is_dir(), reason="SKIPPED: js-libp2p is not installed: make interop"
    ),
]


def fetch(fort: Fort, cid: str, network_file: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the example."""
    assert NODE is not None
    newer = ["--import", str(ROOT / "tests" / "p2p" / "interop" / "older_node.js")]
    command = [NODE, *newer, "fetch.js", fort.node.address, str(network_file), cid, str(folder)]
    return subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def network_file(fort: Fort) -> Path:
    return fort.node.directory.networks / f"{fort.network.name}.toml"


async def test_a_javascript_client_fetches_a_model_and_an_offer(fort: Fort, network_file: Path, tmp_path: Path) -> None:
    file = save(large(5), tmp_path / "five.onnx")  # twenty chunks: more than are asked for at once
    cid = str((await add(fort.node, file))["cid"])
    fort.cids["five"] = cid

    async def offered() -> list[str]:
        return await fort.known_offers("five")

    await eventually(offered, "the fort's own offer")
    done = fetch(fort, cid, network_file, tmp_path / "fetched")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("five@1.0.0 by 0x")
    assert said[0].endswith("signature good")
    assert f"{file.stat().st_size} bytes, every chunk verified" in said[1]
    assert fort.node.address in said[2]
    assert said[2].endswith("signature good")
    assert [each.read_bytes() for each in (tmp_path / "fetched").rglob("*.onnx")] == [file.read_bytes()]


def test_it_says_what_the_peer_says_or_what_is_wrong(fort: Fort, network_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(network_file.read_text().replace("chain_id = ", "chain_id = 1"))
    done = fetch(fort, fort.cids["logs"], other, tmp_path)
    assert done.returncode != 0
    assert "its publisher did not sign it" in done.stderr
    unknown = fort.cids["logs"][:-6] + "aaaaaa"
    done = fetch(fort, unknown, network_file, tmp_path)
    assert done.returncode != 0
    assert "the peer says:" in done.stderr
