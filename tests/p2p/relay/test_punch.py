"""The talk before a hole is punched: both dial at one moment, and nobody is made to dial what is not the other's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p import bounds
from p2p.reach.places import Places
from p2p.relay.messages import Addresses, Sync
from p2p.relay.punch import Dial, Punch, Say, worth_dialling
from p2p.standing.ranges import wide_range_of
from wire.errors import ErrorCode, RemoteError

PLACES = Places(wide_range_of)
OURS, THEIRS = "/ip4/203.0.113.1/tcp/4001", "/ip4/198.51.100.1/tcp/4001"


@given(st.floats(0.001, 2.0), st.floats(-0.5, 0.5))
def test_both_dial_at_the_same_moment(delay: float, skew: float) -> None:
    """`delay`: one way over the relay. `skew`: how far the two clocks are apart; neither may matter."""
    first, second = Punch(True, [OURS], PLACES), Punch(False, [THEIRS], PLACES)
    (connect,) = first.begin(0.0)
    assert isinstance(connect, Say)
    (reply,) = second.heard(connect.message, delay + skew)
    assert isinstance(reply, Say)
    sync, dial = first.heard(reply.message, 2 * delay)
    assert sync == Say(Sync())
    (other,) = second.heard(Sync(), 3 * delay + skew)
    assert isinstance(dial, Dial)
    assert isinstance(other, Dial)
    assert dial.at == pytest.approx(other.at - skew)
    assert (dial.addresses, other.addresses) == ((THEIRS,), (OURS,))
    assert (dial.as_client, other.as_client) == (False, True)
    assert first.done
    assert second.done


@pytest.mark.parametrize(
    ("address", "ours", "dialled"),
    [
        (THEIRS, OURS, True),
        ("/ip6/2a00::1/tcp/1", OURS, True),
        ("/ip4/192.168.1.1/tcp/80", OURS, False),  # what stands behind our router
        ("/ip4/127.0.0.1/tcp/22", OURS, False),
        ("/ip6/::1/tcp/22", OURS, False),
        ("/ip6/::ffff:127.0.0.1/tcp/22", OURS, False),
        ("/ip4/0.0.0.0/tcp/22", OURS, False),
        ("/ip4/127.0.0.1/tcp/22", "/ip4/127.0.0.1/tcp/1", True),  # all of us are on one machine
        ("/ip4/198.51.100.1/udp/1", OURS, False),
        ("/dns4/victim.example/tcp/80", OURS, False),
        ("nonsense", OURS, False),
    ],
)
def test_only_the_worlds_addresses_are_dialled_or_as_near_as_we_are(address: str, ours: str, dialled: bool) -> None:
    assert worth_dialling([address], [ours], PLACES) == ((address,) if dialled else ())


def test_few_addresses_are_dialled_for_one_peer() -> None:
    many = [f"/ip4/198.51.100.{n}/tcp/1" for n in range(200)]
    assert len(worth_dialling(many, [OURS], PLACES)) == bounds.PUNCH_ADDRESSES


@given(st.booleans(), st.lists(st.sampled_from([Addresses((THEIRS,)), Addresses(()), Sync()]), max_size=6))
def test_any_order_ends_in_one_dial_or_in_an_error(first: bool, messages: list[Addresses | Sync]) -> None:
    punch = Punch(first, [OURS], PLACES)
    punch.begin(0.0)
    dials = 0
    for number, message in enumerate(messages):
        try:
            dials += sum(isinstance(action, Dial) for action in punch.heard(message, float(number)))
        except RemoteError as error:
            assert error.code is ErrorCode.BAD_FRAME  # noqa: PT017 — both outcomes are right
            break
    assert dials <= 1
    assert punch.done == (dials == 1)
