"""A sampled answer handed over, and then its check: a running node has it made, a short-lived one stays a little.

The check never delays the answer. A node puts it in a queue; a command says its answer first (event `answered`), and
only then, for a bounded time, waits for a verifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trio

from wire.audit import SHARES
from wire.canonical import encode
from wire.receiptfile import ReceiptFile
from wire.tensors import Tensor

from ..attempt import Answered
from ..bounds import STAY_SECONDS
from ..control import Emit
from ..peer import Peer
from .after import Given, Outcome, have_checked, is_to_be_checked, take_further


async def deliver(
    peer: Peer, inputs: Sequence[Tensor], answer: Answered, told: dict[str, Any], emit: Emit
) -> dict[str, Any]:
    """`told`, with what becomes of the check (`check`: `state` and `says`); in any other tier as it is.

    States: `not drawn`, `waiting` (this node has it made), `dropped` (too many wait), and of a command that stayed
    `agreed`, `refused`, or `unknown` where nobody could say in time.
    """
    if answer.file.certificate.sampled is None:
        return told
    share = f"{peer.network.sample_bps / SHARES:.2%}"
    told = told | {"proof": f"{answer.proof.removesuffix(' alone')}, and checked afterwards with probability {share}"}
    if not is_to_be_checked(peer, answer.file):
        _hand_over(peer, answer.file)
        return told | {"check": {"state": "not drawn", "says": f"the lot drew none; it does for {share} of answers"}}
    given = Given(answer.file, inputs, answer.outputs, answer.provider)
    if peer.hears:
        if peer.checks.add(given):
            return told | {"check": {"state": "waiting", "says": "drawn: this node has a verifier check it now"}}
        _hand_over(peer, answer.file)
        return told | {"check": {"state": "dropped", "says": "drawn, and not checked: too many wait"}}
    says = f"drawn: a verifier is asked, for {STAY_SECONDS:.0f} s at most (a running node would do it by itself)"
    emit({"event": "answered", "answer": told | {"check": {"state": "asked", "says": says}}})
    outcome = Outcome(answer.file, None, f"no verifier said in {STAY_SECONDS:.0f} s")
    with trio.move_on_after(STAY_SECONDS):
        outcome = await have_checked(peer, given)
        outcome = await take_further(peer, given, outcome)
    _hand_over(peer, outcome.file)
    state = {True: "agreed", False: "refused", None: "unknown"}[outcome.agreed]
    return told | {"receipt": encode(outcome.file), "check": {"state": state, "says": outcome.says}}


def _hand_over(peer: Peer, file: ReceiptFile) -> None:
    """A sampled answer's proof is its payer's to show: its provider does not have the secret."""
    if peer.handing:
        peer.handing.add(file)
