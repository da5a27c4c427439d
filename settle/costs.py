"""What it costs to run a node, and from which use or price on it pays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HOURS_A_MONTH = 8766 / 12  # of a year of 365.25 days
HOURS_A_YEAR = 8766
UNIT = 10**18  # of a token

NAMES = {  # of a node's costs, amounts in tokens
    "power_watts": "watts that the machine takes",
    "power_price": "tokens a kWh",
    "rent": "tokens a month",
    "storage": "tokens a month",
    "bandwidth": "tokens a month",
    "hardware": "tokens a month, what it loses in worth",
    "capital": "percent a year that the bond could earn elsewhere",
    "capacity": "answers an hour that it could give",
}


def hourly(costs: Mapping[str, float], bond: int) -> float:
    """H: what one hour costs, in the token's smallest unit; `bond` is what the owner has at stake, in the same."""
    monthly = sum(costs.get(name, 0.0) for name in ("rent", "storage", "bandwidth", "hardware")) * UNIT
    power = costs.get("power_watts", 0.0) / 1000 * costs.get("power_price", 0.0) * UNIT
    return power + monthly / HOURS_A_MONTH + bond * costs.get("capital", 0.0) / 100 / HOURS_A_YEAR


@dataclass(frozen=True)
class BreakEven:
    """From where on the node pays. `answers`: an hour, at its price. `utilisation`: that as a part of its capacity;
    above 1 the price is too low however busy it is. `price`: what an answer has to cost when it is always busy, in the
    token's smallest unit. None where capacity or price is not known."""

    answers: float | None
    utilisation: float | None
    price: float | None


def break_even(hour: float, capacity: float, price: float, take: float) -> BreakEven:
    """u* = H / (capacity · price · (1 - take)), and the price at which it is 1; `take` is the others' part, 0 to 1."""
    kept = 1 - take
    answers = hour / (price * kept) if price > 0 and kept > 0 else None
    return BreakEven(
        answers=answers,
        utilisation=answers / capacity if answers is not None and capacity > 0 else None,
        price=hour / (capacity * kept) if capacity > 0 and kept > 0 else None,
    )
