"""A network whose peers generate and read texts: an honest provider, a cheaper liar, one verifier, and a forger."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import trio
from tokenizers import Tokenizer, models, pre_tokenizers

from bench.models.decoder import Shape, decoder
from bench.models.minilm import convert
from node.keyfile import load_key
from node.local import keep_network
from node.networkfile import new_network
from tests.models.tokenisers import byte_level
from tests.models.weights import SMALL, random_weights
from wire.network import Network

from .running import Node, settle, until
from .town import _DISHONEST

WORDS = ["[PAD]", "[UNK]", "a", "man", "eats", "the", "moon", "is", "far"]
LONG = Shape(layers=6, heads=16, kv_heads=4, context=8192)  # its longest story takes many seconds


@dataclass
class Choir:
    """The honest provider asks 1, the liar 0: who allows 1 asks the liar first. The forger alone provides `tale`."""

    network: Network
    honest: Node
    liar: Node
    verifier: Node
    forger: Node
    cids: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> list[Node]:
        return [self.honest, self.liar, self.verifier, self.forger]

    def file(self) -> Path:
        """The network file."""
        return self.honest.directory.networks / f"{self.network.name}.toml"


def story(folder: Path, shape: Shape | None = None) -> Path:
    """A folder with a decoder over bytes, and its tokeniser."""
    folder.mkdir()
    (folder / "model.onnx").write_bytes(decoder(shape).SerializeToString())
    (folder / "tokenizer.json").write_text(byte_level())
    return folder


def words(folder: Path) -> Path:
    """A folder as exporters leave it, the graph in one of its own: a BERT that knows nine words and says 24 numbers."""
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model.onnx").write_bytes(convert(random_weights(SMALL), SMALL).SerializeToString())
    (folder / "tokenizer.json").write_text(tokeniser().to_str())
    return folder


def tokeniser() -> Tokenizer:
    """Of `words`."""
    made = Tokenizer(models.WordLevel(vocab={word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.enable_truncation(SMALL["max_position_embeddings"])
    made.enable_padding(pad_id=0, pad_token="[PAD]")
    return made


def come_up(place: Path, ending: ExitStack) -> Choir:
    """Start the network with its models in place; its processes end with `ending`."""
    names = ["honest", "liar", "verifier", "forger"]
    directories = {name: settle(place / name) for name in names}
    keys = {name: load_key(directory.key) for name, directory in directories.items()}
    network = msgspec.structs.replace(new_network("choir", [keys["verifier"].peer_id]), sample_bps=10_000)
    nodes = []
    for name in names:
        keep_network(directories[name], network)
        roles = ("verifier",) if name == "verifier" else ("hub", "provider")
        nodes.append(Node(directories[name], keys[name], roles, price=int(name == "honest")))
        ending.callback(nodes[-1].kill)
    choir = Choir(network, *nodes)
    choir.liar.program = _DISHONEST
    choir.forger.program = (str(Path(__file__).with_name("forger.py")),)
    choir.honest.start()
    for node in nodes[1:]:
        node.launch(choir.honest.address)
    for node in nodes[1:]:
        node.wait_ready()
    folders = [story(place / "story"), words(place / "words"), story(place / "long", LONG)]
    trio.run(_furnish, choir, folders)
    held = ((choir.honest, 3), (choir.liar, 1), (choir.verifier, 3), (choir.forger, 1))
    until(lambda: all(node.log.read_text().count(" is ready (") >= n for node, n in held), "every model ready")
    return choir


async def _furnish(choir: Choir, folders: list[Path]) -> None:
    about = {"licence": "MIT", "version": "1.0.0", "task": "", "description": "", "royalty_bps": 0}
    tale = await choir.forger.call("model.add", path=str(folders[0]), name="tale", **about)
    cids = choir.cids
    cids["tale"] = tale["cid"]
    for folder in folders:
        cids[folder.name] = (await choir.honest.call("model.add", path=str(folder), name=folder.name, **about))["cid"]
    for node, name in ((choir.liar, "story"), (choir.verifier, "story"), (choir.verifier, "words")):
        await node.call("model.pull", model=cids[name])
    await choir.verifier.call("model.pull", model=cids["tale"])
