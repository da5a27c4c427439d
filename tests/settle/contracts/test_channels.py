"""Channels by its rules: who may do what, how much, when, and what it says of it."""

from __future__ import annotations

import pytest

from settle.artefacts import artefact
from tests.settle.contracts.desk import DELAY, EMPTY, MOST, Desk, evm_signature, fields
from tests.settle.evm import Reverted
from wire.payment import MAX_WITHDRAW_DELAY, MIN_WITHDRAW_DELAY

NOBODY = bytes(20)


@pytest.fixture
def desk() -> Desk:
    return Desk()


# Deposits


def test_a_deposit_opens_a_channel_and_another_adds_to_it(desk: Desk) -> None:
    channel = desk.config.id(desk.domain)
    for amount, balance in [(70, 70), (30, 100)]:
        done = desk.deposit(amount)
        assert done.event("Deposited").values == {
            "channelId": channel, "payer": desk.payer.address, "receiver": desk.receiver.address, "amount": amount,
        }  # fmt: skip
        assert desk.state() == (balance, 0)
    assert desk.has(desk.channels.address) == 100


@pytest.mark.parametrize("delay", [MIN_WITHDRAW_DELAY, MAX_WITHDRAW_DELAY])
def test_delays_reach_from_fifteen_minutes_to_thirty_days(desk: Desk, delay: int) -> None:
    config = desk.other(withdraw_delay=delay)
    desk.deposit(1, config)
    assert desk.state(config) == (1, 0)


@pytest.mark.parametrize("delay", [0, MIN_WITHDRAW_DELAY - 1, MAX_WITHDRAW_DELAY + 1, 2**40 - 1])
def test_other_delays_are_refused(desk: Desk, delay: int) -> None:
    with pytest.raises(Reverted, match=rf"BadWithdrawDelay\(withdrawDelay {delay}\)"):
        desk.deposit(1, desk.other(withdraw_delay=delay))


@pytest.mark.parametrize("missing", ["payer", "receiver", "receiver_authorizer", "token"])
def test_a_channel_that_lacks_somebody_is_refused(desk: Desk, missing: str) -> None:
    with pytest.raises(Reverted, match="BadChannel"):
        desk.deposit(1, desk.other(**{missing: NOBODY}))


def test_a_channel_that_pays_the_contract_itself_is_refused(desk: Desk) -> None:
    with pytest.raises(Reverted, match="BadChannel"):  # what is settled to it could never leave it
        desk.deposit(1, desk.other(receiver=desk.channels.address))


def test_no_deposit_of_nothing_and_none_of_more_than_there_is(desk: Desk) -> None:
    with pytest.raises(Reverted, match="NoAmount"):
        desk.deposit(0)
    desk.token.send("transfer", desk.stranger.address, 10, by=desk.payer)
    with pytest.raises(Reverted, match="ERC20InsufficientBalance"):
        desk.deposit(11, by=desk.stranger)
    desk.token.send("approve", desk.channels.address, 5, by=desk.payer)
    with pytest.raises(Reverted, match="ERC20InsufficientAllowance"):
        desk.channels.send("deposit", fields(desk.config), 6, by=desk.payer)
    assert desk.state() == (0, 0)


def test_somebody_else_may_add_with_tokens_of_its_own_and_they_are_the_payers_then(desk: Desk) -> None:
    desk.token.send("transfer", desk.stranger.address, 10, by=desk.payer)
    desk.deposit(10, by=desk.stranger)
    desk.channels.send("refund", fields(desk.config), 10, by=desk.authorizer)
    assert desk.has(desk.stranger.address) == 0
    assert desk.has(desk.payer.address) == desk.token.call("SUPPLY")


# Claims


def test_vouchers_add_up_and_each_claim_takes_what_is_new(desk: Desk) -> None:
    desk.deposit(100)
    for total, adds in [(30, 30), (75, 45), (100, 25)]:
        done = desk.claim(desk.entry(total))
        assert done.event("Claimed").values == {
            "channelId": desk.config.id(desk.domain), "receiver": desk.receiver.address, "amount": adds,
            "totalClaimed": total,
        }  # fmt: skip
    assert desk.state() == (100, 100)
    assert desk.channels.call("receivers", desk.receiver.address, desk.token.address) == {
        "totalClaimed": 100, "totalSettled": 0,
    }  # fmt: skip


def test_less_may_be_claimed_than_the_voucher_allows_and_the_rest_later_with_the_same_one(desk: Desk) -> None:
    desk.deposit(100)
    desk.claim(desk.entry(80, 50))
    desk.claim(desk.entry(80, 80))
    assert desk.state() == (100, 80)


