"""Contracts do the same, and cost the same, on the devnet's engine and on anvil. All their tests on anvil:

HALLMARK_EVM=anvil pytest tests/settle/contracts
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.settle import evm
from tests.settle.anvil import needs_anvil
from tests.settle.contracts.bonds import Bonds
from tests.settle.contracts.desk import DELAY, Desk, fields

pytestmark = needs_anvil
Told = list[Any]


def a_channels_life(told: Told) -> None:
    """Deposit, two claims, one of them signed, a settlement and a withdrawal."""
    desk = Desk()
    told += [desk.deposit(1_000), desk.claim(desk.entry(300)), desk.claim_signed(desk.entry(450))]
    told.append(desk.channels.send("settle", desk.receiver.address, desk.token.address, by=desk.stranger))
    told.append(desk.channels.send("initiateWithdraw", fields(desk.config), 550, by=desk.payer))
    desk.evm.forward(DELAY)
    told.append(desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer))
    told += [desk.state(), desk.has(desk.receiver.address), desk.has(desk.payer.address), desk.evm.now, desk.evm.block]
    with pytest.raises(evm.Reverted) as refused:
        desk.claim(desk.entry(451))
    told.append(str(refused.value))


def an_operators_bond(told: Told) -> None:
    """Registered, bonded, and what the registry says of its stake."""
    bonds = Bonds()
    node = bonds.joined(1)
    told += [node, bonds.stake(node, 1), bonds.total(1), bonds.evm.now, bonds.evm.block]
    told.append(bonds.bond(node, 10**21, by=bonds.owner(1)))


@pytest.mark.parametrize("story", [a_channels_life, an_operators_bond], ids=lambda story: story.__name__)
def test_both_engines_agree(story: Callable[[Told], None], monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Told] = {}
    for engine in ("devnet", "anvil"):
        monkeypatch.setattr(evm, "ENGINE", engine)
        story(told.setdefault(engine, []))
    assert told["devnet"] == told["anvil"]
    assert all(done.gas > 21_000 for done in told["devnet"] if isinstance(done, evm.Done))
