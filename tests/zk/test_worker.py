"""EZKL in its process: what it may not do there, and what becomes of its panics, its hunger and its silence."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from engine import EngineError, WorkerDied
from engine.zk import running
from engine.zk.messages import MakeKeys, MakeSrs, Prove, Settle, Verify
from engine.zk.running import ProofFailed, open_proof_worker, open_verifier, probe
from node.zk.proofs import CheckedProofs, check_now
from node.zk.proving import CircuitFolder, Proved, make_keys, open_circuit
from verify.zk.fixedpoint import quantise

from .test_attacks import X, statement
from .world import World, network_of_floats

PROGRAM = """
import os, socket, sys
from engine.parcels import ParcelDecoder, pack
from engine.zk.messages import Begin, Done, Failed, FromNode, Started
desk, decoder = socket.socket(fileno=int(sys.argv[1])), ParcelDecoder(FromNode)
def receive():
    while (parcel := decoder.next()) is None:
        decoder.feed(desk.recv(65536))
    return parcel.message
def send(message):
    for part in pack(message):
        desk.sendall(part)
receive()
send(Started(system="fake 1", sandbox=()))
receive()
"""


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Sequence[str]:
    """A worker of the test's own in place of EZKL's: append what it does with its first task."""
    command = ["-c", PROGRAM]
    monkeypatch.setattr(running, "_COMMAND", command)
    return command


def does(program: Sequence[str], what: str) -> None:
    program[1] += what  # type: ignore[index]


async def test_a_probe_says_what_proves_and_what_holds_it() -> None:
    worker = await probe()
    assert worker.system == "ezkl 23.0.5"
    held = " ".join(worker.sandbox)
    for measure in ("no new privileges", "memory limit", "processor time", "no capabilities", "system-call filter"):
        assert measure in held, worker.sandbox


CONFINED = """
import os, socket, sys
from pathlib import Path
from engine.sandbox import confine_to_folder
confine_to_folder(Path.cwd(), 1 << 30, 1 << 20, 60)
def tried(what):
    try:
        what()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"
def fill():
    with open("big", "wb") as file:
        file.write(bytes(2 << 20)); file.flush()
