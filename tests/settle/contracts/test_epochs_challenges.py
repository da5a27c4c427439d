"""A wrong root falls, whatever is wrong with it, and a right one survives whatever is tried."""

from __future__ import annotations

from dataclasses import replace

import pytest

from settle.lines import Shares, lines_of
from tests.settle.evm import Reverted
from wire.canonical import Amount
from wire.chain import EPOCH_ROOT
from wire.settlement import Share

from .bonds import DAY
from .court import EPOCH_SECONDS, Court
from .ledger import SETTLERS, WINDOW, Root, fit
from .scene import PRICE, Scene, ended, falls, several, survives


@pytest.fixture
def scene() -> Scene:
    return ended()


# One line by itself


@pytest.mark.parametrize(
    "wrong",
    ["index", "role", "first", "last", "unreceipted", "no receipt"],
)
def test_a_line_that_is_wrong_by_itself(scene: Scene, wrong: str) -> None:
    right, last = scene.root, len(scene.root.lines) - 1
    place, changes = {
        "index": (last, {"index": last + 1}),
        "role": (3, {"role": 0}),
        "first": (0, {"sum_before": Amount(1)}),
        "last": (last, {"amount": Amount(right.lines[last].amount + 1)}),
        "unreceipted": (right.role(Share.UNRECEIPTED)[0], {"receipt": b"\x01" * 32}),
        "no receipt": (right.role(Share.HUB)[0], {"receipt": bytes(32)}),
    }[wrong]
    root = scene.changed(place, **changes)
    falls(scene, root, "line", scene.ledger.challenge("Line", root.epoch, *root.shown(place)))


def test_fewer_lines_than_there_are(scene: Scene) -> None:
    root = scene.ledger.forged(scene.epoch, scene.root.lines, count=len(scene.root.lines) - 1)
    falls(scene, root, "line", scene.ledger.challenge("Line", root.epoch, *root.shown(len(root.lines) - 1)))


# Two lines


@pytest.mark.parametrize("wrong", ["order", "twice", "sum", "index"])
def test_neighbours_that_contradict_each_other(scene: Scene, wrong: str) -> None:
    entries, place = scene.entries(), 4
    if wrong == "order":
        entries[place], entries[place + 1] = entries[place + 1], entries[place]
        root = scene.ledger.forged(scene.epoch, fit(entries))
    elif wrong == "twice":
        entries[place + 1] = (*entries[place][:3], 1)
        root = scene.ledger.forged(scene.epoch, fit(entries))
    elif wrong == "sum":
        root = scene.changed(place + 1, sum_before=Amount(scene.root.lines[place + 1].sum_before - 1))
    else:
        root = scene.changed(place + 1, index=place)
    done = scene.ledger.challenge("Order", root.epoch, *root.shown(place), *root.shown(place + 1))
    falls(scene, root, "order", done)


def test_lines_that_do_not_touch_prove_nothing(scene: Scene) -> None:
    root = scene.changed(5, sum_before=Amount(0))
    survives(scene.ledger, "Order", root.epoch, *root.shown(3), *root.shown(5))
    survives(scene.ledger, "Order", root.epoch, *root.shown(6), *root.shown(5))


# A receipt's lines


