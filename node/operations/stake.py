"""`stake`, `unstake`, `delegate` and what they show: what stands behind nodes on the chain."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from settle.chain import Chain, Done, Refused, Sender
from settle.registry import point_of
from settle.stake import ROLE_BITS, Operator, read_operator, read_operators, role_names
from wire.chain import BIND
from wire.keys import peer_id_of, show_address

from ..chain.amounts import show_amount
from ..chain.carrying import carry
from ..chain.intents import Intents
from ..chain.opening import Purse, the_chain, the_sender
from ..control import Emit
from ..errors import CommandError, Exit

BIND_SECONDS = 24 * 3600  # how long the node's word that it belongs to the account may take to reach the chain


@dataclass(frozen=True)
class _Steps:
    """Transactions of one command, each carried through under a purpose that an interrupted one is found by."""

    purse: Purse
    emit: Emit

    @property
    def chain(self) -> Chain:
        return the_chain(self.purse)

    @property
    def sender(self) -> Sender:
        return the_sender(self.purse)

    async def ask(self, function: str, *args: Any) -> Any:
        """What the registry says now."""
        return await self.chain.call(self.chain.domain.contract, "Registry", function, *args)

    async def registry(self, what: str, text: str, function: str, *args: Any) -> Done:
        """One call of the registry."""
        return await self._do(what, text, self.chain.domain.contract, "Registry", function, *args)

    async def approve(self, what: str, amount: int) -> None:
        """Let the registry take this much of the account's tokens; CommandError when it has not so much."""
        token, registry, owner = self.chain.spec.token, self.chain.domain.contract, self.sender.address
        has = int(await self.chain.call(token, "HallmarkToken", "balanceOf", owner))
        if has < amount:
            raise CommandError(
                Exit.CHAIN,
                f"the account {show_address(owner)} has {show_amount(has)} tokens, this takes {show_amount(amount)}",
                "See: hallmark wallet balance",
            )
        if int(await self.chain.call(token, "HallmarkToken", "allowance", owner, registry)) < amount:
            await self._do(f"approve for {what}", "the approval", token, "HallmarkToken", "approve", registry, amount)

    async def bond(self, node: bytes, amount: int) -> Done:
        """Put tokens behind a node: approve, then bond."""
        what = f"bond {node.hex()} {amount}"
        if Intents(self.purse.local.directory.intents).is_open(what):
            self.emit({"event": "resumed", "text": "goes on with a bond that was interrupted"})
            with suppress(Refused):  # it came no further than the approval
                return await self.registry(what, "the bond", "bond", node, amount)
        await self.approve(what, amount)
        return await self.registry(what, "the bond", "bond", node, amount)

    async def _do(self, what: str, text: str, contract: bytes, interface: str, function: str, *args: Any) -> Done:
        intents = Intents(self.purse.local.directory.intents)
        purpose = intents.begin(what)

        self.emit({"event": "sending", "what": function, "text": ""})

        refused: list[Refused] = []

        async def send() -> Done:
            try:
                return await self.sender.send(purpose, contract, interface, function, *args)
            except Refused as error:
                refused.append(error)
                raise

        try:
            done = await carry(self.chain, self.sender, purpose, text, self.emit, send)
        except* Refused:
            pass
        if refused:
            intents.over(what)
            raise refused[0]
        intents.over(what)
        self.emit({"event": "done", "what": function, "block": done.block, "text": f"{text}: block {done.block}"})
        return done


