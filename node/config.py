"""Settings: flags over environment over config.toml over defaults, each remembered with where it came from.

Every key is checked when a command starts, so a mistake is a sentence at once and not a surprise in an hour.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
from multiaddr import Multiaddr

from engine import KINDS, Wanted
from settle.costs import NAMES as COSTS
from wire.manifest import Tag
from wire.payment import MAX_WITHDRAW_DELAY, MIN_WITHDRAW_DELAY
from wire.presence import Role
from wire.tier import TIERS

from .chain.amounts import AMOUNT, read_amount
from .datadir import DataDir
from .errors import CommandError, Exit

AMOUNTS = (  # of tokens; inside, whole numbers of the smallest unit
    "price", "price_per_1k", "risk_limit", "deposit", "max_per_request", "max_per_day", "max_per_provider",
)  # fmt: skip
RANGES = {
    "max_models": (1, 1024),
    "max_batch": (1, 1024),
    "memory": (2**28, 2**50),
    "model_memory": (2**26, 2**50),
    "card_memory": (0, 2**50),
    "threads": (1, 1024),
    "max_length": (1, 2**20),
    "quota": (0, 2**62),
    "upload_rate": (0, 2**62),
    "withdraw_delay": (MIN_WITHDRAW_DELAY, MAX_WITHDRAW_DELAY),
    "coin_price": (0, 2**64 - 1),
}
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}  # of a size given as a text
SIZES = ("quota", "upload_rate", "memory", "model_memory", "card_memory")
# Those this release runs. A relay says so by the protocol that it serves, and not in its presence.
ROLES: tuple[Role | Literal["relay"], ...] = ("hub", "provider", "verifier", "settler", "relay")
AttesterName = Literal["auto", "none", "dev"]
HubPolicy = Literal["everything", "publishers", "tags", "pinned"]
FraudPolicy = Literal["submit", "keep"]
Switch = Literal["auto", "off"]
Rendezvous = Literal["amino"]
CHOICES = {
    "hub_policy": get_args(HubPolicy), "backend": ("auto", *KINDS), "attester": get_args(AttesterName),
    "frauds": get_args(FraudPolicy), "port_mapping": get_args(Switch), "mdns": get_args(Switch),
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """What a node runs with. Field names are the keys of config.toml and, in capitals after HALLMARK_, of the
    environment; lists are comma-separated there, and prices by tier are `quorum=0.5,tee=0.2`.

    Amounts are whole numbers of the token's smallest unit here, and tokens (0.01) wherever a person writes them."""

    network: str = ""  # a name in <data-dir>/networks, or a path; "" where there is only one
    roles: tuple[str, ...] = ("hub",)
    listen: tuple[str, ...] = ()  # multiaddresses; none for all of this machine's, at one port: see `listening`
    bootstraps: tuple[str, ...] = ()
    announce: tuple[str, ...] = ()  # addresses that the operator vouches for, told to everybody without being checked
    relays: tuple[str, ...] = ()  # addresses of relays to be reached over, tried before others
    port_mapping: Switch = "auto"  # whether a router is asked to let others in (UPnP, NAT-PMP)
    mdns: Switch = "auto"  # whether peers in the same LAN are looked for
    rendezvous: tuple[str, ...] = ()  # public networks over which peers of this one are met: amino, that of IPFS
    price: int = 0  # per request
    tier_price: Mapping[str, int] = field(default_factory=dict)  # by tier, where it is not `price`
    price_per_1k: int = 0  # per 1,000 tokens that a generator answers with, beside `price`
    max_models: int = 8  # models held in memory at once
    memory: int = 8 * 2**30  # bytes that all of them may take, or a text such as "8 GiB"
    model_memory: int = 4 * 2**30  # bytes that one of them may take, its files counted
    card_memory: int = 0  # bytes of a card that all of them may take, each with its `model_memory`; 0 for 90% of it
    max_batch: int = 64  # rows of waiting requests that are executed together; 1: none are
    threads: int = 1  # of one execution
    backend: Wanted = "auto"  # what executes models; `auto` is the best that executes here
    attester: AttesterName = "auto"  # what attests a provider: the hardware, where there is any; `dev` proves nothing
    max_length: int = 512  # what TensorRT builds engines for, in dims that are not rows
    quota: int = 0  # bytes that the files of models may take on disk, or a text such as "20 GiB"; 0 for no bound
    upload_rate: int = 0  # bytes a second that go to those who fetch models, or such a text; 0 for no bound
    hub_policy: HubPolicy = "pinned"  # what a hub mirrors of its own accord; `pinned` is nothing
    hub_publishers: tuple[str, ...] = ()  # for the policy `publishers`: addresses or petnames
    hub_tags: tuple[str, ...] = ()  # for the policy `tags`
    account: str = "owner"  # whose tokens are spent and earned here: NAME of <data-dir>/accounts/NAME.json
    passphrase_file: str = ""  # what unlocks it, for a peer that starts without anybody at a terminal
    rpcs: tuple[str, ...] = ()  # the chain's RPCs that this peer asks, in place of the network file's

    deposit: int = 0  # what is paid into a channel that is new or used up, without being asked; 0: nothing
    max_per_request: int = 0  # the most that one answer may cost, whatever --max-price says; 0: no such limit
    max_per_day: int = 0  # the most to spend in a day (UTC); 0: no such limit
    max_per_provider: int = 0  # the most to spend in a day on one provider; 0: no such limit
    risk_limit: int = 10**18  # what a provider leaves unclaimed at most, and answers while the chain can't be seen
    withdraw_delay: int = 24 * 3600  # seconds that a provider wants to have for its claim when a payer withdraws
    coin_price: int = 1  # tokens that one of the chain's coins is worth, for weighing gas against a claim
    costs: Mapping[str, float] = field(default_factory=dict)  # of running this node: see `settle.costs.NAMES`
    frauds: FraudPolicy = "submit"  # what becomes of a fraud that this peer meets, where its account is unlocked
    voucher_backup: str = ""  # a file, on another disk best, to which a provider's vouchers are written too


