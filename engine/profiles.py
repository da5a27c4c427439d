"""Runtime profiles: under which name answers are compared, and what may compute them.

In every profile the precision is the one that the ONNX file's own types say, graphs are optimised in full, and kernels
are chosen without timing where the runtime lets us. What is left are the orders in which backends add up: their answers
differ in the last bits, and the network file says by how much they may. So "fp32" names the same arithmetic on a CPU
and on a card as long as TF32 is off, which keeps 10 of 23 bits of a product's factors and is a thousand times that far.

A near tie between two tokens falls on either side of such a difference. A check of tokens allows for that
(`verify.forcing`), which was measured between CPUs so far: so a profile under which answers are generated has one
backend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from wire.generation import Interface

from .errors import ModelRefused

BackendKind = Literal["tensorrt", "onnxruntime-cuda", "onnxruntime-cpu"]
Wanted = Literal["auto", BackendKind]  # auto: the best that executes here
KINDS: tuple[BackendKind, ...] = get_args(BackendKind)  # the best first

# The full TensorRT, and the one for consumer cards: the same classes. The last is its bindings' own name.
TENSORRT_MODULES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")


@dataclass(frozen=True, slots=True)
class RuntimeProfile:
    """What may compute under one name: tensors (and text's vectors), and tokens; the best backend first."""

    tf32: bool
    computes: tuple[BackendKind, ...]
    generates: tuple[BackendKind, ...]

    def backends(self, interface: Interface) -> tuple[BackendKind, ...]:
        """Those that may execute a model which is served in this way."""
        return self.generates if interface == "generate" else self.computes


PROFILES = {
    "fp32": RuntimeProfile(tf32=False, computes=KINDS, generates=("onnxruntime-cpu",)),
    "fp32-cuda": RuntimeProfile(tf32=False, computes=("onnxruntime-cuda",), generates=("onnxruntime-cuda",)),
    "tf32": RuntimeProfile(tf32=True, computes=KINDS, generates=()),
}


def profile_of(name: str) -> RuntimeProfile:
    """The profile of that name; ModelRefused where this release knows none."""
    try:
        return PROFILES[name]
    except KeyError:
        raise ModelRefused(
            f"the model asks for the runtime profile {name[:40]!r}; this release has {', '.join(PROFILES)}"
        ) from None