async def stake(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Register this node to the account, where it is not yet; set `roles` and `commission` (basis points), where given;
    put `amount` behind it. Each step is skipped when the chain has it already."""
    steps = _Steps(purse, emit)
    node, owner = purse.local.key.address, steps.sender.address
    bits = sum(ROLE_BITS[role] for role in params["roles"])
    known = await read_operator(steps.chain, node, await steps.chain.head())
    if known is None:
        bits = bits or _usual_roles(purse.local.config.roles)
        await _register(steps, bits, params["commission"] or 0)
    elif known.owner != owner:
        raise CommandError(
            Exit.CONFIG,
            f"this node belongs to the account {show_address(known.owner)}, and {show_address(owner)} is unlocked here",
            "Use that one (--account NAME), or put tokens behind the node as anybody may: hallmark delegate",
        )
    else:
        if bits and bits != known.roles:
            what = f"roles {node.hex()} {known.roles} to {bits}"
            await steps.registry(what, "the roles", "setRoles", node, bits)
        if params["commission"] not in (None, known.commission_bps):
            what = f"commission {node.hex()} {params['commission']}"
            await steps.registry(what, "the commission", "setCommission", node, params["commission"])
    if params["amount"]:
        await steps.bond(node, params["amount"])
    now = await read_operator(steps.chain, node, await steps.chain.head())
    assert now is not None
    return describe(now) | {"minimums": await _minimums(steps), "epoch": await _epoch(steps.chain)}


async def delegate(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Put `amount` of the account's tokens behind another's `node` (its address)."""
    steps = _Steps(purse, emit)
    known = await read_operator(steps.chain, params["node"], await steps.chain.head())
    if known is None:
        raise CommandError(
            Exit.NOT_FOUND, f"no node {show_address(params['node'])} is registered", "See: hallmark stake show"
        )
    await steps.bond(known.node, params["amount"])
    worth = int(await steps.ask("worthOf", known.node, steps.sender.address))
    return {"node": show_address(known.node), "peer_id": peer_id_of(known.key), "worth": worth}


async def unstake(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Take `amount` (None: all) from behind `node` (b"": this one): it counts no more, and is free after a while."""
    steps = _Steps(purse, emit)
    node, owner = params["node"] or purse.local.key.address, steps.sender.address
    has, pool = int(await steps.ask("sharesOf", node, owner)), await steps.ask("poolOf", node)
    if not has:
        raise CommandError(
            Exit.NOT_FOUND,
            f"the account {show_address(owner)} has nothing behind {show_address(node)}",
            "See: hallmark stake show",
        )
    shares = has
    if params["amount"] is not None:
        shares = -(-params["amount"] * int(pool["shares"]) // max(1, int(pool["assets"])))
        if shares > has:
            worth = int(await steps.ask("worthOf", node, owner))
            raise CommandError(Exit.USAGE, f"it has {show_amount(worth)} there, and no more", "Or: --all")
    what = f"unbond {node.hex()} {params['amount'] or 'all'}"
    done = await steps.registry(what, "the unbonding", "unbond", node, shares)
    event = next(e for e in done.events if e.name == "Unbonding").values
    return {"node": show_address(node), "id": event["id"], "release_s": event["releaseAt"]}


async def withdraw(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Take back all of the account's tokens whose unbonding is over; tell when the others are."""
    steps = _Steps(purse, emit)
    waiting, taken = [], 0
    head = await steps.chain.head()
    for one in await _unbonding(steps.chain, steps.sender.address, emit):
        if one["release_s"] > head.timestamp:
            waiting.append(one)
            continue
        done = await steps.registry(f"withdraw {one['id']}", f"withdrawal {one['id']}", "withdraw", one["id"])
        taken += next(e for e in done.events if e.name == "Withdrawn").values["amount"]
    return {"taken": taken, "waiting": waiting}


async def list_unbonding(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """What of an account's (`account`: its address) is unbonding, and when it is free."""
    return {"waiting": await _unbonding(the_chain(purse), params["account"], emit)}


async def unjail(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Let this node count again, when the time after its slash is over."""
    node = purse.local.key.address
    done = await _Steps(purse, emit).registry(f"unjail {node.hex()}", "the release", "unjail", node)
    return {"node": show_address(node), "block": done.block}


async def show_stakes(purse: Purse, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Everybody who is registered, those with the most at stake first."""
    chain = the_chain(purse)
    head = await chain.head()
    own = purse.local.key.address
    operators = [describe(one) | {"mine": one.node == own} for one in await read_operators(chain, head)]
    return {"block": head.number, "epoch": await _epoch(chain), "operators": operators}


def describe(one: Operator) -> dict[str, Any]:
    """An operator as plain values; amounts in the token's smallest unit."""
    return {
        "node": show_address(one.node),
        "peer_id": peer_id_of(one.key),
        "owner": show_address(one.owner),
        "roles": role_names(one.roles),
        "active": role_names(one.active),
        "stake": one.stake,
        "own": one.own,
        "delegated": one.delegated,
        "unbonding": one.unbonding,
        "commission_bps": one.commission_bps,
        "jailed_until_s": one.jailed_until,
    }


def _usual_roles(roles: tuple[str, ...]) -> int:
    """What a node registers as when it is not told: what it runs as; a verifier settles, too."""
    bits = sum(ROLE_BITS[role] for role in roles)
    return bits | ROLE_BITS["settler"] if bits & ROLE_BITS["verifier"] else bits


async def _register(steps: _Steps, bits: int, commission: int) -> None:
    key, owner = steps.purse.local.key, steps.sender.address
    deadline = (await steps.chain.head()).timestamp + BIND_SECONDS
    signature = key.sign(BIND.digest(steps.chain.domain, key.address, owner, deadline))
    what = f"register {key.address.hex()} {owner.hex()}"
    args = (point_of(key.public), bits, commission, deadline, signature)
    await steps.registry(what, "the registration", "register", *args)


async def _minimums(steps: _Steps) -> dict[str, int]:
    return {role: int(await steps.ask("minimumBond", bit)) for role, bit in ROLE_BITS.items()}


async def _epoch(chain: Chain) -> int:
    return int(await chain.call(chain.spec.epochs, "Epochs", "current"))


async def _unbonding(chain: Chain, holder: bytes, emit: Emit) -> list[dict[str, Any]]:
    head = await chain.head()
    emit({"event": "reading", "text": "reads the registry's history"})
    registry = chain.domain.contract
    begun = await chain.logs(registry, "Registry", ["Unbonding"], chain.spec.from_block, head.number)
    found = []
    for event in begun:
        if event.values["holder"] != holder:
            continue
        one = await chain.call(registry, "Registry", "leaving", event.values["id"])
        if one["shares"]:
            assets = await chain.call(registry, "Registry", "poolOf", one["node"])
            worth = int(one["shares"]) * int(assets["assets"]) // max(1, int(assets["shares"]))
            found.append(
                {
                    "id": int(event.values["id"]),
                    "node": show_address(one["node"]),
                    "amount": min(worth, int(one["most"])),
                    "release_s": int(one["releaseAt"]),
                }
            )
    return found
