"""A FAKE of `cuda.bindings.runtime`: the card's memory is this process's own, and its stream does everything at once.

It shows that our code keeps the calls' contract (order, sizes, addresses, errors). It shows nothing about a card.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from enum import IntEnum
from types import SimpleNamespace
from typing import Any


class Error(IntEnum):
    """The codes that tests use."""

    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorIllegalAddress = 700


class Kind(IntEnum):
    """Which way a copy goes."""

    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


@dataclass
class FakeCuda:
    """The module. `fails` names calls and the error that each gives; `calls` is what was called, in order."""

    driver: int = 13000
    cards: int = 1
    fails: dict[str, Error] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    device: dict[int, Any] = field(default_factory=dict)
    pinned: dict[int, Any] = field(default_factory=dict)
    streams: list[int] = field(default_factory=list)
    cudaStreamNonBlocking = 1
    cudaHostAllocDefault = 0
    cudaMemcpyKind = Kind

    def _done(self, name: str, *values: Any) -> tuple[Any, ...]:
        self.calls.append(name)
        if name in self.fails:
            return (self.fails[name], *[None for _ in values])
        return (Error.cudaSuccess, *values)

    def cudaDriverGetVersion(self) -> tuple[Any, ...]:
        return self._done("cudaDriverGetVersion", self.driver)

    def cudaRuntimeGetVersion(self) -> tuple[Any, ...]:
        return self._done("cudaRuntimeGetVersion", 13050)

    def cudaGetDeviceCount(self) -> tuple[Any, ...]:
        return self._done("cudaGetDeviceCount", self.cards)

    def cudaSetDevice(self, index: int) -> tuple[Any, ...]:
        assert index == 0
        return self._done("cudaSetDevice")

    def cudaGetDeviceProperties(self, index: int) -> tuple[Any, ...]:
        assert index == 0
        about = SimpleNamespace(name=b"FAKE card", major=9, minor=0, multiProcessorCount=3, totalGlobalMem=8 << 30)
        return self._done("cudaGetDeviceProperties", about)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        assert flags == self.cudaStreamNonBlocking
        self.streams.append(0x1000 + len(self.calls))
        return self._done("cudaStreamCreateWithFlags", self.streams[-1])

    def cudaStreamDestroy(self, stream: int) -> tuple[Any, ...]:
        self.streams.remove(stream)
        return self._done("cudaStreamDestroy")

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any, ...]:
        assert stream in self.streams
        return self._done("cudaStreamSynchronize")

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        return self._allocate("cudaMalloc", self.device, size)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Any, ...]:
        assert flags == self.cudaHostAllocDefault
        return self._allocate("cudaHostAlloc", self.pinned, size)

    def _allocate(self, name: str, where: dict[int, Any], size: int) -> tuple[Any, ...]:
        assert size > 0
        memory = (ctypes.c_ubyte * size)(*b"\xaa" * min(size, 64))  # not zeros: nothing may rely on them
        address = ctypes.addressof(memory)
        done = self._done(name, address)
        if done[0] == 0:
            where[address] = memory
        return done

    def cudaFree(self, address: int) -> tuple[Any, ...]:
        assert address == 0 or self.device.pop(address, None) is not None
        return self._done("cudaFree")

    def cudaFreeHost(self, address: int) -> tuple[Any, ...]:
        assert address == 0 or self.pinned.pop(address, None) is not None
        return self._done("cudaFreeHost")

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: Kind, stream: int) -> tuple[Any, ...]:
        assert stream in self.streams
        host = source if kind is Kind.cudaMemcpyHostToDevice else target
        assert self._inside(self.pinned, host, size), "a copy to or from memory that is not pinned"
        ctypes.memmove(target, source, size)
        return self._done("cudaMemcpyAsync")

    @staticmethod
    def _inside(where: dict[int, Any], address: int, size: int) -> bool:
        return any(start <= address and address + size <= start + len(memory) for start, memory in where.items())