print([
    tried(lambda: open("own", "wb").write(b"1")), tried(lambda: os.mkdir("folder")),
    tried(lambda: open("/etc/hostname").read()), tried(lambda: os.mkdir("/tmp/not-here")),
    tried(lambda: os.listdir("/")), tried(lambda: socket.socket()), tried(lambda: os.fork()),
    tried(lambda: bytearray(2 << 30)), tried(lambda: os.unlink("own")),
])
sys.stdout.flush()
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
print(tried(fill))
"""


async def test_what_the_sandbox_leaves(tmp_path: Path) -> None:
    ended = await trio.run_process([sys.executable, "-I", "-c", CONFINED], cwd=tmp_path, capture_stdout=True)
    lines = ended.stdout.decode().splitlines()
    found = json.loads(lines[0].replace("'", '"'))
    assert found[:2] == ["done", "done"]
    assert "done" not in found[2:]
    assert lines[1] == "OSError"


async def test_a_model_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x08not a model" * 9)
    (tmp_path / "input.json").write_text('{"input_data": [[0.5]]}')
    async with open_proof_worker(tmp_path) as worker:
        for task in (Settle(visibility="fixed", sizes=()), MakeKeys(), Prove(), Verify()):
            with pytest.raises(ProofFailed):
                await worker.do(task)
        await worker.do(MakeSrs(logrows=1))  # it is still there


async def test_a_panic_of_the_setup_is_a_sentence(fixed: World, tmp_path: Path) -> None:
    """An SRS cut short makes EZKL panic, which no `except Exception` would have caught."""
    with pytest.raises(EngineError):
        await make_keys(tmp_path, fixed.graph, fixed.settings, fixed.circuit.verifier_srs)


async def test_a_registered_key_that_is_another_models_proves_nothing_here(fixed: World, tmp_path: Path) -> None:
    """Whoever would prove makes the key from the model, and so finds out what a client could not."""
    other = network_of_floats(seed=8).SerializeToString()
    with pytest.raises(EngineError, match="not what this model gives"):
        await open_circuit(tmp_path, fixed.circuit, other, fixed.settings, fixed.srs)


@pytest.mark.parametrize("settings", [b"", b"{}", b"[" * 100_000, b'{"run_args": 1}'])
async def test_settings_that_are_none_are_a_sentence(fixed: World, tmp_path: Path, settings: bytes) -> None:
    with pytest.raises(EngineError):
        await make_keys(tmp_path, fixed.graph, settings, fixed.srs)


async def test_too_little_memory_is_a_sentence(fixed: World) -> None:
    with pytest.raises(EngineError):
        async with open_proof_worker(fixed.folder.path, memory=1 << 20) as worker:
            await worker.do(Prove())


async def test_a_cancelled_proof_is_killed(fixed: World) -> None:
    numbers = [quantise(X.data, 13)]
    with trio.move_on_after(0.15) as scope:
        await fixed.folder.prove(numbers, 2)
    assert scope.cancelled_caught
    proved = await fixed.folder.prove(numbers, 2)  # nothing is left of the one before
    assert len(proved.outputs) == 2


@pytest.mark.parametrize(
    "what", ["os.abort()", "send(Started(system='again', sandbox=()))", "desk.sendall(b'noise' * 9)", "desk.close()"]
)
async def test_whatever_a_worker_does_is_one_named_error(program: Sequence[str], tmp_path: Path, what: str) -> None:
    does(program, what)
    with pytest.raises(WorkerDied):
        async with open_proof_worker(tmp_path) as worker:
            await worker.do(Verify())


async def test_a_check_that_hangs_is_given_up(program: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    does(program, "import time; time.sleep(60)")
    monkeypatch.setattr(running, "VERIFY_TIMEOUT", 0.4)
    async with open_verifier() as verifier:
        with pytest.raises(EngineError, match="could not be checked within"):
            await verifier.check({})


async def test_a_proof_that_ends_the_process_is_not_believed(
    fixed: World, proved: Proved, program: Sequence[str]
) -> None:
    """Nor is its prover blamed: it may have been our own want of memory."""
    does(program, "os.abort()")
    stated, checked = statement(fixed, proved), CheckedProofs()
    with pytest.raises(WorkerDied):
        await checked.check(stated)
    assert checked.found(stated) == "it could not be checked"
    await checked.close()
    assert "ended with status" in (said := await trio.to_thread.run_sync(check_now, stated)) or "killed" in said


async def test_a_warm_verifier_checks_one_after_another_and_outlives_noise(fixed: World, proved: Proved) -> None:
    good = statement(fixed, proved)
    async with open_verifier() as verifier:
        assert await verifier.check(good.files) == ""
        for name in good.files:
            for data in (b"", b"\0" * 64, good.files[name][:-1], b"{}"):
                assert await verifier.check(dict(good.files) | {name: data}) != "", (name, data[:8])
        assert await verifier.check(good.files) == ""


async def test_what_ezkl_wrote_is_not_believed(fixed: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was taken over can write what it likes: it has to be a proof of the inputs it was given."""
    folder = CircuitFolder(tmp_path, fixed.settings, fixed.key, fixed.circuit.verifier_srs)
    command = ["-c", PROGRAM + "send(Done())"]
    monkeypatch.setattr(running, "_COMMAND", command)
    files: list[bytes | None] = [
        None, b"", b"{}", b"[", b'{"instances": [[]], "proof": [1]}', b'{"instances": [["00"]], "proof": [1]}',
        b'{"instances": [[], []], "proof": [1]}', b'{"instances": 7, "proof": [256]}',
        b'{"instances": [[]], "proof": []}',
        json.dumps({"instances": [["00" * 32] * 6], "proof": [1]}).encode(),
    ]  # fmt: skip
    for data in files:
        if data is not None:
            (tmp_path / "proof.json").write_bytes(data)
        with pytest.raises(EngineError):
            await folder.prove([quantise(X.data, 13)], 2)
    (tmp_path / "proof.json").unlink()
    (tmp_path / "proof.json").symlink_to("/etc/hostname")
    with pytest.raises(EngineError, match="left no"):
        await folder.prove([quantise(X.data, 13)], 2)
