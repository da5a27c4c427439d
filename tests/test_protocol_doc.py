"""docs/protocol.md says what the code does: its schemas are the records', its tables are counted.

A fenced block ```schema holds the records' fields. tests/test_protocol_examples.py has the examples.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import get_args

import msgspec
from msgspec import inspect as types

from tests.protocol import BLOCKS, NETWORK, STRUCTS, TEXT
from tests.wire.records import WIRE_RECORDS
from wire import bounds
from wire.attestation import TeeKind
from wire.canonical import Record
from wire.certificate import AggregateForm, Certificate
from wire.circuit import Visibility
from wire.eip712 import DOMAIN_FIELDS
from wire.errors import ErrorCode
from wire.generation import Interface
from wire.presence import Role
from wire.tensors import DataType
from wire.tier import TIER_CODE, TIERS, Tier, rungs_of

# Shapes of fields that have a name of their own in the document.
NAMED: dict[tuple[int, int], str] = {
    (0, 2**8 - 1): "u8", (0, 2**32 - 1): "u32", (0, 2**63 - 1): "u63", (0, 2**53): "time", (0, 2**40): "dim",
}  # fmt: skip

LITERALS: dict[frozenset[object], str] = {
    frozenset(get_args(kind)): name
    for name, kind in (
        ("tier", Tier),
        ("datatype", DataType),
        ("role", Role),
        ("interface", Interface),
        ("teekind", TeeKind),
        ("visibility", Visibility),
        ("aggregateform", AggregateForm),
    )
}

# The patterns that keep text off a terminal's controls; every text of the document's `name` and `line` has one.
PRINTED = {bounds._ONE_LINE, bounds._LINES}


def shape(info: types.Type) -> str:
    """A field's type and bounds as the document writes them."""
    match info:
        case types.StructType(cls=cls):
            return cls.__name__
        case types.CustomType():
            return "amount"
        case types.UnionType(types=several):
            return " | ".join(map(shape, several))
        case types.VarTupleType(item_type=item):
            return f"[{shape(item)}]" + span(info.min_length, info.max_length)
        case types.LiteralType(values=values):
            return LITERALS[frozenset(values)]
        case types.EnumType(cls=cls):
            return cls.__name__.lower()
        case types.IntType(ge=low, le=high):
            return NAMED.get((int(low or 0), int(high or 0)), f"int({low}..{high})")
        case types.BytesType(min_length=low, max_length=high):
            return f"bytes{low}" if low is not None and low == high else "bytes" + span(low, high)
        case types.StrType(min_length=low, max_length=high, pattern=str(pattern)) if pattern in PRINTED:
            known = {(1, 64): "name", (1, 256): "longname", (0, 256): "line", (0, 4096): "paragraph"}
            return known[(low or 0, high or 0)]
        case types.StrType(pattern=str(pattern), max_length=high):
            return f"text /{pattern.strip('^').removesuffix(chr(92) + 'Z')}/" + (span(None, high) if high else "")
        case types.StrType(min_length=low, max_length=high):
            return "text" + span(low, high)
        case types.BoolType():
            return "bool"
        case types.NoneType():
            return "nil"
    raise NotImplementedError(f"the document has no word for {info}")


def span(low: int | None, high: int | None) -> str:
    return "" if high is None else f"({low or 0}..{high})"


def schema(kind: type[Record]) -> str:
    """A record's fields in their order, as a line of the document's schema blocks."""
    info = types.type_info(kind)
    assert isinstance(info, types.StructType)
    tag = [f'type: "{info.tag}"'] if info.tag else []
    return f"{kind.__name__} {{ {', '.join(tag + [f'{f.name}: {shape(f.type)}' for f in info.fields])} }}"


def test_every_record_stands_in_the_schema_and_no_other() -> None:
    text = " ".join(" ".join(body.split()) for kind, _, body in BLOCKS if kind == "schema")
    shown = re.findall(r"\w+ \{.*?(?<!\d)\}(?= [A-Z]|$)", text)
    named = {line.split()[0]: line for line in shown}
    assert named == {kind.__name__: schema(kind) for kind in WIRE_RECORDS if kind.__name__ != "Domain"}


def test_every_struct_type_is_shown_as_it_is_hashed() -> None:
    domain = f"EIP712Domain({','.join(f'{kind} {name}' for kind, name in DOMAIN_FIELDS)})"
    assert set(re.findall(r"^[A-Z]\w+\([a-z].*\)$", TEXT, re.MULTILINE)) == {
        domain,
        *(s.text for s in STRUCTS.values()),
    }


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, its two top lines left out; backticks removed."""
    section = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line.strip("|").replace("`", "").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in table[2:]]


def test_every_error_code_is_explained() -> None:
    assert [row[0] for row in rows("Error codes")] == [code.value for code in ErrorCode]
    assert all(len(row) == 3 and all(row) for row in rows("Error codes"))


def test_every_tier_is_explained() -> None:
    """Its number and its parts of a certificate: of each rung the field of that name."""
    fields = {field.name for field in msgspec.structs.fields(Certificate)}
    shown = {row[0]: (int(row[1]), {part for part in fields - {"tier"} if part in row[2]}) for row in rows("Tiers")}
    assert shown == {tier: (TIER_CODE[tier], set(rungs_of(tier)) & fields) for tier in TIERS}


def test_every_bound_is_the_codes() -> None:
    shown, found = dict[str, float](), dict[str, float]()
    for where, values, _ in rows("Bounds"):
        module, names = where.rsplit(".", 1)
        for name, value in zip(names.split(" · "), values.split(" · "), strict=True):
            shown[f"{module}.{name}"] = float(value.replace(",", ""))
            found[f"{module}.{name}"] = getattr(import_module(module), name)
    assert found == shown
    numbers = {f"wire.bounds.{n}" for n, v in vars(bounds).items() if n.isupper() and isinstance(v, int)}
    assert numbers - set(shown) == {"wire.bounds.KIB", "wire.bounds.MIB"}


def test_the_network_is_named_in_every_protocol() -> None:
    assert NETWORK.protocol("<name>") in TEXT.replace("<network>", NETWORK.name)


def test_the_page_on_attacks_names_only_tests_and_files_that_exist() -> None:
    root = Path(__file__).parents[1]
    text = (root / "docs" / "attacks.md").read_text()
    written = "".join(path.read_text() for path in (root / "tests").rglob("test_*.py"))
    there = set(re.findall(r"def (test_\w+)\(", written))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named
    assert named - there == set()
    assert [path for path in re.findall(r"`(\w+/[\w/.]+)`", text) if not (root / path).exists()] == []
