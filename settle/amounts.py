"""Amounts as people read them: tokens with a decimal point. Inside, all are whole numbers of the smallest unit."""

from __future__ import annotations

DECIMALS = 18
UNIT = 10**DECIMALS


def show_amount(units: int) -> str:
    """Exactly, as it would be written: 1.5."""
    whole, part = divmod(abs(units), UNIT)
    places = str(part).rjust(DECIMALS, "0").rstrip("0")
    return f"{'-' if units < 0 else ''}{whole:,}{'.' if places else ''}{places}"
