"""What waits for a block, under any order of arrivals, blocks and drops."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from settle.devnet import bounds
from settle.devnet.errors import Rejected
from settle.devnet.pool import Pool, Waiting

SENDERS = st.sampled_from([b"a" * 20, b"b" * 20, b"c" * 20])


class PoolMachine(RuleBasedStateMachine):
    """Against the accounts' nonces, which only blocks move."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool()
        self.nonces: dict[bytes, int] = {}
        self.names = 0
        self.accepted: dict[bytes, Waiting] = {}

    def nonce_of(self, sender: bytes) -> int:
        """Transactions that an account has in blocks."""
        return self.nonces.get(sender, 0)

    @rule(sender=SENDERS, ahead=st.integers(-2, 6), fee=st.integers(1, 300), gas=st.integers(21, 80))
    def arrive(self, sender: bytes, ahead: int, fee: int, gas: int) -> None:
        self.names += 1
        nonce = max(0, self.nonce_of(sender) + ahead)
        new = Waiting(self.names.to_bytes(32, "big"), sender, nonce, gas, fee, fee, 10, None)
        held = [w for w in self.accepted.values() if (w.sender, w.nonce) == (sender, nonce)]
        try:
            self.pool.add(new, self.nonce_of(sender), 100)
        except Rejected:
            assert nonce < self.nonce_of(sender) or (held and fee * 100 < held[0].max_fee * (100 + bounds.PRICE_BUMP))
            return
        assert nonce >= self.nonce_of(sender)
        for old in held:
            assert fee * 100 >= old.max_fee * (100 + bounds.PRICE_BUMP)
            del self.accepted[old.hash]
        self.accepted[new.hash] = new

    @rule(base=st.integers(0, 300), gas=st.integers(0, 400))
    def block(self, base: int, gas: int) -> None:
        chosen = self.pool.choose(self.nonce_of, base, gas)
        assert sum(waiting.gas for waiting in chosen) <= gas
        for waiting in chosen:
            assert waiting.max_fee >= base
            assert waiting.nonce == self.nonce_of(waiting.sender)
            self.nonces[waiting.sender] = waiting.nonce + 1
        for sender in self.nonces:  # whoever was passed over could not be had
            left = [w for w in self.accepted.values() if (w.sender, w.nonce) == (sender, self.nonce_of(sender))]
            room = gas - sum(waiting.gas for waiting in chosen)
            assert all(w.max_fee < base or w.gas > room for w in left)
        self.pool.settle(self.nonce_of)
        self.accepted = {h: w for h, w in self.accepted.items() if w.nonce >= self.nonce_of(w.sender)}

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.accepted)))
        assert self.pool.drop(name)
        assert not self.pool.drop(name)
        del self.accepted[name]

    @rule(sender=SENDERS)
    def count(self, sender: bytes) -> None:
        nonces = {w.nonce for w in self.accepted.values() if w.sender == sender}
        following = self.pool.next_nonce(sender, self.nonce_of(sender))
        assert set(range(self.nonce_of(sender), following)) <= nonces
        assert following not in nonces

    @invariant()
    def what_was_accepted_is_held(self) -> None:
        assert len(self.pool) == len(self.accepted)
        assert all(self.pool.get(name) == waiting for name, waiting in self.accepted.items())


TestPool = PoolMachine.TestCase
