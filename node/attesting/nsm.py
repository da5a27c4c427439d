"""Quotes in an AWS Nitro Enclave: the Nitro Secure Module, an ioctl that takes and gives CBOR.

Source: aws-nitro-enclaves-nsm-api; linux/nsm.h (magic 0x0A, command 0: two buffers, each an address and a length).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

from wire.attestation import MAX_QUOTE, TeeKind

from .attester import AttesterFailed

NSM = Path("/dev/nsm")
NSM_IOCTL_RAW = 0xC0200A00  # _IOWR(0x0A, 0, struct nsm_raw), 32 bytes
REQUEST, RESPONSE = 0x1000, 0x3000  # bytes of each, at most
_RAW = struct.Struct("=QQQQ")

Ioctl = Callable[[int, int, bytearray], object]


def _ioctl(device: int, command: int, argument: bytearray) -> object:
    from fcntl import ioctl

    return ioctl(device, command, argument, True)


class Nsm:
    """The enclave's module. Raises AttesterFailed where it does not answer."""

    kind: TeeKind = "nitro"
    name = "the Nitro Secure Module"

    def __init__(self, device: Path = NSM, ioctl: Ioctl = _ioctl) -> None:
        self._device, self._ioctl = device, ioctl

    def quote(self, report_data: bytes) -> tuple[bytes, None]:
        """An attestation document over 64 bytes of our own (its `user_data`)."""
        import cbor2

        asked = cbor2.dumps({"Attestation": {"user_data": report_data, "nonce": None, "public_key": None}})
        try:
            said = cbor2.loads(self._exchange(asked))
            document = said["Attestation"]["document"]
        except OSError as error:
            raise AttesterFailed(f"{self._device} does not answer: {error}") from error
        except Exception as error:  # the decoder's many kinds, and a reply of another shape
            raise AttesterFailed(f"{self._device} gave no attestation document") from error
        if not isinstance(document, bytes) or not 0 < len(document) <= MAX_QUOTE:
            raise AttesterFailed(f"{self._device} gave no attestation document")
        return document, None

    def _exchange(self, request: bytes) -> bytes:
        """The module's reply; the kernel writes it into our buffer, and its length into the argument."""
        if len(request) > REQUEST:
            raise OSError("the request is too long")
        given, taken = ctypes.create_string_buffer(request, len(request)), ctypes.create_string_buffer(RESPONSE)
        argument = bytearray(_RAW.pack(ctypes.addressof(given), len(request), ctypes.addressof(taken), RESPONSE))
        device = os.open(self._device, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._ioctl(device, NSM_IOCTL_RAW, argument)
        finally:
            os.close(device)
        length = _RAW.unpack(argument)[3]
        if length > RESPONSE:
            raise OSError("the reply is longer than there was room for")
        return taken.raw[:length]


def find_nsm(device: Path = NSM) -> Nsm | str:
    """The module, or why there is none, in a sentence."""
    if not device.exists():
        return f"{device} is not there: no Nitro Enclave"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} is there, and this user may not use it"
    return Nsm(device)
