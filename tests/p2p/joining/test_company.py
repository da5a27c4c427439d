"""Whom a peer dials: all it knows while it is alone, and then on until it has friends in several ranges."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from p2p import bounds
from p2p.joining.company import BOOK, HEARD, SEED, Candidate, Company, Contact
from p2p.joining.peerbook import PeerBook, SavedPeer
from p2p.standing.ranges import wide_range_of


def at(n: int, peer: str = "") -> str:
    return f"/ip4/{20 + n // 200}.{n % 200}.1.1/tcp/4001" + (f"/p2p/{peer}" if peer else "")


def candidate(n: int, source: str = SEED) -> Candidate:
    return Candidate(f"{source} {n}", (at(n, f"{source} {n}"),), source)


def book(*numbers: int) -> list[SavedPeer]:
    kept = PeerBook(None)
    for n in numbers:
        kept.note(f"old {n}", [], n, reached=at(n))
    return kept.latest()


def contact(n: int, *, outgoing: bool = True) -> Contact:
    return Contact(f"peer {n}", at(n), outgoing, n)


def company(*, grows: bool = True) -> Company:
    return Company(Random(1), wide_range_of, grows=grows)


def test_alone_anchors_come_first_and_then_seeds_and_old_peers_in_turn() -> None:
    kept = PeerBook(None)
    for n in range(10):
        kept.note(f"old {n}", [], n, reached=at(n))
    kept.anchor(["old 0"])
    chosen = company().plan(0.0, [], [candidate(50), candidate(51)], kept.latest(), ())
    assert [one.peer for one in chosen][:5] == ["old 0", f"{SEED} 50", f"{SEED} 51", "old 9", "old 8"]
    assert len(chosen) == bounds.BOOT_BATCH


def test_one_old_peer_that_is_up_is_found_although_every_seed_and_all_others_are_down() -> None:
    machine, now, dialled = company(), 0.0, set[str]()
    old = book(*range(bounds.BOOK_PEERS))
    last = old[-1].peer
    while last not in dialled:
        for one in machine.plan(now, [], [candidate(900)], old, ()):
            dialled.add(one.peer)
            machine.ended(one, now + 15.0, worked=False)
        now += max(0.01, machine.wait(now))
    assert now < 25  # batch after batch, and nobody was waited for


def test_alone_one_that_failed_is_tried_again_later_each_time() -> None:
    machine, now, tries = company(), 0.0, list[float]()
    while now < 400:
        chosen = machine.plan(now, [], [candidate(1)], [], ())
        for one in chosen:
            tries.append(now)
            machine.ended(one, now, worked=False)
        now += 0.0 if chosen else max(0.01, machine.wait(now))  # an end is a reason to look again
    pauses = [after - before for before, after in pairwise(tries)]
    wanted = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(0.75 * w <= p <= 1.25 * w + 0.02 for p, w in zip(pauses, wanted, strict=False))
    assert (
        len({round(pause / w, 3) for pause, w in zip(pauses, wanted, strict=False)}) > 3
    )  # peers must not march in step


def test_addresses_of_one_peer_from_several_sides_are_one_dial() -> None:
    kept = PeerBook(None)
    kept.note("x", [], 1, reached=at(1))
    kept.anchor(["x"])
    (one,) = company().plan(0.0, [], [Candidate("x", (at(2, "x"),), SEED)], kept.latest(), ())
    assert one.source == SEED
    assert set(one.addresses) == {at(1, "x"), at(2, "x")}


def test_alone_and_with_every_seed_down_those_heard_of_will_do() -> None:
    (one,) = company().plan(0.0, [], [], [], [candidate(1, HEARD)])
    assert one.source == HEARD


def grown(machine: Company, contacts: list[Contact], candidates: list[Candidate], until: float) -> list[Candidate]:
    now, chosen = 0.0, list[Candidate]()
    while now < until:
        for one in machine.plan(now, contacts, [], [], candidates):
            chosen.append(one)
            machine.ended(one, now, worked=True)
            contacts.append(Contact(one.peer, one.addresses[0], True, int(now)))
        now += max(0.01, machine.wait(now))
    return chosen


def test_with_company_one_more_is_dialled_now_and_then_until_there_are_several_ranges() -> None:
    contacts = [contact(500)]
    chosen = grown(company(), contacts, [candidate(n, HEARD) for n in range(20)], 1000.0)
    assert len(chosen) == bounds.OUTBOUND - 1
    assert len({wide_range_of(one.address) for one in contacts}) == bounds.OUTBOUND


def test_a_peer_in_whose_book_one_range_has_most_places_still_dials_into_others() -> None:
    crowd = [Candidate(f"sybil {n}", (f"/ip4/66.6.{n}.1/tcp/1/p2p/sybil",), HEARD) for n in range(40)]
    contacts = list[Contact]([Contact("sybil", "/ip4/66.6.0.1/tcp/1", True, 0)])
    grown(company(), contacts, [*crowd, *(candidate(n, HEARD) for n in range(3))], 1000.0)
    assert len({wide_range_of(one.address) for one in contacts}) == bounds.OUTBOUND


def test_a_strangers_word_leads_to_no_address_of_this_machine_or_lan() -> None:
    crowd = [
        Candidate(f"near {n}", (at(n, f"near {n}"), f"{where}/tcp/80/p2p/near"), HEARD)
        for n, where in enumerate(("/ip4/127.0.0.1", "/ip4/192.168.1.1", "/ip6/fe80::1", "/dns4/localhost"))
    ]
    over_a_relay = Contact("relayed", "/ip4/20.0.1.1/tcp/4001/p2p/relay/p2p-circuit", False, 0)
    assert not grown(company(), [contact(1), over_a_relay], crowd, 200.0)
    assert not company().plan(0.0, [], [], [], crowd)
    in_the_lan = Contact("neighbour", "/ip4/192.168.1.7/tcp/4001", True, 0)
    assert len(grown(company(), [in_the_lan], crowd, 200.0)) == bounds.OUTBOUND - 1


def test_those_who_came_in_are_no_company_of_ours() -> None:
    contacts = [contact(n, outgoing=False) for n in range(100, 150)]
    assert len(grown(company(), contacts, [candidate(n, HEARD) for n in range(20)], 1000.0)) == bounds.OUTBOUND


def test_one_range_alone_is_not_filled_up_with_connections() -> None:
    crowd = [Candidate(f"same {n}", (f"/ip4/66.6.{n}.1/tcp/1/p2p/same",), HEARD) for n in range(40)]
    contacts = [Contact("same", "/ip4/66.6.0.1/tcp/1", True, 0)]
    grown(company(), contacts, crowd, 2000.0)
    assert len(contacts) == bounds.OUTBOUND


def test_a_command_that_asks_and_goes_wants_no_more_than_one() -> None:
    assert not grown(company(grows=False), [contact(1)], [candidate(2, HEARD)], 1000.0)


def test_seeds_are_the_last_to_be_asked_for_more_company() -> None:
    machine = company()
    machine.plan(0.0, [contact(1)], [], [], ())
    (one,) = machine.plan(bounds.BOOT_GROW, [contact(1)], [candidate(2)], book(3), [candidate(4, HEARD)])
    assert one.source == BOOK


def test_a_seed_that_fails_is_left_alone_for_longer_where_there_is_company() -> None:
    machine, now, tries = company(), 0.0, 0
    while now < 3600:
        for one in machine.plan(now, [contact(1)], [candidate(2)], [], ()):
            tries += 1
            machine.ended(one, now, worked=False)
        now += max(0.01, machine.wait(now))
    assert 3 <= tries <= 14


def test_the_anchors_are_the_oldest_of_those_dialled_and_of_different_ranges() -> None:
    near = Contact("near", at(1).replace(".1.1/", ".1.9/"), True, 2)
    contacts = [contact(0, outgoing=False), contact(1), near, contact(5), contact(6)]
    assert company().anchors(contacts) == ["peer 1", "peer 5"]


@given(st.data())
def test_whatever_happens_it_rests_between_looks_and_dials_nobody_twice_at_once(data: st.DataObject) -> None:
    machine, now = company(), 0.0
    under_way = list[Candidate]()
    seeds, old = [candidate(n) for n in range(12)], book(*range(100, 130))
    contacts = list[Contact]()
    looks = 0
    for _ in range(data.draw(st.integers(1, 60))):
        chosen = machine.plan(now, contacts, seeds, old, [candidate(77, HEARD)])
        assert not {one.peer for one in chosen} & {one.peer for one in under_way}
        assert not {one.peer for one in chosen} & {one.peer for one in contacts}
        under_way += chosen
        assert len(under_way) <= bounds.BOOT_AT_ONCE
        looks = looks + 1 if machine.wait(now) == 0 else 0
        assert looks < 3
        if under_way and data.draw(st.booleans()):
            one = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            worked = data.draw(st.booleans())
            machine.ended(one, now, worked=worked)
            if worked:
                contacts.append(Contact(one.peer, one.addresses[0], True, int(now)))
        elif contacts and data.draw(st.booleans()):
            contacts.pop()
        else:
            now += machine.wait(now)
