"""The network file: one small TOML that makes peers one network, made once and handed on.

Verifiers are listed by peer id, which contains their public key. Everything a receipt's proof rests on stands here, so
`hallmark verify` needs this file and arithmetic, and nothing else. When the verifiers change, a new epoch begins, and
the old one stays in the file as a `[[past]]` table: what was signed under it is checked under it.
"""

from __future__ import annotations

import re
import secrets
import tomllib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from wire.bounds import MAX_EPOCHS
from wire.chain import ChainSpec
from wire.errors import RecordError
from wire.files import PUBLIC, replace_file
from wire.keys import address_of, parse_address, peer_id_of, public_of, show_address
from wire.network import Network, Profile, Registry, Verifier

from .errors import CommandError, Exit

_NAME = re.compile(r"`str` matching regex '\^\[a-z0-9\][^']*'")  # not every user reads regular expressions
_SECURE = re.compile(r"https://[^\s/]+\S*\Z")
_URL = re.compile(r"https?://[^\s/]+\S*\Z")
CONTRACTS = ("token", "channels", "evidence", "split", "epochs")
DEVNET_CHAIN_ID = 31337
DEFAULT_PROFILES = (Profile(name="fp32", tolerance=1e-5),)
_HEAD = """\
# A Hallmark network file. Give it to whoever shall join: hallmark serve --network THIS_FILE
# `contract` binds every signature to this network; until contracts are deployed it is a random address.
# `beacon` seeds the draw of committees. A certificate needs more than quorum[0]/quorum[1] of its committee's weight.
# Tolerances are the largest difference, relative to the largest output, between two honest executions.
# `sample` is the probability with which an answer of tier sampled is checked, in steps of 0.0001.
# `from_ms` is when the epoch begins, in milliseconds since 1970, UTC; [[past]] has the epochs before it.
# `relays` are peers over which those behind routers are reached. Running peers take over what `publisher` signs as a
# higher `version` of this file (hallmark network sign); they ask each other, and the URLs in `updates`.
# [chain] says where its money and its epochs are: RPCs of its chain and contracts on it; `contract` is the registry.

"""


def new_network(name: str, verifiers: Sequence[str], *, committee: int = 0, bootstraps: Sequence[str] = ()) -> Network:
    """A network of its own, with fresh contract address and beacon; verifiers are peer ids of equal weight.

    `committee` 0 means all verifiers, up to 16. RecordError when a name or an id is not one.
    """
    keys = [public_of(verifier) for verifier in dict.fromkeys(verifiers)]
    network = Network(
        name=name,
        chain_id=DEVNET_CHAIN_ID,
        contract=secrets.token_bytes(20),
        epoch=0,
        beacon=secrets.token_bytes(32),
        committee_size=committee or max(1, min(16, len(keys))),
        quorum_numerator=2,
        quorum_denominator=3,
        bootstraps=tuple(bootstraps),
        verifiers=tuple(Verifier(key=key, weight=1) for key in keys),
        profiles=DEFAULT_PROFILES,
    )
    return parse_network(show_network(network))  # one set of rules, also for our own


def next_epoch(network: Network, verifiers: Sequence[str], from_ms: int, *, committee: int = 0) -> Network:
    """The network with a new epoch from `from_ms` on: these verifiers (peer ids of equal weight) and a fresh beacon.

    `committee` 0 keeps the size. The oldest epoch is forgotten when there are too many. RecordError when an id is not
    one, or when the epoch would begin before the last one.
    """
    listed = {v.key: v for v in network.verifiers}
    keys = [public_of(verifier) for verifier in dict.fromkeys(verifiers)]
    over = Registry(**{name: getattr(network, name) for name in Registry.__struct_fields__})
    opened = msgspec.structs.replace(
        network,
        epoch=network.epoch + 1,
        from_ms=from_ms,
        beacon=secrets.token_bytes(32),
        committee_size=committee or network.committee_size,
        verifiers=tuple(listed.get(key, Verifier(key=key, weight=1)) for key in keys),
        past=(*network.past, over)[-MAX_EPOCHS:],
    )
    return parse_network(show_network(opened))


