"""A worker's process in which the card and TensorRT are FAKES (see the modules beside this), and all else is real:
the protocol, the sandbox of a card's worker, the exchange of engines. Run with `-c`, as a worker is with `-m`."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPT = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from tests.engine.backends.worker_on_fakes import main
main()
"""


def main(*, tensorrt: bool = False) -> None:
    """Put the fakes in their places, then be a worker; with `tensorrt` the real one builds."""
    import onnxruntime

    from engine.backends import onnxruntime_cuda
    from engine.backends.tensorrt import runtime
    from engine.worker import main as work

    from . import fake_tensorrt
    from .fake_card import FakeCuda
    from .test_onnxruntime_cuda import OnTheHost

    onnxruntime_cuda.import_cuda = runtime.import_cuda = FakeCuda  # type: ignore[attr-defined,assignment]
    if not tensorrt:
        runtime.find_tensorrt = lambda: fake_tensorrt  # type: ignore[attr-defined]
    onnxruntime.get_available_providers = lambda: [onnxruntime_cuda.PROVIDER]
    onnxruntime.preload_dlls = lambda: None
    onnxruntime_cuda.OnnxRuntimeCuda = OnTheHost  # type: ignore[misc]
    work(sys.argv[1:])
