"""The card, through NVIDIA's own bindings (`cuda.bindings.runtime`): what it is, a stream, and memory to move tensors.

The module object is handed in, so that tests can put a fake of it in its place and the code is the same.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import CardError, CardLost, EngineError

ALIGNED = 256  # bytes: what every kernel is content with
_DRIVER = Path("/proc/driver/nvidia/version")


def import_cuda() -> Any:
    """NVIDIA's bindings; EngineError with the next step where they are not installed."""
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise EngineError(
            f"cuda-bindings cannot be imported ({error}); install them: pip install 'hallmark[gpu]'"
        ) from error
    return runtime


def forbid_tf32() -> None:
    """Have NVIDIA's libraries compute in full FP32, whatever they are asked for; called before they are loaded."""
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"


class Card:
    """The first card that this process may see, with a stream of our own. CardError says why there is none.

    Its methods raise CardError where its memory is full, and CardLost after which this process can use it no more.
    """

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        driver = self._do("cudaDriverGetVersion")
        if not driver:
            raise CardError("there is no NVIDIA driver on this machine; install one, or serve from the CPU")
        if not self._do("cudaGetDeviceCount"):
            raise CardError("the NVIDIA driver shows no card; look at nvidia-smi and CUDA_VISIBLE_DEVICES")
        self._do("cudaSetDevice", 0)
        about = self._do("cudaGetDeviceProperties", 0)
        self.name: str = about.name.decode() if isinstance(about.name, bytes) else str(about.name)
        self.compute_capability = f"{about.major}.{about.minor}"
        self.processors: int = about.multiProcessorCount
        self.memory = int(about.totalGlobalMem)  # bytes
        self.driver = f"{_driver_release()} ({_version(driver)})"
        self.cuda = _version(self._do("cudaRuntimeGetVersion"))
        self.stream = self._new_stream()

    def renew_stream(self) -> None:
        """Another stream instead of this one, whatever state it is in. Nobody else may use the old one any more."""
        self._do("cudaStreamDestroy", self.stream)
        self.stream = self._new_stream()

    def _new_stream(self) -> int:
        return int(self._do("cudaStreamCreateWithFlags", self._cuda.cudaStreamNonBlocking))

    def allocate(self, size: int) -> int:
        """The address of so many bytes of the card's memory."""
        return int(self._do("cudaMalloc", size))

    def pin(self, size: int) -> int:
        """The address of so many bytes of the host's memory that the card can reach by itself."""
        return int(self._do("cudaHostAlloc", size, self._cuda.cudaHostAllocDefault))

    def free(self, device: int, pinned: int) -> None:
        """Give back what `allocate` and `pin` gave; 0 is nothing."""
        self._do("cudaFree", device)
        self._do("cudaFreeHost", pinned)

    def send(self, device: int, host: int, size: int) -> None:
        """Begin to copy host memory to the card, in the stream's order."""
        self._copy(device, host, size, self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice)

    def fetch(self, host: int, device: int, size: int) -> None:
        """Begin to copy the card's memory to the host, in the stream's order."""
        self._copy(host, device, size, self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost)

    def _copy(self, target: int, source: int, size: int, way: Any) -> None:
        if size:
            self._do("cudaMemcpyAsync", target, source, size, way, self.stream)

    def wait(self) -> None:
        """Until all that was begun is done."""
        self._do("cudaStreamSynchronize", self.stream)

    def _do(self, name: str, *arguments: Any) -> Any:
        try:
            error, *values = getattr(self._cuda, name)(*arguments)
        except RuntimeError as trouble:  # the bindings look for the driver's library at their first call
            raise CardLost(f"the NVIDIA driver cannot be used: {trouble}") from trouble
        code = str(getattr(error, "name", error))
        if code == "cudaErrorMemoryAllocation":
            raise CardError("the card has no memory left for this; send less at once, or ask another peer")
        if int(error) != 0:
            raise CardLost(f"{name} failed with {code}; look at nvidia-smi, then try again")
        return values[0] if len(values) == 1 else tuple(values)


class Staging:
    """Memory on the card and as much on the host, for the tensors of one run; grows when a run needs more.

    Tensors lie one after the other, so that all of a run travel in one copy.
    """

    def __init__(self, card: Card) -> None:
        self._card = card
        self._room = 0
        self._device = self._pinned = 0
        self._places: list[tuple[int, int]] = []

    def lay(self, sizes: Sequence[int]) -> list[int]:
        """The addresses on the card of tensors with so many bytes each. The same as long as no larger ones come."""
        at, self._places = 0, []
        for size in sizes:
            self._places.append((at, size))
            at += -(-max(size, 1) // ALIGNED) * ALIGNED
        if at > self._room:
            self.close()
            self._device = self._card.allocate(at)
            self._pinned = self._card.pin(at)
            self._room = at
        return [self._device + offset for offset, _ in self._places]

    def send(self, tensors: Sequence[Any]) -> None:
        """Begin to copy these buffers to the places that were laid, in order."""
        for (offset, size), data in zip(self._places, tensors, strict=True):
            if size:
                self._view(offset, size)[:] = memoryview(data).cast("B")
        self._card.send(self._device, self._pinned, self._end)

    def fetch(self, addresses: Sequence[int] | None = None) -> list[bytes]:
        """The bytes at the laid places, or of tensors of their sizes elsewhere on the card; waits for them."""
        if addresses is None:
            self._card.fetch(self._pinned, self._device, self._end)
        else:
            for (offset, size), address in zip(self._places, addresses, strict=True):
                self._card.fetch(self._pinned + offset, address, size)
        self._card.wait()
        return [bytes(self._view(offset, size)) if size else b"" for offset, size in self._places]

    def close(self) -> None:
        """Give the memory back."""
        device, pinned, self._device, self._pinned, self._room = self._device, self._pinned, 0, 0, 0
        self._card.free(device, pinned)

    @property
    def _end(self) -> int:
        return max((offset + size for offset, size in self._places), default=0)

    def _view(self, offset: int, size: int) -> memoryview:
        return memoryview((ctypes.c_ubyte * size).from_address(self._pinned + offset)).cast("B")


def _driver_release() -> str:
    try:
        found = re.search(r"\b(\d+(?:\.\d+)+)\b", _DRIVER.read_text())
    except OSError:  # WSL has a driver and no such file
        found = None
    return found[1] if found else "unknown release"


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
