"""Amounts as people write them: exactly, and one rule for flags and settings."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.chain.amounts import read_amount, typed_amount
from node.cli.amount import AmountParam
from node.cli.money import money_lines
from node.demo.money import aligned


@given(st.integers(0, 2**128 - 1))
def test_what_is_shown_can_be_typed_back(units: int) -> None:
    assert read_amount(typed_amount(units)) == read_amount(f"{units}u") == units


@pytest.mark.parametrize("text", ["", "-1", "1,5", "1e3", ".5", "1.", "u", "0.1u", "1." + "0" * 19, f"{2**128}u"])
def test_what_is_no_amount(text: str) -> None:
    assert read_amount(text) is None
    with pytest.raises(click.BadParameter, match="An amount of tokens"):
        AmountParam().convert(text, None, None)


def test_a_deposit_is_more_than_nothing() -> None:
    with pytest.raises(click.BadParameter):
        AmountParam(least=1).convert("0", None, None)


def test_points_stand_under_each_other() -> None:
    assert list(aligned([10**18, 25 * 10**15, 0])) == ["1.000", "0.025", "0.000"]
    assert list(aligned([])) == []


def test_what_the_chain_does_not_say_is_left_out() -> None:
    found = {"account": "owner", "address": "0xAb", "unlocked": False, "unclaimed": 0, "problem": "no RPC answers"}
    told = dict(money_lines(found))
    assert told.keys() == {"account", "chain"}
    assert "no RPC answers" in told["chain"]
