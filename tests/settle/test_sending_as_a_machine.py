"""An account's transactions under everything that a chain and a process may do to them: at most one effect for each
purpose at any time, and in the end exactly one."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from settle import bounds
from settle.journal import Entry
from settle.replies import Mined
from settle.sending import Displace, Fees, Finish, Raise, Send, Sending, View, displaced, is_pending
from settle.transactions import hash_of
from wire.canonical import decode, encode

ACCOUNT = bytes([7] * 20)
DEPTH = 2  # confirmations; nothing is reorganised deeper
GWEI = 10**9


def signed(entry: Entry) -> Entry:
    raw = b"%d|%d|%d|%s" % (entry.nonce, entry.cap, entry.tip, entry.data)
    return msgspec.structs.replace(entry, raw=raw, versions=(*entry.versions, hash_of(raw)))


class FakeChain:
    """Blocks of one account's transactions: `(nonce, hash, effect)`, and what waits to be in one."""

    def __init__(self) -> None:
        self.blocks: list[list[tuple[int, bytes, bytes]]] = [[]]
        self.waiting: dict[int, tuple[int, bytes, bytes]] = {}  # nonce: cap, hash, effect
        self.base = GWEI
        self.heard: list[bytes] = []  # whoever heard of a transaction may tell it again

    def all(self) -> list[tuple[int, bytes, bytes]]:
        return [one for block in self.blocks for one in block]

    def submit(self, raw: bytes) -> None:
        self.heard = [*dict.fromkeys([*self.heard, raw])]
        nonce, cap, _, effect = raw.split(b"|", 3)
        known = self.waiting.get(int(nonce))
        if int(nonce) >= len(self.all()) and (known is None or int(cap) * 8 >= known[0] * 9):
            self.waiting[int(nonce)] = (int(cap), hash_of(raw), effect)

    def mine(self, foreign: bool = False) -> None:
        block: list[tuple[int, bytes, bytes]] = []
        nonce = len(self.all())
        if foreign:
            block.append((nonce, b"foreign %d" % len(self.blocks), b""))
            nonce += 1
        while nonce in self.waiting and self.waiting[nonce][0] >= self.base:
            _, name, effect = self.waiting[nonce]
            block.append((nonce, name, effect))
            nonce += 1
        self.blocks.append(block)
        self.waiting = {n: one for n, one in self.waiting.items() if n >= nonce}

    def reorganise(self, depth: int, back: bool) -> None:
        depth = min(depth, len(self.blocks) - 1)
        self.blocks = self.blocks[: len(self.blocks) - depth]
        for raw in list(self.heard) if back else []:
            self.submit(raw)

    def view(self, hashes: tuple[bytes, ...]) -> View:
        head = len(self.blocks) - 1
        final = max(0, head - DEPTH)
        found = {
            name: Mined(name, number, 21_000, self.base, True)
            for number, block in enumerate(self.blocks)
            for _, name, _ in block
            if name in hashes
        }
        counts = len(self.all()), sum(len(block) for block in self.blocks[: final + 1])
        return View(head, final, *counts, Fees(2 * self.base + GWEI, GWEI), found)


