"""A peer and its chain: it starts and answers although the chain is down, and says what is missing for money."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio

from node.chain.opening import the_chain, the_sender
from node.config import Config
from node.datadir import DataDir
from node.errors import CommandError, Exit
from node.listening import LOOPBACK
from node.local import initialise
from node.networkfile import load_network, save_network
from node.opening import open_peer
from settle import bounds
from settle.accounts import create
from settle.chain import Unavailable
from settle.deploy import bare
from tests.settle.fake_rpc import FakeRpc, serving

DOWN = "http://127.0.0.1:1"


def made(tmp_path: Path, *rpcs: str) -> DataDir:
    """A data directory whose network has a chain at these RPCs, and one without any."""
    directory = DataDir(tmp_path / "data")
    _, place = initialise(directory, None)
    if rpcs:
        save_network(place, msgspec.structs.replace(load_network(place), chain=bare(rpcs, 0)))
    return directory


def with_account(directory: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, str]:
    """An account in the directory: its address, and the file with its passphrase."""
    monkeypatch.setattr(bounds, "SCRYPT_COST", 4)
    passphrase = tmp_path / "passphrase"
    passphrase.touch(0o600)
    passphrase.write_text("geheim\n")
    return create(directory.accounts / "owner.json", "geheim").address, str(passphrase)


def told(says: str) -> pytest.RaisesGroup[CommandError]:
    """What `explain` finds in the group that the opened parts make of it."""

    def is_config(error: CommandError) -> bool:
        return error.exit_code == Exit.CONFIG

    return pytest.RaisesGroup(pytest.RaisesExc(CommandError, match=says, check=is_config), flatten_subgroups=True)


async def test_it_starts_although_the_chain_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = made(tmp_path, DOWN)
    owner, passphrase = with_account(directory, tmp_path, monkeypatch)
    async with open_peer(directory, Config(listen=LOOPBACK, passphrase_file=passphrase), serving=True) as peer:
        assert the_sender(peer).address == owner
        with pytest.raises(Unavailable, match="cannot be reached"):
            await the_chain(peer).head()
        with pytest.raises(Unavailable, match="cannot be reached"):
            await the_sender(peer).transfer("pay", bytes(20), 1)
        assert the_sender(peer).pending == ()


async def test_without_what_unlocks_it_an_account_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = made(tmp_path, DOWN)
    async with open_peer(directory, Config(listen=LOOPBACK), serving=True) as peer:
        with pytest.raises(CommandError, match="no account"):
            the_sender(peer)
    with_account(directory, tmp_path, monkeypatch)
    async with open_peer(directory, Config(listen=LOOPBACK), serving=True) as peer:
        with pytest.raises(CommandError, match="is locked") as locked:
            the_sender(peer)
        assert "--passphrase-file" in locked.value.next_step


async def test_a_wrong_passphrase_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = made(tmp_path, DOWN)
    _, passphrase = with_account(directory, tmp_path, monkeypatch)
    await trio.Path(passphrase).write_text("another\n")
    with told("passphrase of account 'owner'"):
        async with open_peer(directory, Config(listen=LOOPBACK, passphrase_file=passphrase), serving=True):
            pass


async def test_a_network_without_a_chain_has_none(tmp_path: Path) -> None:
    async with open_peer(made(tmp_path), Config(), serving=False) as peer:
        assert peer.chain is None
        with pytest.raises(CommandError, match="has no chain"):
            the_chain(peer)
        with pytest.raises(CommandError, match="has no chain"):
            the_sender(peer)


async def test_another_chains_rpc_is_told_at_the_start_and_replaced_by_a_setting(tmp_path: Path) -> None:
    foreign, right = FakeRpc(methods={"eth_chainId": "0x1"}), FakeRpc()
    async with serving(foreign, right):
        directory = made(tmp_path, foreign.url)
        with told("is of chain 1"):
            async with open_peer(directory, Config(), serving=False):
                pass
        async with open_peer(directory, Config(rpcs=(right.url,)), serving=False) as peer:
            assert the_chain(peer).rpc.all[0].checked
