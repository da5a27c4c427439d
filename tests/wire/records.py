"""Every record type of `wire`, and a Hypothesis strategy for each, read off its fields and their bounds."""

from __future__ import annotations

import importlib
import pkgutil
from enum import Enum
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as types

import wire
from wire.canonical import Amount, Record

MODULES = [importlib.import_module(f"wire.{module.name}") for module in pkgutil.iter_modules(wire.__path__)]
RECORDS: list[type[Record]] = sorted(
    {
        kind
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Record) and kind is not Record
    },
    key=lambda kind: kind.__name__,
)
NOT_ON_THE_WIRE = {
    "ChainSpec",
    "Network",
    "Profile",
    "Registry",
    "Verifier",
    "Signed",
    "SignedNetwork",
    "Payable",
    "Deposit",
    "PayeeBook",
    "PayerBook",
    "Word",
}  # the network file and its content; what others share; what a settler and the sides of a channel keep
WIRE_RECORDS = [kind for kind in RECORDS if kind.__name__ not in NOT_ON_THE_WIRE]

MANY = 3  # elements tried of any array
LONG = 40  # characters or bytes tried beyond the fewest


@cache  # to build one costs more than to draw from it
def of(kind: type[Record]) -> st.SearchStrategy[Any]:
    """Records of `kind`, whose fields range over all that their bounds allow (lengths excepted)."""
    return _strategy(types.type_info(kind))


def _strategy(info: types.Type) -> st.SearchStrategy[Any]:
    match info:
        case types.StructType():
            return st.builds(info.cls, **{field.name: _strategy(field.type) for field in info.fields})
        case types.CustomType(cls=cls) if cls is Amount:
            return st.integers(0, 2**128 - 1).map(Amount)
        case types.UnionType(types=several):
            return st.one_of([_strategy(one) for one in several])
        case types.VarTupleType(item_type=item):
            fewest, most = info.min_length or 0, info.max_length if info.max_length is not None else MANY
            return st.lists(_strategy(item), min_size=fewest, max_size=max(fewest, min(most, MANY))).map(tuple)
        case types.LiteralType(values=values):
            return st.sampled_from(values)
        case types.EnumType(cls=enum):
            return st.sampled_from(list[Enum](enum))
        case types.IntType():
            return st.integers(info.ge, info.le)
        case types.FloatType():
            return st.floats(info.ge, info.le)
        case types.BytesType():
            return st.binary(min_size=info.min_length or 0, max_size=_most(info))
        case types.StrType(pattern=str(pattern)):
            fewest, most = info.min_length or 0, info.max_length or 2**20
            return st.from_regex(pattern).filter(lambda text: fewest <= len(text) <= most)
        case types.StrType():
            return st.text(min_size=info.min_length or 0, max_size=_most(info))
        case types.BoolType():
            return st.booleans()
        case types.NoneType():
            return st.none()
    raise NotImplementedError(f"no strategy for {info}: add one, so that every record is tried")


def _most(info: types.BytesType | types.StrType) -> int:
    fewest = info.min_length or 0
    return min(info.max_length if info.max_length is not None else fewest + LONG, fewest + LONG)


def leaves(info: types.Type) -> list[types.Type]:
    """Every type that stands somewhere inside `info`."""
    match info:
        case types.StructType():
            inside = [field.type for field in info.fields]
        case types.UnionType(types=several):
            inside = list(several)
        case types.VarTupleType(item_type=item):
            inside = [item]
        case _:
            return [info]
    return [info, *(leaf for one in inside for leaf in leaves(one))]


def field_types(kind: type[msgspec.Struct]) -> list[types.Type]:
    """Every type inside `kind`."""
    return leaves(types.type_info(kind))
