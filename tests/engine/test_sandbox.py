"""Every limit is shown to bite, in a process that put on the worker's sandbox; without it the same attack works."""

from __future__ import annotations

import ctypes
import os
import platform
import select
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

# Each attack prints its name and "ok" or the error. `confine` is the worker's own; the imports before it are its own.
ATTACKS = textwrap.dedent(
    """
    import ctypes, errno, mmap, os, resource, signal, socket, sys, threading, time
    from engine.sandbox import confine, confine_beside_card
    libc = ctypes.CDLL(None, use_errno=True)
    out, stranger, writable = os.dup(1), int(sys.argv[2]), os.open("writable", os.O_RDWR | os.O_CREAT)
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)

    def call(number, *arguments):
        if libc.syscall(number, *(ctypes.c_long(a) for a in arguments)) < 0:
            raise OSError(ctypes.get_errno(), "")

    def open_many():
        fds = []
        try:
            while len(fds) < 600:
                fds.append(os.dup(out))
        finally:
            for fd in fds:
                os.close(fd)

    attacks = {
        "descriptors": open_many,
        "read": lambda: os.close(os.open("/etc/hostname", os.O_RDONLY)),
        "read at": lambda: os.close(os.open("secret", os.O_RDONLY, dir_fd=folder)),
        "create": lambda: os.close(os.open("new", os.O_WRONLY | os.O_CREAT)),
        "write": lambda: os.write(writable, b"x"),
        "chmod": lambda: os.chmod("secret", 0o777),
        "mkdir": lambda: os.mkdir("new folder"),
        "unlink": lambda: os.unlink("secret"),
        "socket": lambda: socket.socket().close(),
        "memfd": lambda: os.close(os.memfd_create("m")),
        "kill": lambda: os.kill(stranger, signal.SIGTERM),
        "look into": lambda: call(101, 16, stranger, 0, 0),
        "exec": lambda: call(59, 0, 0, 0),
        "fork": lambda: os.fork() or os._exit(0),
        "raise limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
        "raise limit of another": lambda: resource.prlimit(stranger, resource.RLIMIT_CORE, (0, 0)),
        "memory": lambda: mmap.mmap(-1, 1 << 30, mmap.MAP_PRIVATE).close(),
        "reserve": lambda: mmap.mmap(-1, 1 << 44, mmap.MAP_PRIVATE | 0x4000, 0).close(),
        "library": lambda: os.close(os.open(os.__file__, os.O_RDONLY)),
        "write a library": lambda: os.close(os.open(os.__file__, os.O_WRONLY)),
        "device": lambda: os.close(os.open("/dev/null", os.O_RDWR)),
        "thread": lambda: threading.Thread(target=int).start(),
        "read limit": lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
        "small memory": lambda: mmap.mmap(-1, 1 << 20).close(),
    }
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if sys.argv[1] == "confined":
        os.write(out, ("applied: " + "|".join(confine(256 << 20)) + "\\n").encode())
    if sys.argv[1] == "beside a card":
        os.write(out, ("applied: " + "|".join(confine_beside_card(256 << 20, list)) + "\\n").encode())
    for name, attack in attacks.items():
        try:
            attack()
            result = "ok"
        except OSError as error:
            result = errno.errorcode.get(error.errno, "?")
        except Exception as error:
            result = type(error).__name__
        os.write(out, f"{name}: {result}\\n".encode())
    """
)
HARMLESS = {"thread", "read limit", "small memory"}


def attack(mode: str, folder: Path) -> dict[str, str]:
    folder.mkdir()
    (folder / "secret").write_text("key")
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", ATTACKS, mode, str(stranger.pid)],
                cwd=folder, capture_output=True, text=True, timeout=30, check=False,
            )  # fmt: skip
            survived = stranger.poll() is None
        finally:
            stranger.kill()
    assert done.returncode == 0, done.stderr
    result = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    return {**result, "stranger": "lives" if survived else "dead", "secret": str((folder / "secret").exists())}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the system-call filter is for x86-64")
