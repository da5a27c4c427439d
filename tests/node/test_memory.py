"""Memory that large tensors took is there for the next ones, in a process of its own: the setting is a process's."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

PAGES = 2 * 16 * 256  # of two tensors of 16 MiB

SCRIPT = """
import resource, sys
from node.memory import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
def both():
    one = b"x" * (16 << 20)
    return one, bytes(bytearray(one))
for _ in range(3):
    both()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    both()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library is not glibc")
def test_the_pages_of_large_tensors_are_asked_for_once() -> None:
    def pages(how: str) -> int:
        found = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, check=True, text=True)
        return int(found.stdout)

    assert pages("leave") > PAGES / 2
    assert pages("keep") < PAGES / 20
