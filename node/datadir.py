"""The data directory: where everything of one peer lives, and which file is which."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from .errors import CommandError, Exit


@dataclass(frozen=True)
class DataDir:
    """The paths inside one data directory."""

    path: Path

    @property
    def key(self) -> Path:
        return self.path / "node.key"

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def networks(self) -> Path:
        return self.path / "networks"

    def signed(self, network: str) -> Path:
        """Signed files of a network, as they came: see `networks.archive`."""
        return self.networks / f"{network}.signed"

    @property
    def store(self) -> Path:
        return self.path / "store"

    @property
    def engines(self) -> Path:
        """What TensorRT built on this machine. Whoever can write here can have it executed."""
        return self.path / "engines"

    @property
    def circuits(self) -> Path:
        """Circuits that this provider proves, made anew at each start."""
        return self.path / "circuits"

    @property
    def peerbook(self) -> Path:
        return self.path / "peers"

    @property
    def standing(self) -> Path:
        """Who misbehaved, and until when it is refused."""
        return self.path / "standing"

    @property
    def port(self) -> Path:
        """Where this peer listens, when another program had the usual port: see `listening`."""
        return self.path / "port"

    @property
    def petnames(self) -> Path:
        return self.path / "petnames.toml"

    @property
    def attester_key(self) -> Path:
        """The development attester's, where one is configured."""
        return self.path / "attester.key"

    @property
    def collateral(self) -> Path:
        """What Intel says of kinds of platform: checked, or laid there by the operator (see `attesting.collateral`)."""
        return self.path / "collateral"

    @property
    def policy(self) -> Path:
        return self.path / "policy.toml"

    @property
    def accounts(self) -> Path:
        """Keystores of accounts that hold funds, encrypted: NAME.json."""
        return self.path / "accounts"

    @property
    def intents(self) -> Path:
        """What was asked of the chain and is not known to be done: see `chain.intents`."""
        return self.path / "intents.json"

    @property
    def caught_up(self) -> Path:
        """Exists while nothing is known to be missing from the catalogue: see `catchingup`."""
        return self.path / "caught-up"

    @property
    def socket(self) -> Path:
        return self.path / "control.sock"

    @property
    def initialised(self) -> bool:
        """Whether a peer lives here."""
        return self.key.exists()

    def create(self) -> None:
        """Make the directory, for its owner alone; CommandError says why it cannot be made."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.networks.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise CommandError(
                Exit.CONFIG, f"the data directory {self.path} cannot be made: {error}", "Choose another: --data-dir DIR"
            ) from error


def find_data_dir(flag: str | None) -> DataDir:
    """The data directory: the flag, else HALLMARK_DATA_DIR, else the platform's place for a user's data.

    CommandError when it lies in the home of a user who does not exist.
    """
    chosen = flag or os.environ.get("HALLMARK_DATA_DIR")
    if not chosen:
        return DataDir(user_data_path("hallmark", appauthor=False))
    try:
        return DataDir(Path(chosen).expanduser().absolute())
    except RuntimeError as error:
        raise CommandError(Exit.CONFIG, f"{chosen}: {error}", "Choose another: --data-dir DIR") from error
