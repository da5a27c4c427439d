"""Evidence under whatever anybody shows, rightly or not, in any order: nobody is slashed without a proof, nor twice."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.settle.evm import ETHER, Done, Reverted
from tests.verify.scenes import bent, floats, some_hash
from wire.chain import EPOCH_ROOT
from wire.eip712 import Domain
from wire.inference import sign_receipt
from wire.vote import Verdict, sign_commit, sign_vote

from .bonds import BURNED, RULES, SETTLER
from .court import Court, commit_of, receipts_of, vote_of

SUPPLY = 10**9 * ETHER
MEMBERS = st.integers(0, 3)
OTHER = (floats("scores", 9.0, 9.0, 9.0),)
ELSEWHERE = Domain(chain_id=1, contract=b"\x77" * 20)
LIES = ["", "", "", "one word", "another network", "another signer"]


class Evidence(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.court = Court()
        self.nodes = [key.address for key in self.court.case.keys] + [self.court.provider]
        self.behind = {node: self.court.behind(node) for node in self.nodes}
        self.shown: set[Any] = set()
        self.fraud = b""  # the accusation's
        self.until = 0
        self.contested = self.closed = self.upheld = False

    def tries(self, allowed: bool, function: str, *args: Any, by: Any = None) -> Done | None:
        """It has to go through when it is allowed, and only then."""
        try:
            done = self.court.evidence.send(function, *args, by=by or self.court.reporter)
        except Reverted:
            assert not allowed, function
            return None
        assert allowed, function
        return done

    def slashed(self, node: bytes, rule: str) -> None:
        self.behind[node] -= self.behind[node] * RULES[rule] // 10_000

    @rule(
        kind=st.sampled_from(["twoVotes", "twoCommits", "twoRoots", "twoReceipts"]),
        who=MEMBERS,
        number=st.integers(0, 1),
        lie=st.sampled_from(LIES),
    )
    def show(self, kind: str, who: int, number: int, lie: str) -> None:
        """Two words of a member's or the provider's; a lie shows what is no proof."""
        number = number if kind == "twoRoots" else 0  # only of these there is more than one
        culprit = self.nodes[4 if kind == "twoReceipts" else who]
        name = kind, culprit, number
        args = self.words(kind, who, number, lie)
        if self.tries(not lie and name not in self.shown, kind, *args):
            self.shown.add(name)
            self.slashed(culprit, f"{kind}Bps")

    def words(self, kind: str, who: int, number: int, lie: str) -> list[Any]:
        case = self.court.case
        key = case.keys[who]
        by = case.keys[(who + 1) % 4] if lie == "another signer" else key
        domain = ELSEWHERE if lie == "another network" else case.network.domain
        if kind == "twoVotes":
            first = case.vote(who)
            vote = bent(first.vote, verdict=Verdict.ACCEPT if lie == "one word" else Verdict.REJECT)
            second: Any = sign_vote(vote, by, domain)
            return [key.address, vote_of(first.vote), first.signature, vote_of(second.vote), second.signature]
        if kind == "twoCommits":
            one = case.commit(who)
            said = (one if lie == "one word" else case.commit(who, OTHER)).commit
            second = sign_commit(said, by, domain)
            return [key.address, commit_of(one.commit), one.signature, commit_of(second.commit), second.signature]
        if kind == "twoReceipts":
            receipt = case.receipt.receipt
            said_too = receipt if lie == "one word" else bent(receipt, outputs=some_hash("others"))
            second = sign_receipt(said_too, key if lie == "another signer" else case.provider, domain)
            return list(receipts_of(case.receipt, second))
        root = {"epoch": 3, "root": b"\1" * 32, "count": 5, "total": 600, "receipts": bytes([number]) * 32}
        other = root | ({} if lie == "one word" else {"root": b"\3" * 32})
        signatures = [
            key.sign(EPOCH_ROOT.digest(case.network.domain, *root.values())),
            by.sign(EPOCH_ROOT.digest(domain, *other.values())),
        ]
        return [key.address, root, signatures[0], other, signatures[1]]

    @rule(
        members=st.sets(MEMBERS, min_size=1), verdict=st.sampled_from([Verdict.REJECT, Verdict.REJECT, Verdict.ACCEPT])
    )
    def accuse(self, members: set[int], verdict: Verdict) -> None:
        votes = [vote.signature for vote in self.court.refusals(sorted(members), verdict)]
        args = self.court.accusation(sorted(members), signatures=votes)
        if done := self.tries(not self.fraud and len(members) >= 3 and verdict is Verdict.REJECT, "accuse", *args):
            said = done.event("Accused").values
            self.fraud, self.until = said["fraud"], said["until"]

    @precondition(lambda self: self.fraud)
    @rule(stranger=st.booleans())
    def contest(self, stranger: bool) -> None:
        by = self.court.evm.account(60) if stranger else self.court.provider_owner
        allowed = not stranger and self.court.evm.now + 1 < self.until
        if self.tries(allowed, "contest", self.fraud, self.court.provider, by=by):
            self.contested = True

    @precondition(lambda self: self.fraud)
    @rule()
    def execute(self) -> None:
        allowed = not self.contested and not self.closed and self.court.evm.now + 1 >= self.until
        if self.tries(allowed, "execute", self.fraud):
            self.closed = self.upheld = True
            self.slashed(self.court.provider, "wrongAnswerBps")

    @precondition(lambda self: self.fraud)
    @rule(upheld=st.booleans(), signers=st.sets(MEMBERS, min_size=1), forged=st.sampled_from([False, False, True]))
    def settlers_rule(self, upheld: bool, signers: set[int], forged: bool) -> None:
        court, block = self.court, self.court.evidence.call("accusation", self.fraud)["blockNumber"]
        stakes = [court.registry.call("stakeAt", node, SETTLER, block) for node in self.nodes[:4]]
        signed = sum(stakes[i] for i in signers)
        enough = all(stakes[i] for i in signers) and 3 * signed > 2 * sum(stakes)
        in_time = court.evm.now + 1 < self.until + RULES["rulingSeconds"]
        keys = [court.case.keys[i] for i in signers]
        args = court.ruling(self.fraud, upheld, keys, not upheld if forged else None)
        allowed = enough and in_time and self.contested and not self.closed and not forged
        if self.tries(allowed, "rule", *args):
            self.closed, self.upheld = True, upheld
            if upheld:
                self.slashed(court.provider, "wrongAnswerBps")

    @rule(seconds=st.sampled_from([60, RULES["contestSeconds"], RULES["rulingSeconds"]]))
    def wait(self, seconds: int) -> None:
        self.court.evm.forward(seconds - 1)
        self.court.evm.mine()

    @invariant()
    def nobody_lost_more_than_was_proved(self) -> None:
        if not hasattr(self, "court"):
            return
        court = self.court
        assert {node: court.behind(node) for node in self.nodes} == self.behind
        refused = court.evidence.call("isRefused", court.case.receipt_digest)
        unanswered = bool(self.fraud) and not self.contested and court.evm.now >= self.until
        assert refused == (self.upheld or unanswered)

    def teardown(self) -> None:
        if not hasattr(self, "court"):
            return
        bonds, court = self.court.bonds, self.court
        owners = [court.owner_of(node) for node in self.nodes]
        out = sum(bonds.has(key.address) for key in (bonds.deployer, court.reporter, *owners))
        assert out + sum(self.behind.values()) + bonds.has(BURNED) == SUPPLY  # what was taken is somewhere


TestEvidence = Evidence.TestCase
TestEvidence.settings = settings(max_examples=6, stateful_step_count=12, deadline=None)
