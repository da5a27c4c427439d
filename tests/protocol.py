"""docs/protocol.md as the tests read it: its fenced blocks, and the network of its examples."""

from __future__ import annotations

import re
from pathlib import Path

from node.networkfile import parse_network
from tests.wire.records import MODULES
from wire.eip712 import StructType

TEXT = (Path(__file__).parents[1] / "docs" / "protocol.md").read_text()
BLOCKS = re.findall(r"^```(\w+)(?: ([\w-]+))?\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
NETWORK = parse_network(next(body for kind, _, body in BLOCKS if kind == "toml"))
STRUCTS: dict[str, StructType] = {
    struct.name: struct for module in MODULES for struct in vars(module).values() if isinstance(struct, StructType)
}