def test_a_claim_above_its_voucher_is_refused(desk: Desk) -> None:
    desk.deposit(100)
    with pytest.raises(Reverted, match=r"AboveVoucher\(.*totalClaimed 51, maxClaimableAmount 50\)"):
        desk.claim(desk.entry(50, 51))


def test_a_claim_above_the_deposit_is_refused(desk: Desk) -> None:
    desk.deposit(100)
    with pytest.raises(Reverted, match=r"AboveBalance\(.*totalClaimed 101, balance 100\)"):
        desk.claim(desk.entry(200, 101))
    desk.claim(desk.entry(200, 100))  # a voucher for more than there is counts for what there is


def test_a_claim_from_a_channel_that_was_never_opened_is_refused(desk: Desk) -> None:
    with pytest.raises(Reverted, match="AboveBalance"):
        desk.claim(desk.entry(1))


def test_what_was_claimed_before_is_passed_over_and_the_rest_of_the_batch_holds(desk: Desk) -> None:
    second, third = desk.other(salt=b"2" * 32), desk.other(salt=b"3" * 32)
    for config in (desk.config, second, third):
        desk.deposit(100, config)
    desk.claim(desk.entry(60))
    done = desk.claim(desk.entry(40), desk.entry(5, config=second), desk.entry(60), desk.entry(7, config=third))
    assert [event.values["amount"] for event in done.events] == [5, 7]
    assert [desk.state(config) for config in (desk.config, second, third)] == [(100, 60), (100, 5), (100, 7)]


def test_one_channel_may_stand_in_a_batch_more_than_once(desk: Desk) -> None:
    desk.deposit(100)
    done = desk.claim(desk.entry(10), desk.entry(30), desk.entry(20))
    assert [event.values["amount"] for event in done.events] == [10, 20]
    assert desk.state() == (100, 30)


def test_one_wrong_claim_undoes_the_batch(desk: Desk) -> None:
    second = desk.other(salt=b"2" * 32)
    desk.deposit(100)
    desk.deposit(100, second)
    with pytest.raises(Reverted, match=f"AboveBalance.*{second.id(desk.domain).hex()}"):
        desk.claim(desk.entry(60), desk.entry(101, config=second))
    assert desk.state() == (100, 0)


@pytest.mark.parametrize("who", ["receiver", "authorizer"])
def test_the_receiver_and_its_authorizer_claim(desk: Desk, who: str) -> None:
    desk.deposit(100)
    desk.claim(desk.entry(40), by=getattr(desk, who))
    assert desk.state() == (100, 40)


@pytest.mark.parametrize("who", ["payer", "signer", "stranger"])
def test_nobody_else_claims(desk: Desk, who: str) -> None:
    desk.deposit(100)
    with pytest.raises(Reverted, match="NotReceiver"):
        desk.claim(desk.entry(40), by=getattr(desk, who))


def test_a_receiver_does_not_claim_for_another(desk: Desk) -> None:
    strange = desk.other(receiver=desk.stranger.address, receiver_authorizer=desk.stranger.address)
    desk.deposit(100)
    desk.deposit(100, strange)
    with pytest.raises(Reverted, match="NotReceiver"):
        desk.claim(desk.entry(40), desk.entry(40, config=strange))


def test_anyone_claims_with_the_authorizers_signature(desk: Desk) -> None:
    second = desk.other(salt=b"2" * 32, receiver=desk.evm.account(9).address)
    desk.deposit(100)
    desk.deposit(50, second)
    desk.claim_signed(desk.entry(40), desk.entry(50, config=second))
    assert (desk.state(), desk.state(second)) == ((100, 40), (50, 50))


def test_a_batch_that_was_signed_is_claimed_as_it_was_signed(desk: Desk) -> None:
    second = desk.other(salt=b"2" * 32)
    desk.deposit(100)
    desk.deposit(100, second)
    one, other = desk.entry(40), desk.entry(30, config=second)
    signature = evm_signature(desk.authorizer, desk.channels.call("getClaimBatchDigest", [one, other]))
    for batch in ([one], [other, one], [one, other, one], [one, desk.entry(30, 29, config=second)]):
        with pytest.raises(Reverted, match="BadAuthorization"):
            desk.channels.send("claimWithSignature", batch, signature, by=desk.stranger)
    for _ in range(2):  # the second time it changes nothing
        desk.channels.send("claimWithSignature", [one, other], signature, by=desk.stranger)
        assert (desk.state(), desk.state(second)) == ((100, 40), (100, 30))


