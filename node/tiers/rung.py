"""What a rung of the ladder is to a node: at the provider a `Giver`, for who asks a function that gets the evidence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from engine import Execution
from verify import Check
from wire.attestation import TeeEvidence
from wire.audit import SampledEvidence
from wire.certificate import Certificate, QuorumEvidence
from wire.circuit import ZkEvidence
from wire.inference import SignedReceipt, SignedRequest
from wire.manifest import Manifest
from wire.tensors import Tensor
from wire.tier import Tier
from wire.vote import Ballot

from ..peer import Peer
from ..ready import ReadyModel

Part = QuorumEvidence | SampledEvidence | TeeEvidence | ZkEvidence


class NotProved(Exception):
    """This provider's answer does not hold; the text says what does not.

    `dishonest` is False where the committee computed the very same outputs and refused them (they are not finite, say):
    then the model or the input is to blame, and the provider did what it was asked.
    """

    def __init__(self, why: str, *, dishonest: bool = True) -> None:
        super().__init__(why)
        self.dishonest = dishonest


class NotWanted(NotProved):
    """Nothing in the answer is wrong, and the policy of who asked wants more. The provider is not to blame."""

    def __init__(self, why: str) -> None:
        super().__init__(why, dishonest=False)


def hold(checks: Sequence[Check], *, dishonest: bool = True) -> None:
    """NotProved at the first check that does not hold; NotWanted where only rules of the asker's policy do not."""
    failed = sorted((check for check in checks if not check.ok), key=lambda check: check.of_policy)
    if failed:
        why = f"{failed[0].name}: {failed[0].detail}"
        raise NotWanted(why) if failed[0].of_policy else NotProved(why, dishonest=dishonest)


@dataclass(frozen=True)
class Job:
    """One request under way at its provider."""

    peer: Peer
    request: SignedRequest
    inputs: Sequence[Tensor]
    ready: ReadyModel

    @property
    def tier(self) -> Tier:
        return self.request.request.tier


@dataclass(frozen=True)
class Evidence:
    """What a rung has to show for an answer; without a `part` there is none, and `reason` says why."""

    part: Part | None
    ballots: tuple[Ballot, ...] = ()
    reason: str = ""


class Giver:
    """A rung's work on one request at the provider. A rung that only adds evidence changes nothing else.

    `proved_us`: microseconds of proving that stand in front of the answer, where the evidence comes with its outputs.
    """

    proved_us = 0

    async def execute(self, execute: Callable[[], Awaitable[Execution]]) -> Execution:
        """The outputs that are answered with: those of the model, unless the evidence comes with its own."""
        return await execute()

    def answer(self, receipt: SignedReceipt, outputs: Sequence[Tensor]) -> None:
        """The answer is signed, and about to be sent."""

    async def evidence(self) -> Evidence:
        """The evidence, waited for. RemoteError when the client should be told another thing than the answer."""
        raise NotImplementedError


@dataclass(frozen=True)
class Wanted:
    """An answer that still lacks its evidence, at who asked. `certificate` and `ballots` are what the provider sent.

    `deadline` is trio's clock. `secret` decides over sampling, where the tier has it.
    """

    peer: Peer
    manifest: Manifest
    request: SignedRequest
    secret: bytes
    inputs: Sequence[Tensor]
    receipt: SignedReceipt
    outputs: Sequence[Tensor]
    certificate: Certificate
    ballots: tuple[Ballot, ...]
    reason: str
    deadline: float
