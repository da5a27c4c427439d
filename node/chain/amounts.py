"""Amounts as people write them: tokens, such as 1.5, or exactly in the smallest unit, such as 7u.

One rule for all that a person types: flags, settings, the environment. On a network without a chain nothing is paid,
and prices are recorded by the same rule.
"""

from __future__ import annotations

import re

from settle.amounts import UNIT, show_amount

from ..errors import CommandError, Exit

__all__ = ["AMOUNT", "UNIT", "parse_amount", "read_amount", "show_amount", "typed_amount"]

AMOUNT = 'An amount of tokens: 12, or 0.5; or exactly, in the smallest unit (10^-18): "7u".'
_TOKENS = re.compile(r"([0-9]{1,21})(?:\.([0-9]{1,18}))?")
_UNITS = re.compile(r"([0-9]{1,39})u")


def read_amount(text: str) -> int | None:
    """The smallest units in "1.5" tokens or "7u", exactly; None for a text that is no amount below 2^128."""
    text = text.strip()
    if exact := _UNITS.fullmatch(text):
        units = int(exact[1])
    elif found := _TOKENS.fullmatch(text):
        units = int(found[1]) * UNIT + int((found[2] or "").ljust(18, "0"))
    else:
        return None
    return units if units < 1 << 128 else None


def parse_amount(text: str) -> int:
    """As `read_amount`, of more than nothing; CommandError for any other text."""
    if not (units := read_amount(text)):
        raise CommandError(Exit.USAGE, f"{text!r} is no amount", AMOUNT)
    return units


def typed_amount(units: int) -> str:
    """As it can be typed back: `show_amount` without commas."""
    return show_amount(units).replace(",", "")