def test_one_authorizers_signature_does_not_reach_anothers_channels(desk: Desk) -> None:
    strange = desk.other(receiver_authorizer=desk.stranger.address)
    desk.deposit(100, strange)
    desk.deposit(100)
    with pytest.raises(Reverted, match="BadAuthorization"):
        desk.claim_signed(desk.entry(40), key=desk.stranger)
    with pytest.raises(Reverted, match="NotReceiver"):
        desk.claim_signed(desk.entry(40, config=strange), desk.entry(40), key=desk.stranger)


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_has_one_to_a_hundred_claims(desk: Desk, count: int) -> None:
    desk.deposit(100)
    batch = [desk.entry(1)] * count
    with pytest.raises(Reverted, match=rf"BadBatch\(count {count}\)"):
        desk.claim(*batch)
    with pytest.raises(Reverted, match=rf"BadBatch\(count {count}\)"):
        desk.channels.send("claimWithSignature", batch, bytes(65), by=desk.stranger)


def test_a_hundred_channels_in_one_claim(desk: Desk) -> None:
    configs = [desk.other(salt=bytes([i]) * 32) for i in range(100)]
    for config in configs:
        desk.deposit(10, config)
    done = desk.claim_signed(*(desk.entry(4, config=config) for config in configs))
    assert len(done.events) == 100
    assert {desk.state(config) for config in configs} == {(10, 4)}
    assert done.gas < 100 * 24_000  # of which 2,000 are for bytes and 5,000 for a slot that was never written before


# Settling


def test_anyone_sends_a_receiver_what_was_claimed_for_it_once(desk: Desk) -> None:
    second = desk.other(payer=desk.stranger.address)
    desk.deposit(100)
    desk.deposit(50, second)
    desk.claim(desk.entry(40), desk.entry(50, config=second))
    done = desk.channels.send("settle", desk.receiver.address, desk.token.address, by=desk.stranger)
    assert done.event("Settled").values == {
        "receiver": desk.receiver.address, "token": desk.token.address, "sender": desk.stranger.address, "amount": 90,
    }  # fmt: skip
    assert desk.has(desk.receiver.address) == 90
    again = desk.channels.send("settle", desk.receiver.address, desk.token.address, by=desk.stranger)
    assert again.events == ()
    assert desk.has(desk.receiver.address) == 90
    desk.claim(desk.entry(45))
    desk.channels.send("settle", desk.receiver.address, desk.token.address, by=desk.stranger)
    assert desk.has(desk.receiver.address) == 95


def test_settling_for_somebody_who_has_nothing_sends_nothing(desk: Desk) -> None:
    desk.deposit(100)
    for receiver in (desk.stranger, desk.receiver, desk.payer):
        assert desk.channels.send("settle", receiver.address, desk.token.address).events == ()
    assert desk.has(desk.channels.address) == 100


# Withdrawals


def test_the_payer_has_what_is_left_after_the_delay(desk: Desk) -> None:
    desk.deposit(100)
    desk.claim(desk.entry(30))
    supply = desk.token.call("SUPPLY")
    asked = desk.channels.send("initiateWithdraw", fields(desk.config), MOST, by=desk.payer)
    channel, began = desk.config.id(desk.domain), desk.evm.now
    assert asked.event("WithdrawInitiated").values == {"channelId": channel, "amount": 70, "initiatedAt": began}
    assert desk.pending() == {"amount": 70, "initiatedAt": began}

    desk.evm.forward(DELAY - 2)
    with pytest.raises(Reverted, match=rf"TooEarly\(.*until {began + DELAY}\)"):
        desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)
    assert desk.evm.now == began + DELAY - 1
    done = desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)
    assert done.event("Withdrawn").values == {"channelId": channel, "payer": desk.payer.address, "amount": 70}
    assert desk.state() == (30, 30)
    assert desk.pending() == EMPTY
    assert desk.has(desk.payer.address) == supply - 30


def test_a_part_may_be_withdrawn_and_the_channel_goes_on(desk: Desk) -> None:
    desk.deposit(100)
    desk.channels.send("initiateWithdraw", fields(desk.config), 60, by=desk.payer)
    desk.evm.forward(DELAY)
    desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)
    assert desk.state() == (40, 0)
    desk.deposit(10)
    desk.claim(desk.entry(50))
    assert desk.state() == (50, 50)