def show_network(network: Network) -> str:
    """The file's text."""
    data: dict[str, Any] = {
        "name": network.name,
        "chain_id": network.chain_id,
        "contract": show_address(network.contract),
        "bootstraps": list(network.bootstraps),
        **_show_publisher(network),
        **_show_epoch(network),
        "past": [_show_epoch(registry) for registry in network.past],
    }
    if not network.past:
        del data["past"]
    if network.chain:
        data["chain"] = show_chain(network.chain)
    return _HEAD + tomli_w.dumps(data)


def _show_publisher(network: Network) -> dict[str, Any]:
    """What only some files have: one without is read by the first release too."""
    shown: dict[str, Any] = {"relays": list(network.relays)} if network.relays else {}
    if network.publisher is not None:
        shown |= {"publisher": show_address(network.publisher), "version": network.version}
        shown |= {"updates": list(network.updates)} if network.updates else {}
    return shown


def show_chain(spec: ChainSpec) -> dict[str, Any]:
    """The [chain] table."""
    return {
        "rpcs": list(spec.rpcs),
        **{name: show_address(getattr(spec, name)) for name in CONTRACTS},
        "confirmations": spec.confirmations,
        "from_block": spec.from_block,
        "lead": spec.lead,
    }


def _show_epoch(rules: Network | Registry) -> dict[str, Any]:
    return {
        "epoch": rules.epoch,
        "from_ms": rules.from_ms,
        "beacon": "0x" + rules.beacon.hex(),
        "committee_size": rules.committee_size,
        "quorum": [rules.quorum_numerator, rules.quorum_denominator],
        "sample": rules.sample_bps / 10_000,
        "profiles": {p.name: {"tolerance": p.tolerance} for p in rules.profiles},
        "verifiers": [_show_verifier(v) for v in rules.verifiers],
    }


def _show_verifier(verifier: Verifier) -> dict[str, Any]:
    shown: dict[str, Any] = {"peer": peer_id_of(verifier.key), "weight": verifier.weight}
    if verifier.addresses:
        shown["addresses"] = list(verifier.addresses)
    return shown


class _Profile(msgspec.Struct, forbid_unknown_fields=True):
    tolerance: float


class _Verifier(msgspec.Struct, forbid_unknown_fields=True):
    peer: str
    weight: int = 1
    addresses: list[str] = []