class Account(RuleBasedStateMachine):
    """One sender, its journal, and the world."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = FakeChain()
        self.journal: dict[str, bytes] = {}
        self.entries: dict[str, Entry] = {}  # the same, so that looking at it costs nothing
        self.machine = Sending(ACCOUNT)
        self.now = 0.0
        self.made = 0

    @precondition(lambda self: not self.machine.is_full)
    @rule(lie=st.sampled_from([0, 0, 0, 1, 2]), crash=st.booleans(), told=st.booleans())
    def plan(self, lie: int, crash: bool, told: bool) -> None:
        self.made += 1
        self._plan(f"purpose {self.made}", lie, crash)
        if told:
            self._look(lost=False)

    @precondition(lambda self: not self.machine.is_full and any(self._ended_without_effect()))
    @rule(crash=st.booleans())
    def try_again(self, crash: bool) -> None:
        self._plan(self._ended_without_effect()[0], 0, crash)

    @rule(
        trouble=st.sampled_from(["", "", "crash", "forgets", "lost", "dear", "cheap"]),
        later=st.sampled_from([0.0, bounds.RESEND_SECONDS, bounds.STUCK_SECONDS]),
        blocks=st.integers(0, DEPTH + 1),
    )
    def go_on(self, trouble: str, later: float, blocks: int) -> None:
        self.now += later
        self._look(lost=trouble == "lost")
        if trouble == "crash":
            self._crash()
        elif trouble == "forgets":
            self.chain.waiting.clear()
        elif trouble in ("dear", "cheap"):
            self.chain.base = {"dear": 50 * GWEI, "cheap": 1}[trouble]
        for _ in range(blocks):
            self.chain.mine()
            self._look(lost=False)

    @rule(blocks=st.integers(0, DEPTH), undone=st.booleans())
    def somebody_else_sends(self, blocks: int, undone: bool) -> None:
        self._look(lost=False)
        self.chain.mine(foreign=True)
        for _ in range(blocks):
            self._look(lost=False)
            self.chain.mine()
        self._look(lost=False)
        if undone:
            self._reorganise(min(DEPTH, blocks + 1), back=True)

    @rule(depth=st.integers(1, DEPTH), back=st.booleans())
    def reorganise(self, depth: int, back: bool) -> None:
        self._reorganise(depth, back)

    @invariant()
    def no_purpose_has_two_effects(self) -> None:
        effects = [effect for _, _, effect in self.chain.all() if effect]
        assert len(effects) == len(set(effects))

    @invariant()
    def what_ended_well_is_on_the_chain(self) -> None:
        there = {name for _, name, _ in self.chain.all()}
        for entry in self.entries.values():
            if entry.outcome is not None:
                assert entry.outcome.hash in there
            if entry.displaced:
                assert not there & set(entry.versions)

    def teardown(self) -> None:
        self.chain.base = GWEI
        for _ in range(60 * (self.made + 1)):
            if not self.machine.pending:
                break
            self.now += bounds.STUCK_SECONDS
            self._look(lost=False)
            self.chain.mine()
        assert not any(is_pending(entry) for entry in self.entries.values())
        effects = {effect.decode() for _, _, effect in self.chain.all() if effect}
        done = {entry.purpose for entry in self.entries.values() if entry.outcome is not None}
        assert {purpose for purpose in done if purpose.startswith("purpose")} <= effects
        assert effects <= {entry.purpose for entry in self.entries.values()}
        assert set(self._ended_without_effect()).isdisjoint(effects)

    def _reorganise(self, depth: int, back: bool) -> None:
        before = len(self.chain.blocks)
        self.chain.reorganise(depth, back)
        while len(self.chain.blocks) < before:  # the other branch is as long: else it would not have won
            self.chain.mine()

    def _crash(self) -> None:
        self.machine = Sending(ACCOUNT, [decode(data, Entry) for data in self.journal.values()])

    def _ended_without_effect(self) -> list[str]:
        return [purpose for purpose, entry in self.entries.items() if entry.displaced]

    def _plan(self, purpose: str, lie: int, crash: bool) -> None:
        view = self.chain.view(())
        view = replace(view, nonce=view.nonce + lie)
        entry = signed(self.machine.plan(purpose, bytes(20), 0, purpose.encode(), 50_000, view))
        self._keep(entry, crash)

    def _keep(self, entry: Entry, crash: bool = False) -> None:
        self.journal[entry.purpose] = encode(entry)
        self.entries[entry.purpose] = entry
        if crash:
            self._crash()
        else:
            self.machine.keep(entry, self.now)

    def _look(self, lost: bool) -> None:
        view = self.chain.view(self.machine.hashes)
        for action in self.machine.look(view, self.now):
            match action:
                case Send(entry):
                    self._tell(entry, lost)
                case Raise(entry):
                    self._keep(signed(entry))
                    self._tell(signed(entry), lost)
                case Finish(entry, _):
                    self._keep(entry)
                case Displace(entry):
                    self._keep(displaced(entry))

    def _tell(self, entry: Entry, lost: bool) -> None:
        self.machine.sent(entry, self.now)
        if not lost:
            self.chain.submit(entry.raw)


Account.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestAccount = Account.TestCase