@pytest.mark.parametrize(
    ("role", "by"),
    [
        (Share.PROVIDER, PRICE * 10 // 100 + 1), (Share.PROVIDER, -PRICE * 10 // 100 - 1),
        (Share.PUBLISHER, PRICE * 10 // 100 + 2), (Share.VERIFIER, PRICE * 10 // 100 + 3),
        (Share.SETTLER, PRICE * 15 // 100), (Share.HUB, 1),
    ],
)  # fmt: skip
def test_a_share_beyond_its_bounds(scene: Scene, role: Share, by: int) -> None:
    entries = scene.entries()
    place = scene.root.role(role)[0]
    entries[place] = (*entries[place][:3], entries[place][3] + by)
    root = scene.forged(entries)
    receipt = scene.ledger.on_chain(scene.receipt_of(root.lines[place]))
    done = scene.ledger.challenge("Receipt", root.epoch, *several(root, [place]), receipt)
    falls(scene, root, "receipt", done)


def test_anothers_line_of_what_a_provider_did(scene: Scene) -> None:
    entries = scene.entries()
    place = scene.root.of(scene.ledger.node(6).address, Share.PROVIDER)[0]
    thief = scene.ledger.node(7).address
    entries[place] = (thief, *entries[place][1:])
    root = scene.forged(entries)
    (stolen,) = [i for i in root.of(thief, Share.PROVIDER) if root.lines[i].receipt == entries[place][2]]
    receipt = scene.ledger.on_chain(scene.receipt_of(root.lines[stolen]))
    falls(scene, root, "receipt", scene.ledger.challenge("Receipt", root.epoch, *several(root, [stolen]), receipt))


@pytest.mark.parametrize("role", [Share.VERIFIER, Share.SETTLER, Share.HUB, Share.PUBLISHER])
def test_shares_that_are_too_much_together(scene: Scene, role: Share) -> None:
    entries = scene.entries()
    place = scene.root.role(role)[0]
    receipt = entries[place][2]
    more = 15 * PRICE // 100 if role in (Share.VERIFIER, Share.SETTLER) else entries[place][3]
    entries += [(bytes([i]) * 20, role, receipt, more - 1) for i in (1, 2, 3)]
    root = scene.forged(entries)
    places = [i for i in root.role(role) if root.lines[i].receipt == receipt]
    given = scene.ledger.on_chain(scene.receipt_of(root.lines[places[0]]))
    for one in places:
        survives(scene.ledger, "Receipt", root.epoch, *several(root, [one]), given)
    falls(scene, root, "receipt", scene.ledger.challenge("Receipt", root.epoch, *several(root, places), given))


def test_a_royalty_that_is_paid_to_provider_and_publisher(scene: Scene) -> None:
    entries = scene.entries()
    place = scene.root.role(Share.PROVIDER)[0]
    entries[place] = (*entries[place][:3], entries[place][3] + PRICE * 10 // 100)  # as if there were no royalty
    root = scene.forged(entries)
    receipt = root.lines[place].receipt
    places = [i for i in root.role(Share.PROVIDER) + root.role(Share.PUBLISHER) if root.lines[i].receipt == receipt]
    given = scene.ledger.on_chain(scene.receipt_of(root.lines[place]))
    for one in places:
        survives(scene.ledger, "Receipt", root.epoch, *several(root, [one]), given)
    done = scene.ledger.challenge("Receipt", root.epoch, *several(root, sorted(places)), given)
    falls(scene, root, "receipt", done)


def test_one_line_shown_twice_is_one_line(scene: Scene) -> None:
    scene.ledger.post(scene.root)
    place = scene.root.role(Share.PROVIDER)[0]
    given = scene.ledger.on_chain(scene.receipt_of(scene.root.lines[place]))
    with pytest.raises(Reverted, match="NotOfReceipt"):
        scene.ledger.challenge("Receipt", scene.epoch, *several(scene.root, [place, place]), given)


# Receipts that do not belong


def test_a_receipt_without_a_providers_line(scene: Scene) -> None:
    provider, receipt = scene.ledger.node(6).address, scene.receipts[1].receipt.digest(scene.ledger.domain)
    root = scene.forged([e for e in scene.entries() if (e[0], e[2]) != (provider, receipt)])
    place = next(i for i in root.role(Share.HUB) if root.lines[i].receipt == receipt)
    gap = next(i for i, e in enumerate(root.lines) if (e.account, e.role, e.receipt) > (provider, 1, receipt))
    given = scene.ledger.on_chain(scene.receipts[1])
    survives(scene.ledger, "Orphan", root.epoch, *several(root, [place, gap, gap + 1]), given)
    done = scene.ledger.challenge("Orphan", root.epoch, *several(root, [place, gap - 1, gap]), given)
    falls(scene, root, "orphan", done)


@pytest.mark.parametrize("end", ["first", "last"])
def test_a_receipt_without_a_providers_line_at_either_end(scene: Scene, end: str) -> None:
    ledger = scene.ledger
    of = sorted((ledger.node(i).address for i in range(4)), reverse=end == "first")
    # A made-up receipt, whose provider would stand before all lines or behind them.
    signed = next(
        s for s in (ledger.receipt(node, 100, 99) for node in range(100, 200))
        if (s.receipt.provider < min(of) if end == "first" else s.receipt.provider > max(of))
    )  # fmt: skip
    digest = signed.receipt.digest(ledger.domain)
    root = scene.forged([(of[0], Share.VERIFIER, digest, 1), (of[1], Share.VERIFIER, digest, 1)])
    edge = 0 if end == "first" else 1
    for place in (0, 1):
        args = (root.epoch, *several(root, [place, 1 - edge]), ledger.on_chain(signed))
        survives(ledger, "Orphan", *args)
    done = ledger.challenge("Orphan", root.epoch, *several(root, [0, edge]), ledger.on_chain(signed))
    falls(scene, root, "orphan", done)


def test_a_gap_needs_its_neighbours(scene: Scene) -> None:
    """Lines that are not next to each other leave room for the very line that is said to be missing."""
    ledger, root = scene.ledger, scene.root
    ledger.post(root)
    line = root.lines[root.role(Share.HUB)[0]]
    given = ledger.on_chain(scene.receipt_of(line))
    here, last = line.index, len(root.lines) - 1
    own = next(i for i in root.role(Share.PROVIDER) if root.lines[i].receipt == line.receipt)
    for places in ([here, own - 1, own + 1], [here, 0, own, last], [here, 0], [here, last], [here, 0, 1, last]):
        survives(ledger, "Orphan", root.epoch, *several(root, places), given)


def paying_the_accused(court: Court, *, before: bool) -> tuple[int, Root, int, int]:
    """A root that pays a receipt which is refused by now, since before the next epoch was opened or after; its epoch,
    the place of that line, and of another one."""
    epochs, domain = court.epochs, court.case.network.domain
    court.bonds.token.send("transfer", epochs.call("tillOf", court.provider), 100)
    if before:
        court.accuse()
        court.evm.forward(DAY)  # nobody contested it
    epoch = epochs.send("collect", court.provider).event("Collected").values["epoch"]
    court.evm.forward(EPOCH_SECONDS)
    epochs.send("open")
    digest = court.case.receipt.receipt.digest(domain)
    lines = fit([(court.provider, Share.PROVIDER, b"\x01" * 32, 1), (court.provider, Share.PROVIDER, digest, 1)])
    root = Root(epoch, lines, 2, bytes(32), 2)
    signers = sorted(court.case.keys, key=lambda key: key.address)
    signatures = [key.sign(EPOCH_ROOT.digest(domain, *root.values)) for key in signers]
    epochs.send("post", *root.values, [key.address for key in signers], signatures)
    if not before:
        court.accuse()
        court.evm.forward(DAY)
    assert court.evidence.call("isRefused", digest)
    other, line = (0, 1) if lines[1].receipt == digest else (1, 0)
    return epoch, root, line, other


def test_a_receipt_that_a_quorum_refused() -> None:
    court = Court()
    epoch, root, line, other = paying_the_accused(court, before=True)
    with pytest.raises(Reverted, match="NothingWrong"):
        court.epochs.send("challengeRefused", epoch, *root.shown(other))
    done = court.epochs.send("challengeRefused", epoch, *root.shown(line))
    assert done.event("Challenged").values["reason"] == "refused"


def test_a_receipt_that_was_refused_when_its_settlers_had_signed_is_not_their_fault() -> None:
    """Else who has an answer refused just behind a root brings honest settlers down, and has a part of their bonds."""
    court = Court()
    epoch, root, line, _ = paying_the_accused(court, before=False)
    with pytest.raises(Reverted, match="NothingWrong"):
        court.epochs.send("challengeRefused", epoch, *root.shown(line))


def test_a_receipt_that_an_earlier_root_pays(scene: Scene) -> None:
    ledger, first = scene.ledger, scene.root
    ledger.post(first)
    epoch = ledger.earn(6, 3 * PRICE)
    ledger.next_epoch()
    second = ledger.honest(
        epoch, [ledger.claimed(scene.receipts[0], verifiers=()), ledger.claimed(ledger.receipt(6, 5, 9))]
    )
    ledger.post(second)
    again = second.role(Share.PROVIDER)
    paid = first.of(ledger.node(6).address, Share.PROVIDER)
    twin = {first.lines[i].receipt: i for i in paid}
    for place in second.role(Share.PROVIDER) + second.role(Share.HUB):
        line = second.lines[place]
        if line.receipt in twin:
            survives(ledger, "Paid", first.epoch, *first.shown(twin[line.receipt]), epoch, *second.shown(place))
        else:
            survives(ledger, "Paid", epoch, *second.shown(place), first.epoch, *first.shown(paid[0]))
    place = next(i for i in again if second.lines[i].receipt in twin)
    survives(ledger, "Paid", epoch, *second.shown(place), epoch, *second.shown(place))
    done = ledger.challenge(
        "Paid", epoch, *second.shown(place), first.epoch, *first.shown(twin[second.lines[place].receipt])
    )
    falls(scene, second, "paid", done)
    assert ledger.status(first.epoch) == 1


# Revenue


def test_more_than_a_provider_took_in(scene: Scene) -> None:
    ledger, provider = scene.ledger, scene.ledger.node(6).address
    signed = ledger.receipt(6, PRICE, 3)  # one more, for which nobody paid
    epoch = scene.epoch
    claims = [ledger.claimed(s, verifiers=()) for s in [*scene.receipts[:3], signed]]
    shares = Shares(*ledger.split.call("sharesOf", epoch).values())
    found = lines_of(claims, {provider: 4 * PRICE}, shares, (), {}, bytes(32))
    root = Root(epoch, found.lines, found.total, found.receipts, len(found.lines))
    ledger.post(root)
    p = root.of(provider, Share.PROVIDER)
    survives(ledger, "Revenue", epoch, *several(root, [p[0], p[2]]))
    falls(scene, root, "revenue", ledger.challenge("Revenue", epoch, *several(root, [p[0], p[3]])))


@pytest.mark.parametrize("beside", [False, True])
def test_more_for_no_receipts_than_is_left(scene: Scene, beside: bool) -> None:
    ledger, provider = scene.ledger, scene.ledger.node(6).address
    entries = [e for e in scene.entries() if beside and e[0] == provider]
    place = scene.root.of(provider, Share.UNRECEIPTED)[0]
    revenue = ledger.epochs.call("revenueOf", scene.epoch, provider)
    entry = scene.entries()[place]
    # Alone: more than its part of everything. Beside receipts: that part of everything is too much.
    wrong = (*entry[:3], revenue * 40 // 100 + (0 if beside else 1))
    root = scene.forged([wrong if e == entry else e for e in entries] or [wrong])
    (rest,) = root.of(provider, Share.UNRECEIPTED)
    if not beside:
        done = ledger.challenge("Revenue", scene.epoch, *several(root, [rest]))
    else:
        survives(ledger, "Revenue", scene.epoch, *several(root, [rest]))
        p = root.of(provider, Share.PROVIDER)
        done = ledger.challenge("Revenue", scene.epoch, *several(root, [p[0], p[-1], rest]))
    falls(scene, root, "revenue", done)


def test_lines_of_two_accounts_are_not_one_providers(scene: Scene) -> None:
    ledger, root = scene.ledger, scene.root
    ledger.post(root)
    ours, theirs = (root.of(ledger.node(i).address, Share.PROVIDER) for i in (6, 7))
    (rest,) = root.of(ledger.node(6).address, Share.UNRECEIPTED)
    first, last = sorted([ours[0], theirs[-1]])
    for places in (
        [first, last],
        [ours[-1], ours[0]],
        [rest, rest],
        [ours[0]],
        [ours[0], rest],
        [ours[0], ours[1], rest, rest],
    ):
        survives(ledger, "Revenue", root.epoch, *several(root, places))


# A right root survives everything


def test_a_right_root_survives_every_challenge(scene: Scene) -> None:
    ledger, root = scene.ledger, scene.root
    ledger.post(root)
    lines, epoch = root.lines, root.epoch
    for i in range(len(lines)):
        survives(ledger, "Line", epoch, *root.shown(i))
        survives(ledger, "Refused", epoch, *root.shown(i))
        survives(ledger, "Order", epoch, *root.shown(i), *root.shown((i + 1) % len(lines)))
        survives(ledger, "Order", epoch, *root.shown(i), *root.shown(i))
    for signed in scene.receipts:
        digest, given = signed.receipt.digest(ledger.domain), ledger.on_chain(signed)
        places = [i for i, line in enumerate(lines) if line.receipt == digest]
        survives(ledger, "Receipt", epoch, *several(root, places), given)
        for place in places:
            survives(ledger, "Receipt", epoch, *several(root, [place]), given)
            key = (signed.receipt.provider, Share.PROVIDER, digest)
            at = next(i for i, e in enumerate(lines) if (e.account, e.role, e.receipt) >= key)
            for gap in {max(at, 1), at + 1}:
                survives(ledger, "Orphan", epoch, *several(root, [place, gap - 1, gap]), given)
    for node in (6, 7):
        p, (rest,) = (root.of(ledger.node(node).address, role) for role in (Share.PROVIDER, Share.UNRECEIPTED))
        for places in ([p[0], p[-1]], [rest], [p[0], p[-1], rest], [p[1], p[1], rest]):
            survives(ledger, "Revenue", epoch, *several(root, places))
    assert ledger.status(epoch) == 1


def test_a_line_has_to_be_in_the_tree(scene: Scene) -> None:
    ledger, root = scene.ledger, scene.root
    ledger.post(root)
    line, proof = root.shown(1)
    bad = line | {"index": root.count}
    given = ledger.on_chain(scene.receipts[0])
    for name, args in [
        ("Line", (bad, proof)), ("Refused", (bad, proof)), ("Order", (line, proof, bad, proof)),
        ("Receipt", ([bad], [proof], given)), ("Revenue", ([bad], [proof])),
        ("Orphan", ([bad, bad], [proof, proof], given)), ("Paid", (bad, proof, root.epoch, line, proof)),
    ]:  # fmt: skip
        with pytest.raises(Reverted, match="NotInTree"):
            ledger.challenge(name, root.epoch, *args)


def test_a_final_root_is_not_challenged(scene: Scene) -> None:
    ledger = scene.ledger
    root = scene.changed(0, sum_before=Amount(1))
    ledger.evm.forward(WINDOW + 100)
    ledger.epochs.send("finalise", root.epoch)
    with pytest.raises(Reverted, match="NotPosted"):
        ledger.challenge("Line", root.epoch, *root.shown(0))


# What follows a fall


def test_a_cancelled_root_never_comes_back_and_another_may(scene: Scene) -> None:
    ledger = scene.ledger
    wrong = scene.changed(0, sum_before=Amount(1))
    ledger.challenge("Line", wrong.epoch, *wrong.shown(0))
    for receipts in (wrong.receipts, b"\x01" * 32):
        with pytest.raises(Reverted, match="CancelledBefore"):
            ledger.post(replace(wrong, receipts=receipts))
    signers = sorted(ledger.node(i).address for i in SETTLERS)
    ledger.epochs.send("punish", wrong.epoch, wrong.tree.root, wrong.count, wrong.total, signers)
    ledger.post(scene.root)  # half of their stake is left, and they may mend it
    ledger.finalise(scene.epoch)
    assert ledger.status(scene.epoch) == 2


def test_signers_are_punished_once_and_no_others(scene: Scene) -> None:
    ledger = scene.ledger
    wrong = scene.changed(0, sum_before=Amount(1))
    args = (wrong.epoch, wrong.tree.root, wrong.count, wrong.total)
    signers = sorted(ledger.node(i).address for i in SETTLERS)
    with pytest.raises(Reverted, match="NotItsSigners"):
        ledger.epochs.send("punish", *args, signers)  # it has not fallen
    ledger.challenge("Line", wrong.epoch, *wrong.shown(0))
    for others in (signers[:3], signers[::-1], [*signers, ledger.node(4).address], [ledger.node(4).address], []):
        with pytest.raises(Reverted, match="NotItsSigners"):
            ledger.epochs.send("punish", *args, others)
    ledger.epochs.send("punish", *args, signers)
    with pytest.raises(Reverted, match="NotItsSigners"):
        ledger.epochs.send("punish", *args, signers)
    assert ledger.epochs.call("fallenOf", *args) == {"challenger": ledger.challenger.address, "unpunished": False}
