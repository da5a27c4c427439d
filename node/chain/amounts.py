"""Amounts as people write them: tokens with a decimal point. Inside, all are whole numbers of the smallest unit."""

from __future__ import annotations

import re

from ..errors import CommandError, Exit

DECIMALS = 18
UNIT = 10**DECIMALS
_AMOUNT = re.compile(r"([0-9]{1,21})(?:\.([0-9]{1,18}))?")


def parse_amount(text: str) -> int:
    """The smallest units in "1.5" tokens, exactly. CommandError for a text that is no amount, or is nothing."""
    found = _AMOUNT.fullmatch(text.strip())
    units = int(found[1]) * UNIT + int((found[2] or "").ljust(DECIMALS, "0")) if found else 0
    if not 0 < units < 1 << 128:
        raise CommandError(
            Exit.USAGE, f"{text!r} is no amount", f"An amount of tokens: 12, or 0.5; at most {DECIMALS} places."
        )
    return units


def show_amount(units: int) -> str:
    """Exactly, as it would be written: 1.5."""
    whole, part = divmod(abs(units), UNIT)
    places = str(part).rjust(DECIMALS, "0").rstrip("0")
    return f"{'-' if units < 0 else ''}{whole:,}{'.' if places else ''}{places}"
