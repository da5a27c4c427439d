"""Ctrl-C in the middle of `hallmark demo` leaves nothing running. (The whole of it is run apart from the tests.)"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from .running import PATIENCE, alive, launch, until


def test_ctrl_c_in_the_middle_leaves_no_process(tmp_path: Path) -> None:
    place, out, log = tmp_path / "kept", tmp_path / "out", tmp_path / "log"
    with out.open("wb") as to, log.open("wb") as errors:
        process = launch(["-m", "node.cli", "demo", "--keep", str(place)], to, errors)
    try:
        until(lambda: "ready  verifier" in out.read_text() or process.poll() is not None, "the first verifier")
        assert process.poll() is None, log.read_text()
        assert len(alive(mentioning=str(place))) >= 7
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130, log.read_text()
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    until(lambda: not alive(mentioning=str(place)), "the end of every peer", seconds=10)
    assert "Stopped." in log.read_text()
    assert "Traceback" not in log.read_text()