@dataclass(frozen=True)
class Origins:
    """A `Config` with the place each value came from, for `hallmark config show`."""

    config: Config
    origin: Mapping[str, str]


def load_config(directory: DataDir, flags: Mapping[str, Any]) -> Origins:
    """Join all sources. `flags` holds only what was given on the command line."""
    values: dict[str, Any] = {}
    origin = {f.name: "default" for f in fields(Config)}
    sources = [
        (str(directory.config), _from_file(directory.config)),
        ("environment", {k: v for f in fields(Config) if (v := os.environ.get(f"HALLMARK_{(k := f.name).upper()}"))}),
        ("flag", {k: v for k, v in flags.items() if v not in (None, ())}),
    ]
    for place, given in sources:
        for name, value in given.items():
            if name not in origin:
                known = ", ".join(origin)
                raise CommandError(Exit.CONFIG, f"{place}: unknown setting {name!r}", f"Known settings: {known}.")
            values[name] = _typed(name, value, place)
            origin[name] = place
    return Origins(Config(**values), origin)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(), parse_float=Decimal)  # an amount such as 0.1, exactly
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise CommandError(Exit.CONFIG, f"{path}: {error}", "Mend that line, or remove the file.") from error


def _typed(name: str, value: Any, place: str) -> Any:
    default = getattr(Config(), name)
    if name == "costs":
        return _costs(value, place)
    if isinstance(default, Mapping):
        return _prices(name, value, place)
    if name in AMOUNTS:
        return _amount(name, value, place)
    if name in SIZES and isinstance(value, str):
        value = _bytes(value)
    if isinstance(default, int):
        return _number(name, value, place)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise CommandError(Exit.CONFIG, f"{place}: {name} is {value!r}", f"{name} is a text.")
        if value not in CHOICES.get(name, (value,)):
            raise CommandError(Exit.CONFIG, f"{place}: {name} is {value!r}", f"Choose {', '.join(CHOICES[name])}.")
        return value
    items = tuple(i.strip() for i in value.split(",") if i.strip()) if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(i, str) for i in items):
        raise CommandError(Exit.CONFIG, f"{place}: {name} is {value!r}", f"{name} is a list of texts.")
    for item in items:
        _check_item(name, item, place)
    return tuple(dict.fromkeys(items))


def _amount(name: str, value: Any, place: str, of: str = "") -> int:
    if isinstance(value, Decimal) and value.is_finite():
        value = format(value, "f")
    units = None if isinstance(value, bool) else read_amount(str(value))
    if units is None:
        raise CommandError(Exit.CONFIG, f"{place}: {name}{of} is {value!r}", AMOUNT)
    return units