def test_claims_within_the_delay_come_first(desk: Desk) -> None:
    desk.deposit(100)
    desk.channels.send("initiateWithdraw", fields(desk.config), 60, by=desk.payer)
    desk.claim(desk.entry(90))
    desk.evm.forward(DELAY)
    done = desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)
    assert done.event("Withdrawn").values["amount"] == 10
    assert desk.state() == (90, 90)


def test_a_withdrawal_of_which_claims_left_nothing_ends_without_a_transfer(desk: Desk) -> None:
    desk.deposit(100)
    desk.channels.send("initiateWithdraw", fields(desk.config), 60, by=desk.payer)
    desk.claim(desk.entry(100))
    desk.evm.forward(DELAY)
    done = desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)
    assert [event.name for event in done.events] == ["Withdrawn"]
    assert done.events[0].values["amount"] == 0
    desk.deposit(5)  # and another may follow
    desk.channels.send("initiateWithdraw", fields(desk.config), 5, by=desk.payer)


def test_a_claim_that_comes_after_the_withdrawal_finds_what_is_left(desk: Desk) -> None:
    desk.deposit(100)
    desk.channels.send("initiateWithdraw", fields(desk.config), 60, by=desk.payer)
    desk.evm.forward(DELAY)
    desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)
    with pytest.raises(Reverted, match=r"AboveBalance\(.*totalClaimed 90, balance 40\)"):
        desk.claim(desk.entry(90))
    desk.claim(desk.entry(90, 40))
    assert desk.state() == (40, 40)


def test_when_the_delay_is_over_a_claim_may_still_come_first(desk: Desk) -> None:
    desk.deposit(100)
    desk.channels.send("initiateWithdraw", fields(desk.config), 100, by=desk.payer)
    desk.evm.forward(DELAY + 999)
    desk.claim(desk.entry(90))
    done = desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)
    assert done.event("Withdrawn").values["amount"] == 10


def test_a_top_up_is_not_part_of_a_withdrawal_that_was_asked_for_before(desk: Desk) -> None:
    desk.deposit(100)
    desk.channels.send("initiateWithdraw", fields(desk.config), MOST, by=desk.payer)
    desk.deposit(50)
    desk.evm.forward(DELAY)
    desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)
    assert desk.state() == (50, 0)


def test_one_withdrawal_at_a_time(desk: Desk) -> None:
    desk.deposit(100)
    with pytest.raises(Reverted, match="NoWithdrawPending"):
        desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)
    desk.channels.send("initiateWithdraw", fields(desk.config), 60, by=desk.payer)
    with pytest.raises(Reverted, match="WithdrawPending"):
        desk.channels.send("initiateWithdraw", fields(desk.config), 60, by=desk.payer)
    desk.evm.forward(DELAY)
    desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)
    with pytest.raises(Reverted, match="NoWithdrawPending"):
        desk.channels.send("finalizeWithdraw", fields(desk.config), by=desk.payer)


@pytest.mark.parametrize("who", ["signer", "receiver", "authorizer", "stranger"])
def test_only_the_payer_withdraws(desk: Desk, who: str) -> None:
    desk.deposit(100)
    with pytest.raises(Reverted, match="NotPayer"):
        desk.channels.send("initiateWithdraw", fields(desk.config), 60, by=getattr(desk, who))
    desk.channels.send("initiateWithdraw", fields(desk.config), 60, by=desk.payer)
    desk.evm.forward(DELAY)
    with pytest.raises(Reverted, match="NotPayer"):
        desk.channels.send("finalizeWithdraw", fields(desk.config), by=getattr(desk, who))


def test_a_payer_withdraws_nothing_of_anothers_channel(desk: Desk) -> None:
    theirs = desk.other(payer=desk.stranger.address)
    desk.deposit(100, theirs)
    with pytest.raises(Reverted, match="NothingLeft"):  # of its own, which this config makes of it
        desk.channels.send("initiateWithdraw", fields(desk.config), 60, by=desk.payer)


def test_nothing_is_withdrawn_of_nothing(desk: Desk) -> None:
    desk.deposit(100)
    with pytest.raises(Reverted, match="NoAmount"):
        desk.channels.send("initiateWithdraw", fields(desk.config), 0, by=desk.payer)
    desk.claim(desk.entry(100))
    with pytest.raises(Reverted, match="NothingLeft"):
        desk.channels.send("initiateWithdraw", fields(desk.config), 1, by=desk.payer)


# Refunds


