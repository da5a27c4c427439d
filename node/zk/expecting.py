"""What a proof will cost, before anybody commits to it, and how far it is: said to who asks.

How far a proof is nobody can see: EZKL does not say. What is told is the time it has taken, beside the time that the
provider's proofs took lately, and that it is over when it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from engine.zk.running import installed
from verify.policy import Policy
from verify.tiers.zk import check_srs
from verify.zk import srs
from wire.circuit import Circuit
from wire.errors import RemoteError
from wire.manifest import Manifest
from wire.offer import Terms

from ..bounds import PROVING_TOLD_EVERY
from ..control import Emit
from ..errors import CommandError, Exit
from ..peer import Peer
from ..tiers.rung import NotProved
from .knowing import Known, known, learn

T = TypeVar("T")


async def expect(peer: Peer, model: bytes, manifest: Manifest, policy: Policy, emit: Emit) -> None:
    """Say what the model's circuit promises. CommandError when no proof of it could be believed, or checked, here."""
    if not installed():
        raise CommandError(Exit.CONFIG, "tier zk needs EZKL to check proofs", "Install it: pip install 'hallmark[zk]'")
    circuits = known(peer, model, manifest)
    good = _first_good(circuits, policy)
    if good is None:  # its publisher may have registered another since
        circuits = await learn(peer, model, manifest)
        good = _first_good(circuits, policy)
    if not circuits:
        raise CommandError(
            Exit.NOT_FOUND, "no circuit of this model is known", "Its publisher registers one: hallmark zk setup MODEL"
        )
    if good is None:
        detail = check_srs(circuits[0][1], policy.zk).detail
        raise CommandError(
            Exit.NOT_PROVED, detail, "To allow it, write dev_srs = true under [zk] in a policy file: --policy FILE"
        )
    kib, seconds, apart = good.proof_bytes / 1024, good.prove_us / 1e6, good.tolerance_ppb / 1e9
    text = (
        f"its circuit: proofs of {kib:.1f} KiB, {seconds:.1f} s each for its publisher; outputs within {apart:.1e} of "
        f"the model's own; SRS {srs.origin(good.verifier_srs)}"
    )
    emit(
        {"event": "circuit", "proof_bytes": good.proof_bytes, "prove_us": good.prove_us, "tolerance": apart,
         "inputs": {spec.name: list(spec.shape) for spec in good.inputs}, "text": text}
    )  # fmt: skip


def _first_good(circuits: list[Known], policy: Policy) -> Circuit | None:
    return next((circuit for _, circuit in circuits if check_srs(circuit, policy.zk).ok), None)


async def told(work: Callable[[], Awaitable[T]], name: str, terms: Terms, emit: Emit) -> T:
    """What `work` gives, an answer with a proof, while its asker is told how it goes. NotProved, RemoteError."""
    expected = terms.added_us / 1e6
    says = f"about {expected:.1f} s and {terms.added_bytes / 1024:.1f} KiB" if terms.added_us else "no figure yet"
    size = {"added_us": terms.added_us, "added_bytes": terms.added_bytes, "price": int(terms.price)}
    emit({"event": "expecting", "peer": name, **size, "text": f"asking {name} for a proof: {says}, by its offer"})
    found: list[T] = []
    failure: NotProved | RemoteError | None = None

    async def tell() -> None:
        began = trio.current_time()
        while True:
            await trio.sleep(PROVING_TOLD_EVERY)
            took = trio.current_time() - began
            of = f" of about {expected:.0f} s" if took < expected else ", longer than expected" if expected else ""
            emit({"event": "proving", "peer": name, "seconds": round(took, 1), "text": f"proving: {took:.0f} s{of}"})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell)
        try:
            found.append(await work())
        except (NotProved, RemoteError) as error:  # carried around the nursery, which would wrap it into a group
            failure = error
        nursery.cancel_scope.cancel()
    if failure:
        raise failure
    return found[0]
