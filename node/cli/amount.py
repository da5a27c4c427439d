"""How amounts are said on the command line: tokens, such as 0.01, or exactly, in the smallest unit, such as 7u."""

from __future__ import annotations

from typing import Any

import click

from ..chain.amounts import AMOUNT, read_amount


class AmountParam(click.ParamType[int]):
    """An option's amount, as a whole number of the smallest unit."""

    name = "amount"

    def __init__(self, *, least: int = 0) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):  # a default
            return value
        units = read_amount(str(value))
        if units is None or units < self._least:
            self.fail(f"{value!r} is no amount. {AMOUNT}", param, ctx)
        return units
