"""Gas of everything that settlement does on a chain, and what it is a request; and the time that an epoch's root takes.

Run on the devnet's EVM (Cancun), with the contracts' tests' own helpers; gas is exact and the same on every chain of
these rules. The epoch has 10,000 receipts of one provider, each with seven lines: the provider's, a publisher's, a
hub's and four verifiers'. Proofs have 16 or 17 nodes. Challenges are shown to a root in which each of them finds
something wrong.

    python -m bench.gas [--json]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.figures import show
from settle.tree import Tree, leaf_of
from tests.settle.contracts.bonds import DAY, SETTLER, VERIFIER, bind, uncompressed
from tests.settle.contracts.court import EPOCH_SECONDS, Court
from tests.settle.contracts.desk import evm_signature, fields
from tests.settle.contracts.ledger import ANSWER, SETTLERS, Ledger, Root, fit
from tests.settle.contracts.scene import several
from tests.settle.evm import ETHER
from wire.canonical import Amount
from wire.chain import EPOCH_ROOT
from wire.inference import SignedReceipt
from wire.payment import ChannelConfig, Voucher, payment_domain, sign_voucher
from wire.settlement import Share

RECEIPTS = 10_000
PRICE = 10**15
PAYER, SIGNER = 44, 50  # the payer's account, and its node
EXACT = 63_713  # x402 `exact` (transferWithAuthorization), as measured elsewhere: our token has no such function
MANY = tuple(range(10, 22))  # nodes that make sixteen settlers of four

Row = dict[str, Any]


class Payments:
    """Channels to provider 6, and what it takes to use them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.payer = ledger, ledger.evm.account(PAYER)
        self.domain = payment_domain(ledger.domain.chain_id, ledger.channels.address)
        ledger.token.send("transfer", self.payer.address, 10**6 * ETHER)
        ledger.token.send("approve", ledger.channels.address, 2**256 - 1, by=self.payer)

    def config(self, number: int) -> ChannelConfig:
        return msgspec.structs.replace(self.ledger.channel(6), salt=number.to_bytes(32, "big"))

    def deposit(self, number: int) -> int:
        return self.ledger.channels.send("deposit", fields(self.config(number)), 100 * ETHER, by=self.payer).gas

    def claim(self, numbers: Sequence[int], total: int) -> int:
        """All channels by one transaction, up to this total each."""
        entries = []
        for number in numbers:
            config = self.config(number)
            voucher = Voucher(channel=config.id(self.domain), amount=Amount(total))
            word = sign_voucher(voucher, self.ledger.node(SIGNER), self.domain).signature
            entries.append(((fields(config), total), word[:64] + bytes([27 + word[64]]), total))
        channels = self.ledger.channels
        batch = evm_signature(self.ledger.node(6), channels.call("getClaimBatchDigest", entries))
        return channels.send("claimWithSignature", entries, batch, by=self.ledger.stranger).gas

    def collect(self) -> int:
        return self.ledger.epochs.send("collect", self.ledger.node(6).address).gas


def tokens_and_channels() -> list[Row]:
    """What it costs to pay."""
    ledger = Ledger()
    token, alice, bob = ledger.token, ledger.challenger, ledger.stranger
    found = {"transfer": token.send("transfer", bob.address, 5, by=alice).gas}
    token.send("approve", alice.address, 2**256 - 1, by=bob)
    found["transferFrom"] = token.send("transferFrom", bob.address, alice.address, 5, by=alice).gas
    pay = Payments(ledger)
    found["open a channel with its deposit"] = pay.deposit(0)
    found["top-up"] = pay.deposit(0)
    found["claim one voucher, the first of a provider"] = pay.claim([0], 1_000)
    found["claim one voucher, later"] = pay.claim([0], 2_000)
    found["collect, the first of a provider (makes its till)"] = pay.collect()
    pay.claim([0], 3_000)
    found["collect, later in an epoch"] = pay.collect()
    pay.claim([0], 4_000)
    ledger.next_epoch()
    found["collect, the first of an epoch"] = pay.collect()
    for number in range(1, 100):
        pay.deposit(number)
    pay.claim(range(100), 5_000)
    hundred = pay.claim(range(100), 6_000)
    found["claim 100 vouchers, later"] = hundred
    found["… each"] = hundred // 100
    return rows(found)


def bonds() -> list[Row]:
    """What it costs to take part."""
    ledger = Ledger()
    node, owner, deadline = ledger.node(8), ledger.owner(8), ledger.evm.now + DAY
    word = bind(node, owner.address, deadline, ledger.domain)
    send = ledger.registry.send
    found = {"register": send("register", uncompressed(node.public), 6, 0, deadline, word, by=owner).gas}
    found["bond, the first"] = ledger.bond(node.address, 1_000 * ETHER, owner).gas
    found["bond, later"] = ledger.bond(node.address, ETHER, owner).gas
    found["unbond"] = send("unbond", node.address, ETHER, by=owner).gas
    ledger.evm.forward(8 * DAY)
    found["withdraw"] = send("withdraw", 0, by=owner).gas
    a, b = (ledger.receipt(6, price) for price in (1, 2))
    shown = (ledger.on_chain(a), a.signature, ledger.on_chain(b), b.signature)
    found["slash for two receipts"] = ledger.evidence.send("twoReceipts", *shown).gas
    return rows(found)


