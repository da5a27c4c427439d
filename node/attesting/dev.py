"""The development attester: a key in the data directory signs what hardware would. Its certificates say `dev`."""

from __future__ import annotations

from pathlib import Path

from wire.attestation import TeeKind, sign_dev_quote
from wire.canonical import encode
from wire.keys import NodeKey

from ..keyfile import create_key, load_key


class DevAttester:
    """A key that claims a measurement. It shows that the path works, and nothing else."""

    kind: TeeKind = "dev"
    name = "a development attester (a key in a file, no hardware)"

    def __init__(self, key: NodeKey, measurement: bytes) -> None:
        self._key, self._measurement = key, measurement

    def quote(self, report_data: bytes) -> tuple[bytes, None]:
        """Its word on 64 bytes."""
        return encode(sign_dev_quote(self._measurement, report_data, self._key)), None


def open_dev(path: Path, measurement: bytes) -> DevAttester:
    """The attester whose key is in the file, made when there is none; CommandError when it cannot be read."""
    return DevAttester(load_key(path) if path.exists() else create_key(path), measurement)
