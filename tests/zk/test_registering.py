"""Registering and proving in one process: who may, what is refused before EZKL is started, and the queue for proofs."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
import trio
import trio.testing

from node import bounds
from node.config import Config
from node.datadir import DataDir
from node.errors import CommandError
from node.local import initialise, open_local
from node.operations.circuits import check_circuits, setup_circuit
from node.peer import Peer
from node.zk.distance import distance_ppb
from node.zk.provers import Prover, Provers
from node.zk.proving import Proved
from node.zk.registering import check_model, check_size, read_srs
from wire.circuit import read_circuit
from wire.errors import ErrorCode, RemoteError
from wire.tensors import Tensor, TensorSpec

from .test_attacks import X
from .world import INPUT, World


def local_of(world: World, address: bytes | None = None) -> Any:
    return SimpleNamespace(key=SimpleNamespace(address=address or world.publisher.address))


def test_only_its_publisher_registers_and_only_tensors_of_floats(fixed: World) -> None:
    check_model(local_of(fixed), fixed.manifest, [X])
    with pytest.raises(CommandError, match="only its publisher"):
        check_model(local_of(fixed, bytes(20)), fixed.manifest, [X])
    ints = (TensorSpec(name="x", datatype="INT64", shape=("N", 4)),)
    for manifest in (
        msgspec.structs.replace(fixed.manifest, interface="text"),
        msgspec.structs.replace(fixed.manifest, inputs=ints),
        msgspec.structs.replace(fixed.manifest, outputs=ints),
    ):
        with pytest.raises(CommandError, match="cannot be proved"):
            check_model(local_of(fixed), manifest, [X])
    with pytest.raises(CommandError, match="an input is empty"):
        check_model(local_of(fixed), fixed.manifest, [Tensor.of("x", "FP32", (0, 4), b"")])
    many = (TensorSpec(name="x", datatype="FP32", shape=(1, 8192)),)
    with pytest.raises(CommandError, match="8193 numbers"):
        check_size(many, (TensorSpec(name="y", datatype="FP32", shape=(1,)),))


async def test_a_given_srs_is_used_and_the_newest_circuit_comes_first(
    fixed: World, committed: World, tmp_path: Path
) -> None:
    string, short = tmp_path / "string", tmp_path / "short"
    string.write_bytes(committed.srs)
    short.write_bytes(committed.circuit.verifier_srs)
    setup = {"model": "tiny", "inputs": INPUT, "commit": False, "srs": str(string)}
    steps: list[str] = []
    async with open_local(fixed.home, Config()) as local:
        with pytest.raises(CommandError, match=r"needs an SRS of 2\^9 rows, the one given has 2\^1"):
            await setup_circuit(local, setup | {"srs": str(short)}, lambda _: None)
        described = await setup_circuit(local, setup, lambda event: steps.append(event["text"]))
        newest, before = local.store.circuits.of(fixed.signed.model)
    assert before == fixed.registered
    circuit = read_circuit(newest, fixed.network.domain, fixed.manifest, fixed.signed.model)
    assert newest.hash.hex() == described["circuit"]
    assert (circuit.srs, circuit.verifier_srs) == (committed.circuit.srs, committed.circuit.verifier_srs)
    assert [step[:3] for step in steps] == [f"{n}/6" for n in range(1, 7)]


def test_an_srs_file_that_is_none_is_named(tmp_path: Path, fixed: World) -> None:
    (tmp_path / "good").write_bytes(fixed.srs)
    assert read_srs(tmp_path / "good") == fixed.srs
    (tmp_path / "bad").write_bytes(fixed.srs[:-1])
    for name in ("bad", "missing"):
        with pytest.raises(CommandError, match=name):
            read_srs(tmp_path / name)


async def test_without_an_input_or_a_model_there_is_a_sentence(tmp_path: Path) -> None:
    directory = DataDir(tmp_path / "home")
    initialise(directory, None)
    async with open_local(directory, Config()) as local:
        for operation in (setup_circuit, check_circuits):
            with pytest.raises(CommandError, match="is not here"):
                await operation(local, {"model": "nothing"}, lambda _: None)


@pytest.mark.parametrize(
    ("proved", "floats", "ppb"),
    [([1.0, 2.0], [1.0, 2.0], 0), ([1.0, 2.25], [1.0, 2.0], 125_000_000), ([1.0], [0.0], 10**9)],
)
def test_the_distance_is_relative_to_the_largest_output(proved: list[float], floats: list[float], ppb: int) -> None:
    pack = lambda values: struct.pack(f"<{len(values)}f", *values)  # noqa: E731
    assert distance_ppb([pack(proved)], [pack(floats)]) == ppb
    assert distance_ppb([pack([float("inf")])], [pack([1.0])]) == 10**9


class _Slow:
    """A folder whose proofs take ten seconds, one at a time."""

    def __init__(self) -> None:
        self.at_once = self.most = self.killed = 0

    async def prove(self, *_: Any) -> Proved:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await trio.sleep(10)
        except trio.Cancelled:
            self.killed += 1
            raise
        finally:
            self.at_once -= 1
        return Proved(b"p", (1, 2), 10_000_000)


def a_prover(fixed: World, folder: _Slow) -> Prover:
    return Prover(fixed.registered, fixed.circuit, cast("Any", folder), Proved(b"p", (1, 2), 10_000_000))


async def test_proofs_take_turns_and_too_many_are_told_when_to_come_back(
    fixed: World,
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001
) -> None:
    folder = _Slow()
    prover, provers = a_prover(fixed, folder), Provers(cast("Peer", None), tmp_path)
    done: list[Proved] = []

    async def ask() -> None:
        done.append(await provers.prove(prover, [], 600))

    async with trio.open_nursery() as nursery:
        for _ in range(bounds.MAX_PROOFS_WAITING):
            nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(RemoteError) as refused:
            provers.check_room(prover)
        assert refused.value.code is ErrorCode.OVERLOADED
        assert refused.value.after_ms == 60_000  # the bound: eight times ten seconds are more
    assert (len(done), folder.most) == (bounds.MAX_PROOFS_WAITING, 1)
    provers.check_room(prover)


async def test_a_deadline_ends_the_wait_and_the_proof(
    fixed: World,
    tmp_path: Path,
    autojump_clock: trio.testing.MockClock,  # noqa: ARG001
) -> None:
    folder = _Slow()
    prover, provers = a_prover(fixed, folder), Provers(cast("Peer", None), tmp_path)
    with pytest.raises(RemoteError) as late:
        await provers.prove(prover, [], 5)
    assert late.value.code is ErrorCode.DEADLINE
    assert (folder.killed, folder.at_once) == (1, 0)
    assert len((await provers.prove(prover, [], 11)).outputs) == 2