class Epoch:
    """10,000 receipts of provider 6, revenue for them, and the epoch over."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.signed = {
            (signed := ledger.receipt(6, PRICE, i)).receipt.digest(ledger.domain): signed for i in range(RECEIPTS)
        }
        self.epoch = ledger.earn(6, RECEIPTS * PRICE)
        ledger.next_epoch()
        claims = [ledger.claimed(signed, verifiers=SETTLERS) for signed in self.signed.values()]
        began = time.process_time()
        found = ledger.settlement(self.epoch, claims)
        self.lines_s = time.process_time() - began
        self.root = Root(self.epoch, found.lines, found.total, found.receipts, len(found.lines))
        began = time.process_time()
        assert self.root.tree.root
        self.tree_s = time.process_time() - began

    def receipt(self, place: int) -> SignedReceipt:
        return self.signed[self.root.lines[place].receipt]


def epochs() -> tuple[list[Row], list[Row]]:
    """What it costs to settle an epoch, and how long its root takes."""
    ledger = Ledger()
    opening = ledger.next_epoch
    ledger.evm.forward(3_600)
    opened = ledger.epochs.send("open").gas
    opening()
    for account in (*range(10, 18), 40, 41):  # whoever is paid had something before
        ledger.token.send("transfer", ledger.evm.account(account).address, 1)
    at = Epoch(ledger)
    wide = ledger.copy()
    found = {"open": opened, "post, 4 signers": ledger.post(at.root).gas}
    held = ledger.copy()
    place = at.root.role(Share.PROVIDER)[7]
    signed = at.receipt(place)
    found["demand"] = held.epochs.send("demand", at.epoch, place, by=held.challenger).gas
    shown = (at.epoch, *at.root.shown(place), held.on_chain(signed), signed.signature)
    found["show"] = held.epochs.send("show", *shown, by=held.stranger).gas
    held.epochs.send("demand", at.epoch, place + 1, by=held.challenger)
    held.evm.forward(ANSWER + 1)
    found["fail"] = held.epochs.send("fail", at.epoch, place + 1).gas
    found["finalise"] = ledger.finalise(at.epoch).gas
    together = ledger.copy()
    ends = [at.root.of(ledger.node(node).address, Share.VERIFIER) for node in SETTLERS]
    ends.append(at.root.of(ledger.node(4).address, Share.HUB))
    pairs = several(at.root, [place for places in ends for place in (places[0], places[-1])])
    found["claim four verifiers' and a hub's at once"] = together.epochs.send("claimMany", at.epoch, *pairs).gas
    for name, role, account in [
        ("a provider's", Share.PROVIDER, ledger.node(6).address),
        ("a publisher's", Share.PUBLISHER, ledger.publisher),
        ("a hub's", Share.HUB, ledger.node(4).address),
        ("a verifier's", Share.VERIFIER, ledger.node(0).address),
    ]:
        places = at.root.of(account, role)
        by = {Share.PROVIDER: ledger.owner(6), Share.PUBLISHER: ledger.evm.account(40)}.get(role, ledger.stranger)
        found[f"claim {name} {len(places):,} lines"] = ledger.claim(at.root, places[0], places[-1], by).gas
    for node in MANY:
        wide.joined(node, roles=SETTLER | VERIFIER)
    late = wide.earn(6, 1_000)
    wide.next_epoch()
    found["post, 16 signers"] = wide.post(wide.honest(late, []), (*SETTLERS, *MANY)).gas
    took = [
        {"what": f"the lines of {RECEIPTS:,} receipts ({len(at.root.lines):,})", "CPU seconds": round(at.lines_s, 2)},
        {"what": "their tree", "CPU seconds": round(at.tree_s, 2)},
    ]
    return rows(found), took


def challenges() -> list[Row]:
    """What it costs to bring a root down: of the same size, with something for each to find."""
    ledger = Ledger()
    at = Epoch(ledger)
    lines = list(at.root.lines)
    provider, hub = at.root.role(Share.PROVIDER), at.root.role(Share.HUB)
    lines[-1] = msgspec.structs.replace(lines[-1], amount=Amount(lines[-1].amount + 1))
    lines[40] = msgspec.structs.replace(lines[40], sum_before=Amount(lines[40].sum_before + 1))
    lines[provider[5]] = msgspec.structs.replace(lines[provider[5]], amount=Amount(PRICE))
    orphan = next(i for i in hub if lines[i].receipt == lines[provider[9]].receipt)
    lines[provider[9]] = msgspec.structs.replace(lines[provider[9]], receipt=lines[provider[9] - 1].receipt)
    last = msgspec.structs.replace(lines[provider[-1]], sum_before=Amount(2 * RECEIPTS * PRICE))
    lines[provider[-1]] = last
    root = Root(at.epoch, tuple(lines), at.root.total, bytes(32), len(lines))
    ledger.post(root)
    again = ledger.copy()
    again.earn(6, RECEIPTS * PRICE)
    later = again.next_epoch() - 1
    second = Root(later, root.lines, root.total, bytes(32), root.count)
    second.__dict__["tree"] = root.tree
    again.post(second)
    same = next(i for i in hub if lines[i].receipt == lines[provider[3]].receipt)
    tried: dict[str, tuple[Ledger, str, tuple[Any, ...]]] = {
        "a line that is wrong by itself": (ledger, "Line", root.shown(len(lines) - 1)),
        "two neighbours": (ledger, "Order", (*root.shown(39), *root.shown(40))),
        "a receipt's line": (
            ledger, "Receipt", (*several(root, [provider[5]]), ledger.on_chain(at.receipt(provider[5]))),
        ),
        "a provider's revenue": (ledger, "Revenue", several(root, [provider[0], provider[-1]])),
        "a receipt without its provider's line": (
            ledger, "Orphan",
            (*several(root, [orphan, provider[9], provider[9] + 1]), ledger.on_chain(at.receipt(orphan))),
        ),
        "a receipt paid before": (again, "Paid", (*second.shown(same), at.epoch, *root.shown(provider[3]))),
    }  # fmt: skip
    found = {}
    for name, (of, kind, args) in tried.items():
        fork = of.copy()
        epoch = later if kind == "Paid" else at.epoch
        found[name] = fork.challenge(kind, epoch, *args).gas
        if kind == "Line":
            signers = sorted(fork.node(i).address for i in SETTLERS)
            found["punish its four signers"] = fork.epochs.send("punish", *root.values[:4], signers).gas
    return rows({"a receipt that a quorum refused": refused()} | found)


def refused() -> int:
    """A challenge with a refused receipt's line, in a tree as deep as the others."""
    court = Court()
    court.accuse()
    epochs, domain = court.epochs, court.case.network.domain
    court.bonds.token.send("transfer", epochs.call("tillOf", court.provider), 100)
    court.evm.forward(DAY)
    epoch = epochs.send("collect", court.provider).event("Collected").values["epoch"]
    court.evm.forward(EPOCH_SECONDS)
    epochs.send("open")
    digest = court.case.receipt.receipt.digest(domain)
    (line,) = fit([(court.provider, Share.PROVIDER, digest, 1)])
    tree = Tree([leaf_of(line), *(i.to_bytes(32, "big") for i in range(7 * RECEIPTS - 1))])
    root = Root(epoch, (line,), 1, bytes(32), 7 * RECEIPTS)
    root.__dict__["tree"] = tree
    signers = sorted(court.case.keys, key=lambda key: key.address)
    words = [key.sign(EPOCH_ROOT.digest(domain, *root.values)) for key in signers]
    epochs.send("post", *root.values, [key.address for key in signers], words)
    return epochs.send("challengeRefused", epoch, *root.shown(0)).gas


