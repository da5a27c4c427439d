"""One operating-system process of the worker's kind: started, watched, and always reaped, also when cancelled.

It is started from trio's own thread, not from a helper thread as trio would: the kernel ends the child when the
*thread* that started it ends (PR_SET_PDEATHSIG), and trio's idle helper threads do. `vfork` makes that cheap.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import trio

from .bounds import EXIT_TIMEOUT, MAX_LOG, WATCH_EVERY
from .errors import EngineError

# One thread until the sandbox stands (it binds the thread that asks for it), and nothing of the node's environment.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
    "ORT_DISABLE_TELEMETRY": "1",  # else importing ONNX Runtime (1.29 and later) starts a thread that reports home
    "CUDA_CACHE_DISABLE": "1",  # a folder of compiled kernels that all processes of a user would share
}
_OF_CARD = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")  # which cards, and in some containers where the driver is


class Process:
    """A running worker: its stream, its last words, its end."""

    def __init__(self, popen: subprocess.Popen[bytes], stream: trio.SocketStream, log: trio.lowlevel.FdStream) -> None:
        self.pid = popen.pid
        self.stream = stream
        self.exited = trio.Event()
        self._popen = popen
        self._pidfd = os.pidfd_open(popen.pid)
        self._log = log
        self._said = b""
        self._said_all = trio.Event()

    async def watch(self, memory: int) -> None:
        """End it once it occupies over `memory` bytes: for one whose memory no limit of the kernel's holds."""
        while not self.exited.is_set():
            with trio.move_on_after(WATCH_EVERY):
                await self.exited.wait()
            if self.memory() > memory:
                self._said += b"(it took more memory than it may have, and was ended)"
                self._popen.kill()
                return

    def memory(self) -> int:
        """Bytes of memory it occupies now; 0 when it has ended."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        except (OSError, IndexError):
            return 0

    async def obituary(self) -> str:
        """Why it ended, with its last words; waits a moment for the end, and kills what does not end."""
        with trio.move_on_after(EXIT_TIMEOUT):
            await self.exited.wait()
            await self._said_all.wait()
        code = self._popen.returncode
        how = "closed its channel" if code is None else f"ended with status {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        log = "".join(c if c.isprintable() else " " for c in self._said.decode(errors="replace")).strip()
        return f"{how}; it said: {log}" if log else how

    async def listen(self) -> None:
        """Keep its last words until it closes its end."""
        with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            async for data in self._log:
                self._said = (self._said + data)[-MAX_LOG:]
        self._said_all.set()

    async def reap(self) -> None:
        """Wait for its end and take its status, so that no zombie stays."""
        await trio.lowlevel.wait_readable(self._pidfd)
        self._popen.wait()
        os.close(self._pidfd)
        self.exited.set()

    async def kill(self) -> None:
        """End it, whatever it does. SIGKILL at once: it has nothing to save, and a taken-over one ignores SIGTERM."""
        if not self.exited.is_set():
            self._popen.kill()
        self.stream.socket.close()
        with trio.CancelScope(shield=True):
            await self.exited.wait()
            await self._log.aclose()


@asynccontextmanager
async def start(
    command: list[str], fds: Sequence[int], cwd: Path, watched: int | None = None
) -> AsyncIterator[Process]:
    """Run `python -I` with `command`, then its end of a socket pair and our pid as arguments, in `cwd`.

    It gets `fds` under the same numbers; which is which it is told over its stream. Where `watched`, it may occupy so
    many bytes of memory, and is told which cards the operator shows to it.

    Killed and reaped on leaving. EngineError where the system has no room for another process.
    """
    try:
        process = _spawn(command, fds, cwd, () if watched is None else _OF_CARD)
    except OSError as error:
        raise EngineError(f"no worker process could be started ({error}); free some memory or descriptors") from error
    # System tasks, for they must outlive any cancellation of ours: a child is reaped in all cases. They end with it.
    trio.lowlevel.spawn_system_task(process.listen)
    trio.lowlevel.spawn_system_task(process.reap)
    if watched is not None:
        trio.lowlevel.spawn_system_task(process.watch, watched)
    try:
        yield process
    finally:
        await process.kill()


def _spawn(command: list[str], fds: Sequence[int], cwd: Path, of_card: Sequence[str]) -> Process:
    with ExitStack() as on_failure, ExitStack() as always:
        ours, theirs = socket.socketpair()
        on_failure.callback(ours.close)
        always.callback(theirs.close)
        log, log_end = os.pipe()
        on_failure.callback(os.close, log)
        always.callback(os.close, log_end)
        popen = subprocess.Popen(
            [sys.executable, "-I", *command, str(theirs.fileno()), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log_end,
            stderr=log_end,
            pass_fds=(theirs.fileno(), *fds),
            cwd=cwd,
            env=_ENVIRONMENT | {name: os.environ[name] for name in of_card if name in os.environ},
            start_new_session=True,  # the terminal's Ctrl-C is for the node, which then drains
        )
        on_failure.callback(popen.wait)
        on_failure.callback(popen.kill)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        process = Process(popen, stream, trio.lowlevel.FdStream(log))
        on_failure.pop_all()
        return process