@pytest.mark.parametrize("who", ["receiver", "authorizer"])
def test_the_receivers_side_gives_back_at_once(desk: Desk, who: str) -> None:
    desk.deposit(100)
    desk.claim(desk.entry(30))
    done = desk.channels.send("refund", fields(desk.config), MOST, by=getattr(desk, who))
    channel = desk.config.id(desk.domain)
    assert done.event("Refunded").values == {"channelId": channel, "payer": desk.payer.address, "amount": 70}
    assert desk.state() == (30, 30)
    assert desk.has(desk.channels.address) == 30
    with pytest.raises(Reverted, match="NothingLeft"):
        desk.channels.send("refund", fields(desk.config), 1, by=getattr(desk, who))


@pytest.mark.parametrize("who", ["payer", "signer", "stranger"])
def test_nobody_else_refunds(desk: Desk, who: str) -> None:
    desk.deposit(100)
    with pytest.raises(Reverted, match="NotReceiver"):
        desk.channels.send("refund", fields(desk.config), 60, by=getattr(desk, who))
    digest = desk.channels.call("getRefundDigest", desk.config.id(desk.domain), 0, 60)
    signature = evm_signature(getattr(desk, who), digest)
    with pytest.raises(Reverted, match="BadAuthorization"):
        desk.channels.send("refundWithSignature", fields(desk.config), 60, 0, signature, by=desk.stranger)


def test_a_signed_refund_holds_once(desk: Desk) -> None:
    desk.deposit(100)
    channel = desk.config.id(desk.domain)

    def signed(amount: int, nonce: int) -> bytes:
        return evm_signature(desk.authorizer, desk.channels.call("getRefundDigest", channel, nonce, amount))

    first = signed(20, 0)
    with pytest.raises(Reverted, match="BadAuthorization"):
        desk.channels.send("refundWithSignature", fields(desk.config), 21, 0, first, by=desk.stranger)
    desk.channels.send("refundWithSignature", fields(desk.config), 20, 0, first, by=desk.stranger)
    assert desk.state() == (80, 0)
    with pytest.raises(Reverted, match=r"BadNonce\(.*expected 1\)"):
        desk.channels.send("refundWithSignature", fields(desk.config), 20, 0, first, by=desk.stranger)
    with pytest.raises(Reverted, match="BadAuthorization"):
        desk.channels.send("refundWithSignature", fields(desk.config), 20, 1, first, by=desk.stranger)
    desk.channels.send("refund", fields(desk.config), 5, by=desk.authorizer)  # one that was not signed counts too
    with pytest.raises(Reverted, match=r"BadNonce\(.*expected 2\)"):
        desk.channels.send("refundWithSignature", fields(desk.config), 20, 1, signed(20, 1), by=desk.stranger)
    desk.channels.send("refundWithSignature", fields(desk.config), 20, 2, signed(20, 2), by=desk.stranger)
    assert desk.state() == (55, 0)
    assert desk.channels.call("refundNonce", channel) == 3


@pytest.mark.parametrize(("given", "waiting"), [(10, 50), (59, 1), (60, 0), (90, 0)])
def test_a_refund_counts_against_a_withdrawal_that_is_under_way(desk: Desk, given: int, waiting: int) -> None:
    desk.deposit(100)
    desk.channels.send("initiateWithdraw", fields(desk.config), 60, by=desk.payer)
    began = desk.evm.now
    desk.channels.send("refund", fields(desk.config), given, by=desk.authorizer)
    assert desk.pending() == ({"amount": waiting, "initiatedAt": began} if waiting else EMPTY)
    assert desk.state() == (100 - given, 0)


def test_no_refund_of_nothing(desk: Desk) -> None:
    desk.deposit(100)
    with pytest.raises(Reverted, match="NoAmount"):
        desk.channels.send("refund", fields(desk.config), 0, by=desk.authorizer)


# Itself


def test_its_domain_can_be_read(desk: Desk) -> None:
    said = desk.channels.call("eip712Domain")
    assert (said["name"], said["version"], said["chainId"]) == ("x402 Batch Settlement", "1", desk.domain.chain_id)
    assert said["verifyingContract"] == desk.channels.address


def test_it_has_no_owner_and_takes_no_ether() -> None:
    functions = {entry["name"]: entry for entry in artefact("Channels").abi if entry["type"] == "function"}
    assert not {
        name for name in functions for word in ("owner", "pause", "upgrade", "set") if name.startswith(word)
    } - {"settle"}
    assert not [name for name, entry in functions.items() if entry["stateMutability"] == "payable"]
