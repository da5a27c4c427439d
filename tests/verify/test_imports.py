"""What a peer that only checks receipts must load: no numpy, and nothing of Hallmark but `verify` and `wire`."""

import subprocess
import sys

CODE = """
import sys, verify, verify.report
others = {"p2p", "storage", "engine", "node", "settle", "numpy", "trio"} & {name.split(".")[0] for name in sys.modules}
sys.exit(str(others) if others else 0)
"""


def test_checking_a_receipt_needs_no_numpy_and_no_other_craft() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