def per_request(gas: dict[str, int]) -> list[Row]:
    """All transactions of one epoch over its requests: of one payer, one provider, one publisher, a hub and four
    settlers that are its verifiers; and where ten providers with so many requests each share the epoch. Registering
    and bonds come once in a life and are left out. Beside it, one transaction for each request."""
    epoch = gas["open"] + gas["post, 4 signers"] + gas["finalise"]
    own = sum(gas[name] for name in gas if name.startswith(("claim a provider", "claim a publisher")))
    common = next(gas[name] for name in gas if name.startswith("claim four"))
    payout = own + common
    first = gas["open a channel with its deposit"] + gas["claim one voucher, the first of a provider"]
    first += gas["collect, the first of a provider (makes its till)"]
    later = gas["claim one voucher, later"] + gas["collect, the first of an epoch"]
    return [
        {
            "requests": f"{count:,}",
            "first epoch": round((first + epoch + payout) / count, 2),
            "later epochs": round((later + epoch + payout) / count, 2),
            "ten providers, so many each": round((later + own + (epoch + common) / 10) / count, 2),
            "… voucher and collect": round(later / count, 2),
            "… beacon, root, finalise": round(epoch / count, 2),
            "… payouts": round(payout / count, 2),
            "plain transfer": gas["transfer"],
            "exact": EXACT,
        }
        for count in (1, 1_000, 1_000_000)
    ]


def rows(found: dict[str, int]) -> list[Row]:
    return [{"what": name, "gas": gas} for name, gas in found.items()]


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description="gas of settlement, and the time of an epoch's root")
    parser.add_argument("--json", action="store_true", help="one JSON object a table")
    as_json = parser.parse_args().json
    paying, joining = tokens_and_channels(), bonds()
    settling, took = epochs()
    show("paying", paying, as_json)
    show("taking part", joining, as_json)
    show(f"an epoch of {RECEIPTS:,} receipts", settling, as_json)
    show("challenges", challenges(), as_json)
    show("gas per request", per_request({row["what"]: row["gas"] for row in [*paying, *settling]}), as_json)
    show("the root of an epoch", took, as_json)


if __name__ == "__main__":
    main()