def test_every_measure_bites_and_without_it_the_attack_works(tmp_path: Path) -> None:
    free, held = attack("free", tmp_path / "free"), attack("confined", tmp_path / "confined")
    applied = held.pop("applied").split("|")
    attacks = [name for name in held if name not in ("stranger", "secret")]
    assert {n: held[n] for n in HARMLESS} == dict.fromkeys(HARMLESS, "ok")
    assert [n for n in attacks if held[n] == "ok"] == [n for n in attacks if n in HARMLESS]
    # without the sandbox the same code succeeds (exec of nothing fails in its own way, ptrace may be forbidden to all)
    assert [n for n in attacks if free[n] != "ok" and n not in ("exec", "look into", "kill")] == []
    assert held["exec"] == "EPERM" != free["exec"]
    assert (held["stranger"], free["stranger"]) == ("lives", "dead")
    assert (held["secret"], free["secret"]) == ("True", "False")
    assert (held["write"], held["memory"], held["socket"]) == ("EFBIG", "ENOMEM", "EPERM")
    for name in ("no core file", "no file writes", "memory limit", "no new descriptors", "no capabilities"):
        assert name in applied
    assert "system-call filter" in applied
    assert (f"landlock {landlock()}" in applied) == (landlock() > 0)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the system-call filter is for x86-64")
def test_beside_a_card_only_its_files_descriptors_and_reservations_are_left(tmp_path: Path) -> None:
    """That a driver finds what it needs is not shown: there is none here."""
    held, least = attack("beside a card", tmp_path / "card"), attack("confined", tmp_path / "confined")
    applied = held.pop("applied").split("|")
    more = {"reserve"} | ({"library", "device"} if landlock() > 0 else set())
    assert {n for n in held if held[n] == "ok"} == {n for n in least if least[n] == "ok"} | more
    assert (held["memory"], held["write"], held["descriptors"]) == ("ENOMEM", "EFBIG", "EMFILE")
    assert (held["stranger"], held["secret"]) == ("lives", "True")
    if landlock() > 0:
        assert (held["read"], held["read at"], held["write a library"]) == ("EACCES",) * 3
    for name in ("no core file", "no file writes", "memory limit on data", "no capabilities", "system-call filter"):
        assert name in applied
    assert "memory limit" not in applied
    assert "no new descriptors" not in applied


def landlock() -> int:
    return int(ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1))


@pytest.mark.skipif(landlock() < 1, reason="this kernel has no Landlock")
def test_landlock_alone_closes_the_file_system(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import ctypes, os, sys
        from engine.landlock import give_up_files
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(38, 1, 0, 0, 0)
        assert give_up_files(libc)
        attempts = [(open, "secret"), (os.listdir, "."), (os.unlink, "secret"), (os.mkdir, "new")]
        for attempt, path in [*attempts, (os.execv, sys.executable)]:
            try:
                attempt(path, ["x"]) if attempt is os.execv else attempt(path)
            except PermissionError:
                continue
            raise SystemExit(1)
        """
    )
    (tmp_path / "secret").write_text("key")
    assert subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize("confined", [False, True])
def test_a_worker_dies_with_its_parent(confined: bool) -> None:
    child = textwrap.dedent(
        f"""
        import os, signal, sys
        from engine.sandbox import confine, die_with
        die_with(int(sys.argv[1]))
        {"confine(1 << 30)" if confined else ""}
        os.write(1, str(os.getpid()).encode() + b"\\n")
        signal.pause()
        """
    )
    parent = textwrap.dedent(
        """
        import os, subprocess, sys, time
        subprocess.Popen([sys.executable, "-I", "-c", sys.argv[1], str(os.getpid())])
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        pidfd = os.pidfd_open(pid)
        try:
            process.send_signal(signal.SIGKILL)
            assert select.select([pidfd], [], [], 10)[0], "the worker outlived its parent"
        finally:
            os.close(pidfd)


def test_a_worker_whose_parent_is_gone_already_ends() -> None:
    script = "from engine.sandbox import die_with; die_with(1 << 22)"
    started = time.monotonic()
    assert subprocess.run([sys.executable, "-I", "-c", script], check=False).returncode == 1
    assert time.monotonic() - started < 20
