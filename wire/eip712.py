"""EIP-712: the 32 bytes that a node, a wallet and a contract all sign or recompute alike.

Only static struct types (bytes32, address, bool, uintN) are used, so encoding is one keccak over 32-byte words; larger
records enter by their content hash. The domain separator is cached per network. Tests hold this equal to
eth-account's general encoder. One struct type per purpose: a signature for one can never serve another.
"""

from __future__ import annotations

from functools import lru_cache

from Crypto.Hash import keccak

from .bounds import U63, Address, Line
from .canonical import Record


def keccak256(data: bytes) -> bytes:
    """Ethereum's keccak-256 (not the NIST SHA3-256)."""
    return keccak.new(digest_bits=256, data=data).digest()


class Domain(Record):
    """What every signature is bound to: one network on one chain. Payments have a standard's name and version."""

    chain_id: U63
    contract: Address
    name: Line = "Hallmark"
    version: Line = "1"

    def separator(self) -> bytes:
        """The domain separator of EIP-712, 32 bytes."""
        return _separator(self.name, self.version, self.chain_id, self.contract)


DOMAIN_FIELDS = (("string", "name"), ("string", "version"), ("uint256", "chainId"), ("address", "verifyingContract"))


@lru_cache(maxsize=64)
def _separator(name: str, version: str, chain_id: int, contract: bytes) -> bytes:
    kind = "EIP712Domain(" + ",".join(f"{k} {n}" for k, n in DOMAIN_FIELDS) + ")"
    words = keccak256(name.encode()) + keccak256(version.encode())
    return keccak256(keccak256(kind.encode()) + words + chain_id.to_bytes(32, "big") + contract.rjust(32, b"\0"))


class StructType:
    """One EIP-712 struct: `StructType("Vote", ("bytes32", "receipt"), …).digest(domain, receipt, …)`."""

    def __init__(self, name: str, *fields: tuple[str, str]) -> None:
        self.name = name
        self.fields = fields
        self.text = f"{name}({','.join(f'{kind} {field}' for kind, field in fields)})"
        self._head = keccak256(self.text.encode())

    def digest(self, domain: Domain, *values: bytes | int) -> bytes:
        """What is signed: keccak256(0x1901 ‖ domain separator ‖ struct hash). Values stand in the fields' order."""
        words = [self._head]
        for (kind, name), value in zip(self.fields, values, strict=True):
            words.append(_word(kind, name, value))
        return keccak256(b"\x19\x01" + domain.separator() + keccak256(b"".join(words)))


def _word(kind: str, name: str, value: bytes | int) -> bytes:
    if isinstance(value, int):
        if kind == "bool" and value in (0, 1):
            return value.to_bytes(32, "big")
        if not kind.startswith("uint"):
            raise TypeError(f"{name} is {kind}, not an integer")
        if not 0 <= value < 1 << int(kind[4:]):
            raise OverflowError(f"{name} = {value} does not fit {kind}")
        return value.to_bytes(32, "big")
    size = {"bytes32": 32, "address": 20}[kind]
    if len(value) != size:
        raise ValueError(f"{name} is {len(value)} bytes, {kind} has {size}")
    return value.rjust(32, b"\0")
