"""The proof worker: a process with EZKL in it, and a folder of its own. `python -I -m engine.zk.worker`.

EZKL panics, aborts, prints and takes all memory there is; each of these ends this process and nothing else. A panic
comes as an exception that is no `Exception`. It locks itself in before it reads a file, and is killed, never asked.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

from wire.circuit import Visibility

from ..parcels import ParcelDecoder, pack
from ..sandbox import confine_to_folder, die_with
from .files import CIRCUIT, GRAPH, INPUT, PROOF, PROVING_KEY, SETTINGS, SRS, VERIFICATION_KEY, WITNESS
from .messages import Begin, Done, Failed, FromNode, FromWorker, MakeKeys, MakeSrs, Prove, Settle, Started, Task

SCALE = 13  # bits behind the point of inputs and weights: outputs within about 1e-4 of the float model's
# Numbers are proved to be in range digit by digit: base and digits. A table of the base has to fit into the rows, so a
# small circuit has small digits; all span 40 bits or more, which products of two numbers with 13 bits need.
# Time, memory and keys go by rows × columns, and rows come in powers of two: a third column can save half of them.
DIGITS = ((256, 5), (1024, 4), (4096, 4), (16384, 3))
COLUMNS = (2, 3)


def main(arguments: list[str]) -> None:
    """Do one task after another until the node closes its end."""
    channel, parent = map(int, arguments)
    die_with(parent)
    desk = _Desk(socket.socket(fileno=channel))
    begin = desk.receive()
    if not isinstance(begin, Begin):
        return
    os.environ |= {"RAYON_NUM_THREADS": str(begin.threads), "HOME": str(Path.cwd())}  # without a HOME it panics
    try:
        import ezkl
    except ImportError as error:
        desk.send(Failed(message=f"EZKL cannot be imported ({error}); install it: pip install 'hallmark[zk]'"))
        return
    system = f"ezkl {version('ezkl')}"
    # A proof takes every core for seconds; whoever only executes models goes first.
    os.nice(5)
    sandbox = confine_to_folder(Path.cwd(), begin.memory, begin.disk, begin.seconds)
    desk.send(Started(system=system, sandbox=sandbox))
    while (task := desk.receive()) is not None:
        try:
            _do(ezkl, task)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of Rust's is one
            desk.send(Failed(message=_said(error)))
        else:
            desk.send(Done())


def _do(ezkl: Any, task: Task | Begin) -> None:
    match task:
        case Settle():
            _settle(ezkl, task.visibility, list(task.sizes))
        case MakeSrs():
            ezkl.gen_srs(SRS, task.logrows)
        case MakeKeys():
            ezkl.compile_circuit(GRAPH, CIRCUIT, SETTINGS)
            ezkl.setup(CIRCUIT, VERIFICATION_KEY, PROVING_KEY, SRS)
        case Prove():
            ezkl.gen_witness(INPUT, CIRCUIT, WITNESS, VERIFICATION_KEY, SRS)
            ezkl.prove(WITNESS, CIRCUIT, PROVING_KEY, PROOF, SRS)
        case Begin():
            raise ValueError("a Begin came twice")
        case _:
            if not ezkl.verify(PROOF, SETTINGS, VERIFICATION_KEY, SRS, reduced_srs=True):
                raise ValueError("the proof is not valid")


def _settle(ezkl: Any, visibility: Visibility, sizes: list[tuple[str, int]]) -> None:
    """The settings with the fewest cells; the error of the last attempt when none takes the input."""
    best: tuple[int, int, bytes] | None = None
    failure: BaseException | None = None
    for (base, digits), columns in product(DIGITS, COLUMNS):
        arguments = ezkl.PyRunArgs()
        arguments.input_visibility = arguments.output_visibility = "public"
        arguments.param_visibility = visibility
        arguments.input_scale = arguments.param_scale = SCALE
        arguments.decomp_base, arguments.decomp_legs = base, digits
        arguments.num_inner_cols = columns
        arguments.variables = sizes
        try:
            ezkl.gen_settings(GRAPH, SETTINGS, arguments)
            ezkl.calibrate_settings(INPUT, GRAPH, SETTINGS, "resources", scales=[SCALE], scale_rebase_multiplier=[1])
            data = Path(SETTINGS).read_bytes()
            found = json.loads(data)
            size = (columns << found["run_args"]["logrows"], found["num_rows"])
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            failure = error
            continue
        if best is None or size < best[:2]:
            best = (*size, data)
    if best is None:
        raise failure or ValueError("no settings were found")
    Path(SETTINGS).write_bytes(best[2])


class _Desk:
    """The worker's end of the socket pair."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._decoder: ParcelDecoder[FromNode] = ParcelDecoder(FromNode)

    def receive(self) -> FromNode | None:
        """The next message; None when the node has closed its end."""
        while (parcel := self._decoder.next()) is None:
            data = self._channel.recv(1 << 16)
            if not data:
                return None
            self._decoder.feed(data)
        return parcel.message

    def send(self, message: FromWorker) -> None:
        for part in pack(message):
            self._channel.sendall(part)


def _said(error: BaseException) -> str:
    return "".join(c if c.isprintable() else " " for c in str(error) or type(error).__name__)[:1024]


if __name__ == "__main__":
    main(sys.argv[1:])
