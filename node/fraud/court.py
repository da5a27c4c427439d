"""Frauds before the Evidence contract: shown, executed, contested. The reporter's part of what is slashed pays for it.

A node whose account is unlocked does it by itself: what it kept it shows, what it accused somebody of it executes when
nobody contested, and where it is accused itself it says so loudly and contests: then only the settlers' ruling counts.
It contests for others, too, where the committee that accuses them was not drawn.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from settle.abi import Event
from settle.chain import Chain, ChainError, Done, Refused, Sender
from settle.evidence import Seats, call_of, read_accusation, read_standing
from settle.history import block_at
from storage import StoreError
from verify.committee import committee_for
from verify.fraud import holds
from wire.canonical import decode
from wire.errors import RecordError
from wire.fraud import MAX_FRAUD_FILE, Fraud, FraudFile, FraudKind, WrongAnswer, culprit_of, fraud_digest
from wire.keys import show_address
from wire.network import Network

from ..bounds import COURT_SECONDS, MAX_SUBMITTED
from ..chain.opening import Purse, the_chain, the_sender
from .redrawing import draw_fault

log = logging.getLogger("hallmark.fraud")


class NothingToSettle(Exception):
    """`str()` says why the chain would not act on this fraud."""


def seats_of(fraud: Fraud, network: Network) -> Seats | None:
    """The committee that judged a wrong answer, drawn anew; None for what needs none."""
    if not isinstance(fraud, WrongAnswer):
        return None
    committee = committee_for(network, fraud.request.request)
    return Seats(committee.epoch, len(committee.members), tuple(place.key for place in committee.places))


async def submit(purse: Purse, fraud: Fraud) -> Done:
    """Show a fraud to the contract: who did it is slashed at once, or accused. NothingToSettle or ChainError if not."""
    chain, sender, network = the_chain(purse), the_sender(purse), purse.local.network
    if not holds(fraud, network):
        raise NothingToSettle("it does not hold under this network file")
    digest, culprit = fraud_digest(fraud, network.domain), culprit_of(fraud)
    try:
        function, args = call_of(fraud, seats_of(fraud, network))
    except RecordError as error:
        raise NothingToSettle(str(error)) from error
    if (await read_standing(chain, digest)).known:
        raise NothingToSettle("the chain knows it already")
    pool = await chain.call(chain.domain.contract, "Registry", "poolOf", culprit)
    if not pool["assets"]:
        raise NothingToSettle(f"nothing stands behind {show_address(culprit)} on the chain that could be slashed")
    return await sender.send(f"fraud {digest.hex()}", chain.spec.evidence, "Evidence", function, *args)


async def execute(purse: Purse, digest: bytes) -> Done:
    """Have somebody slashed for an accusation that nobody contested in its time."""
    chain = the_chain(purse)
    return await the_sender(purse).send(
        f"execute {digest.hex()}", chain.spec.evidence, "Evidence", "execute", digest
    )  # fmt: skip


async def contest(purse: Purse, digest: bytes) -> Done:
    """Contest an accusation in this node's name: it holds only with the settlers' ruling then."""
    chain, node = the_chain(purse), purse.local.key.address
    return await the_sender(purse).send(
        f"contest {digest.hex()}", chain.spec.evidence, "Evidence", "contest", digest, node
    )


@dataclass
class Court:
    """What a node does by itself, look by look."""

    purse: Purse
    _done: set[bytes] = field(default_factory=set)  # frauds that nothing more can be done about
    _told: set[bytes] = field(default_factory=set)  # accusations of this node that were told
    _looked: int | None = None  # the last block whose accusations were looked at

    async def run(self) -> None:
        """Look again and again, and whenever a fraud is kept; until cancelled."""
        while True:
            seen = self.purse.local.frauds_changed.count
            try:
                await self.look()
            except (ChainError, StoreError) as error:
                log.info("frauds wait for the chain: %s", error)
            await self.purse.local.frauds_changed.wait(COURT_SECONDS, since=seen)

    async def look(self) -> None:
        """One look: at accusations of this node, and at the frauds that are kept here."""
        await self._defend()
        if self.purse.sender is None or self.purse.local.config.frauds == "keep":
            return
        store = self.purse.local.store
        for kept in store.frauds.all():
            if kept.kind == FraudKind.LAZY_VOTES or kept.digest in self._done:
                continue
            data = await store.in_thread(store.frauds.get, kept.digest)
            try:
                fraud = None if data is None else decode(data, FraudFile, limit=MAX_FRAUD_FILE).fraud
            except RecordError:
                fraud = None
            await self._bring(kept.digest, fraud)

    async def _bring(self, digest: bytes, fraud: Fraud | None) -> None:
        chain, sender = the_chain(self.purse), the_sender(self.purse)
        standing = await read_standing(chain, digest)
        try:
            if not standing.known and fraud is not None:
                done = await submit(self.purse, fraud)
                log.warning("fraud %s is on the chain, block %d", digest.hex()[:16], done.block)
            elif await _can_execute(chain, sender, standing.accusation):
                done = await execute(self.purse, digest)
                log.warning("fraud %s: nobody contested it, who did it is slashed", digest.hex()[:16])
            elif standing.accusation is None or standing.is_closed or standing.is_contested:
                self._forget(digest)
        except (NothingToSettle, Refused) as error:
            log.warning("fraud %s stays off the chain: %s", digest.hex()[:16], error)
            self._forget(digest)

    def _forget(self, digest: bytes) -> None:
        if len(self._done) >= MAX_SUBMITTED:
            self._done.clear()  # they are looked at once more
        self._done.add(digest)

    async def _defend(self) -> None:
        chain, node = the_chain(self.purse), self.purse.local.key.address
        head = await chain.head()
        if self._looked is None:  # what is older can be contested no more
            rules = await chain.call(chain.spec.evidence, "Evidence", "rules")
            since = await block_at(chain, head, head.timestamp - int(rules["contestSeconds"]))
        else:
            since = self._looked + 1
        if since > head.number:
            return
        for event in await chain.logs(chain.spec.evidence, "Evidence", ["Accused"], since, head.number):
            if event.values["culprit"] == node:
                self._tell_accused(event.values["fraud"])
            elif (wrong := await self._wrong_with(event)) is None:
                continue
            else:
                log.warning("accusation %s does not hold: %s", event.values["fraud"].hex()[:16], wrong)
            await self._object(event.values["fraud"], int(event.values["until"]))
        self._looked = head.number

    async def _wrong_with(self, event: Event) -> str | None:
        """What is wrong with an accusation of somebody else; None too where this node may not object to it."""
        chain, node, sender = the_chain(self.purse), self.purse.local.key.address, self.purse.sender
        owner = await chain.call(chain.domain.contract, "Registry", "ownerOf", node)
        if sender is None or sender.address != owner:
            return None
        made = await read_accusation(chain, event)
        if made is None:
            return "what stands behind it cannot be seen"
        return draw_fault(self.purse.local.network, *made)

    def _tell_accused(self, digest: bytes) -> None:
        if digest in self._told:
            return
        self._told.add(digest)
        log.error(
            "THIS NODE IS ACCUSED of a wrong answer (fraud %s). Unless that is contested, it is slashed. See: hallmark "
            "fraud contest --help", digest.hex(),
        )  # fmt: skip

    async def _object(self, digest: bytes, until: int) -> None:
        """Contest an accusation, where that can still be done and nobody has."""
        chain = the_chain(self.purse)
        standing = await read_standing(chain, digest)
        if standing.is_contested or standing.is_closed or (await chain.head()).timestamp >= until:
            return
        if self.purse.sender is None:
            log.error("no account is unlocked here: contest it before %d (seconds UTC) with the node's owner", until)
            return
        try:
            await contest(self.purse, digest)
            log.error("accusation %s is contested: the settlers have to rule on it", digest.hex()[:16])
        except Refused as error:
            log.error("accusation %s could not be contested: %s", digest.hex()[:16], error)


async def _can_execute(chain: Chain, sender: Sender, accusation: dict[str, object] | None) -> bool:
    """Whether this account accused, nobody contested, and the time is over."""
    if accusation is None or accusation["closed"] or accusation["contested"]:
        return False
    return accusation["reporter"] == sender.address and (await chain.head()).timestamp >= int(str(accusation["until"]))