def _number(name: str, value: Any, place: str) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    least, most = RANGES[name]
    if not least <= number <= most or isinstance(value, bool | float | Decimal):
        sizes = ', or a size such as "20 GiB"' if name in SIZES else ""
        wanted = f"{name} is a whole number, {least} to {most}{sizes}."
        raise CommandError(Exit.CONFIG, f"{place}: {name} is {value!r}", wanted)
    return number


def _prices(name: str, value: Any, place: str) -> dict[str, int]:
    """Prices by tier: a table of the file's, or texts such as "quorum=0.5"."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list | tuple):
        parts = [str(text).partition("=") for text in value]
        value = {tier.strip(): price for tier, _, price in parts}
    if not isinstance(value, dict):
        example = "[tier_price] has a line for each tier that has a price of its own, such as quorum = 0.5."
        raise CommandError(Exit.CONFIG, f"{place}: {name} is {value!r}", example)
    for tier in value:
        if tier not in TIERS:
            known = f"Tiers: {', '.join(TIERS)}. A tier's price, as a flag: quorum=0.5."
            raise CommandError(Exit.CONFIG, f"{place}: {name}: there is no tier {tier!r}", known)
    return {tier: _amount("price", price, place, f" of tier {tier}") for tier, price in value.items()}


def _costs(value: Any, place: str) -> dict[str, float]:
    """A table of numbers, or texts such as "rent=30"."""
    if isinstance(value, str):
        parts = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        value = {name.strip(): number for name, _, number in parts}
    known = f"[costs] has {', '.join(COSTS)}; each is a number, 0 or more."
    if not isinstance(value, dict):
        raise CommandError(Exit.CONFIG, f"{place}: costs is {value!r}", known)
    costs = {}
    for name, number in value.items():
        if name not in COSTS:
            raise CommandError(Exit.CONFIG, f"{place}: costs: there is no {name!r}", known)
        try:
            costs[name] = float(number)
        except (TypeError, ValueError):
            costs[name] = -1.0
        if not 0 <= costs[name] <= 1e12 or isinstance(number, bool):
            raise CommandError(Exit.CONFIG, f"{place}: {name} of costs is {number!r}", known)
    return costs


def _bytes(text: str) -> int | str:
    """The bytes in a size such as "20 GiB"; the text itself when it is none."""
    number, unit = text.strip()[:-3].strip(), text.strip()[-3:]
    return int(number) * UNITS[unit] if unit in UNITS and number.isdecimal() else text


def _check_item(name: str, item: str, place: str) -> None:
    if name == "roles" and item not in ROLES:
        later = " in this release" if item in get_args(Role) else ""
        raise CommandError(Exit.CONFIG, f"{place}: there is no role {item!r}{later}", f"Roles: {', '.join(ROLES)}.")
    if name == "hub_tags":
        try:
            msgspec.convert(item, Tag)
        except msgspec.ValidationError:
            rule = "Tags have lower-case letters, digits, dots and dashes, at most 32 of them."
            raise CommandError(Exit.CONFIG, f"{place}: {item!r} is no tag", rule) from None
    if name == "rpcs" and not item.startswith(("http://", "https://")):  # not shown: a URL may hold a key
        raise CommandError(Exit.CONFIG, f"{place}: an entry of rpcs is no URL", "A URL: http://127.0.0.1:8545")
    if name == "rendezvous" and item not in get_args(Rendezvous):
        known = f"Known: {', '.join(get_args(Rendezvous))}."
        raise CommandError(Exit.CONFIG, f"{place}: there is no rendezvous {item!r}", known)
    if name in ("listen", "announce", "bootstraps", "relays"):
        try:
            if not item:
                raise ValueError("it is empty")
            address = Multiaddr(item)
            complete = "/p2p/" in str(address) or "/dnsaddr/" in str(address) or name in ("listen", "announce")
        except Exception as error:  # multiaddr raises many kinds for text that is no address
            raise CommandError(
                Exit.CONFIG, f"{place}: {item!r} is not an address ({error})", "An address: /ip4/203.0.113.7/tcp/4001"
            ) from error
        if not complete:
            raise CommandError(
                Exit.CONFIG,
                f"{place}: the address {item} in {name} lacks the peer's id",
                "Copy the whole join address: …/tcp/4001/p2p/16Uiu2…",
            )