class _Epoch(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One epoch's rules, now or past."""

    epoch: int
    beacon: str
    committee_size: int
    from_ms: int = 0
    quorum: tuple[int, int] = (2, 3)
    sample: float = 0.05
    profiles: dict[str, _Profile] = {}
    verifiers: list[_Verifier] = []


class _Chain(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The [chain] table."""

    rpcs: list[str]
    token: str
    channels: str
    evidence: str
    split: str
    epochs: str
    confirmations: int
    from_block: int = 0
    lead: int


class _File(_Epoch, forbid_unknown_fields=True, kw_only=True):
    """The file's own shape, so that whatever is wrong with an entry is said with the entry's name."""

    name: str
    chain_id: int
    contract: str
    bootstraps: list[str] = []
    relays: list[str] = []
    publisher: str | None = None
    version: int = 0
    updates: list[str] = []
    past: list[_Epoch] = []
    chain: _Chain | None = None


def parse_network(text: str) -> Network:
    """The network that the TOML `text` describes; RecordError says which entry is wrong."""
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise RecordError("not a network file: its tables are too deep") from error
    except ValueError as error:  # its own, and Python's of a number with thousands of digits
        raise RecordError(f"not TOML: {error}") from error
    try:
        file = msgspec.convert(table, _File)
        network = msgspec.convert(_rules(file), Network, builtin_types=(bytes,))
    except RecursionError as error:
        raise RecordError("not a network file: its tables are too deep") from error
    except msgspec.ValidationError as error:
        raise RecordError(_NAME.sub("lower-case letters, digits and dashes, at most 32 of them", str(error))) from error
    if network.publisher is None and (network.version or network.updates):
        raise RecordError("`version` and `updates` are of a file with a publisher: hallmark network sign FILE")
    if not all(_SECURE.match(url) for url in network.updates):
        raise RecordError("updates: each is a URL that begins with https://")
    epochs: tuple[Network | Registry, ...] = (*network.past, network)
    for rules in epochs:
        _check_epoch(rules)
    for before, after in pairwise(epochs):
        if before.epoch >= after.epoch or before.from_ms >= after.from_ms:
            raise RecordError(f"epoch {after.epoch} does not come after epoch {before.epoch}: the oldest stands first")
    return network


def _check_epoch(rules: Network | Registry) -> None:
    if not 0 < rules.quorum_numerator < rules.quorum_denominator:
        raise RecordError("quorum must be a fraction below 1, such as [2, 3]")
    if len({v.key[1:] for v in rules.verifiers}) != len(rules.verifiers):  # BIP340 knows a key by its x alone
        raise RecordError("a verifier is listed twice")


def _rules(file: _File) -> dict[str, Any]:
    return _epoch(file) | {
        "name": file.name,
        "chain_id": file.chain_id,
        "contract": parse_address(file.contract),
        "bootstraps": file.bootstraps,
        "relays": file.relays,
        "publisher": None if file.publisher is None else parse_address(file.publisher),
        "version": file.version,
        "updates": file.updates,
        "past": [_epoch(before) for before in file.past],
        "chain": None if file.chain is None else _chain(file.chain),
    }


def _chain(table: _Chain) -> dict[str, Any]:
    for url in table.rpcs:
        if not _URL.match(url):  # it is not shown: it may hold a key
            raise RecordError("chain: an RPC is a URL, such as http://127.0.0.1:8545")
    return msgspec.structs.asdict(table) | {name: _contract(name, getattr(table, name)) for name in CONTRACTS}


def _contract(name: str, text: str) -> bytes:
    try:
        return parse_address(text)
    except RecordError as error:
        raise RecordError(f"chain: {name}: {error}") from error


def _epoch(rules: _Epoch) -> dict[str, Any]:
    return {
        "epoch": rules.epoch,
        "from_ms": rules.from_ms,
        "beacon": _beacon(rules.beacon),
        "committee_size": rules.committee_size,
        "quorum_numerator": rules.quorum[0],
        "quorum_denominator": rules.quorum[1],
        "sample_bps": _sample(rules.sample),
        "verifiers": [{"key": _key(v.peer), "weight": v.weight, "addresses": v.addresses} for v in rules.verifiers],
        "profiles": [{"name": name, "tolerance": profile.tolerance} for name, profile in rules.profiles.items()],
    }


def _sample(share: float) -> int:
    if not 0 <= share <= 1:  # NaN is refused too
        raise RecordError(f"sample {share!r} is not a probability, 0 to 1, such as 0.05")
    return round(share * 10_000)


def _beacon(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise RecordError(f"beacon {text!r} is not 0x and 64 hexadecimal digits") from error


def _key(peer_id: str) -> bytes:
    key = public_of(peer_id)
    address_of(key)  # an id can hold 33 bytes that are no key, and nobody could ever vote with it
    return key


def read_network_file(path: Path) -> str:
    """The file's text; CommandError when it is missing, or no text."""
    try:
        return path.read_text()
    except FileNotFoundError:
        raise CommandError(
            Exit.CONFIG, f"there is no network file {path}", "Ask for one, or: hallmark network new NAME"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            Exit.CONFIG, f"network file {path}: {error}", "Get the file again from whoever runs the network."
        ) from error


def load_network(path: Path) -> Network:
    """The network in the file `path`; CommandError when it is missing or wrong."""
    text = read_network_file(path)
    try:
        return parse_network(text)
    except RecordError as error:
        raise CommandError(
            Exit.CONFIG, f"network file {path}: {error}", "Get the file again from whoever runs the network."
        ) from error


def save_network(path: Path, network: Network) -> None:
    """Write the file as a whole or not at all; CommandError when it cannot be written."""
    try:
        replace_file(path, show_network(network).encode(), PUBLIC)
    except OSError as error:
        raise CommandError(
            Exit.STORAGE,
            f"the network file {path} cannot be written: {error.strerror}",
            "Make room, or choose another.",
        ) from error
