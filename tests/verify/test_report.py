"""The offline check: a valid file passes whole, and no other bytes do."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verify.scenes import Scene, bent, floats, key_of
from verify.distance import bucket
from verify.report import Report, verify_file
from wire.canonical import encode
from wire.errors import RecordError
from wire.inference import sign_receipt
from wire.keys import show_address
from wire.manifest import sign_manifest
from wire.receiptfile import ReceiptFile
from wire.vote import Ballot, Verdict

QUORUM, SIGNED = Scene(), Scene(tier="signed")
FILES = {"quorum": encode(QUORUM.file), "signed": encode(SIGNED.file)}


def failing(file: ReceiptFile, scene: Scene = QUORUM, **given_: Any) -> set[str]:
    report = verify_file(encode(file), scene.network, **given_)
    assert report.valid == all(c.ok for c in report.checks)
    assert bool(report.rests_on) == report.valid
    return {c.name for c in report.checks if not c.ok}


def test_a_quorum_answer_is_reported_whole() -> None:
    report = verify_file(FILES["quorum"], QUORUM.network, QUORUM.inputs)
    assert report.valid, [c for c in report.checks if not c.ok]
    assert (report.tier, report.model_name) == ("quorum", "digits@1.0.0")
    assert report.model == QUORUM.signed_manifest.cid
    assert report.provider_peer == QUORUM.provider.peer_id
    assert (report.provider, report.payer) == (QUORUM.provider.address, QUORUM.payer.address)
    assert report.signers == tuple(k.peer_id for k in QUORUM.keys)
    assert report.committee_size == 4
    assert report.rests_on[0] == (
        "More than two thirds of the weight of a committee of 4, drawn from the 4 verifiers that the network file "
        "scene lists for epoch 7: they have equal weight, because no bonds are behind them. 4 of 4 executed the model "
        "and signed."
    )
    assert "within 1e-05" in " ".join(report.rests_on)


def test_a_signed_answer_says_that_nobody_checked() -> None:
    report = verify_file(FILES["signed"], SIGNED.network)
    assert report.valid
    assert (report.signers, report.committee_size) == ((), 0)
    assert "nobody else executed the model" in report.rests_on[0]


def test_weights_that_differ_are_not_called_equal() -> None:
    scene = Scene(weights=(1, 1, 1, 2))
    assert "weight listed there" in verify_file(encode(scene.file), scene.network).rests_on[0]


def test_a_profile_without_tolerance_takes_only_identical_answers() -> None:
    network = bent(QUORUM.network, profiles=())
    assert "bit-identical" in " ".join(verify_file(FILES["quorum"], network).rests_on)


def test_another_networks_file_is_not_valid_here() -> None:
    for changes, names in (
        ({"name": "other"}, {"network"}),
        ({"chain_id": 1}, {"network", "chain", "model", "request signature", "receipt signature"}),
        ({"contract": bytes(20)}, {"contract", "model", "request signature", "receipt signature"}),
        ({"committee_size": 3}, {"evidence"}),  # a bitmap of four does not fit
        ({"epoch": 8}, {"committee"}),
        ({"verifiers": QUORUM.network.verifiers[:3]}, {"evidence"}),
        ({"verifiers": ()}, {"evidence"}),
    ):
        report = verify_file(FILES["quorum"], bent(QUORUM.network, **changes))
        failed = {c.name for c in report.checks if not c.ok}
        assert failed & names, (changes, failed)
        assert not report.valid
        assert not report.rests_on


FILE = QUORUM.file
BALLOT = FILE.ballots[2]
OTHER_MANIFEST = sign_manifest(bent(QUORUM.manifest, licence="GPL"), key_of("publisher"), QUORUM.network.domain)
FORGED_RECEIPT = sign_receipt(FILE.receipt.receipt, key_of("mallory"), QUORUM.network.domain)


def with_ballot(**changes: Any) -> tuple[Ballot, ...]:
    return (*FILE.ballots[:2], bent(BALLOT, **changes), *FILE.ballots[3:])


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"network": "other"}, "network"),
        ({"chain_id": 1}, "network"),
        ({"contract": bytes(20)}, "contract"),
        ({"manifest": OTHER_MANIFEST}, "model"),
        ({"manifest": bent(FILE.manifest, signature=bytes(65))}, "model"),
        ({"request": bent(FILE.request, signature=bytes(65))}, "request signature"),
        ({"receipt": bent(FILE.receipt, signature=bytes(65))}, "receipt signature"),
        ({"receipt": FORGED_RECEIPT}, "receipt signature"),
        ({"outputs": (bytes(12),)}, "output bytes"),
        ({"outputs": (bytes(11),)}, "output bytes"),
        ({"outputs": ()}, "output tensors"),
        ({"headers": ()}, "output tensors"),
        ({"headers": (floats("x", 1, 2, 3).header,)}, "output bytes"),
        ({"inputs": bent(FILE.inputs, leaves=())}, "inputs hash"),
        ({"certificate": SIGNED.certificate()}, "certificate tier"),
        ({"certificate": bent(FILE.certificate, quorum=None)}, "evidence"),
        ({"certificate": bent(FILE.certificate, receipt=bytes(32))}, "certified receipt"),
        ({"ballots": ()}, "ballots"),
        ({"ballots": FILE.ballots[::-1]}, "ballots"),
        ({"ballots": (*FILE.ballots, FILE.ballots[3])}, "ballots"),
        ({"ballots": with_ballot(member=9)}, "ballots"),
        ({"ballots": with_ballot(commit=FILE.ballots[1].commit)}, "ballots"),
        ({"ballots": with_ballot(vote=FILE.ballots[1].vote)}, "ballots"),
        ({"ballots": with_ballot(vote=None)}, "ballots"),
        ({"ballots": with_ballot(reveal=None)}, "ballots"),
        ({"ballots": with_ballot(reveal=None, vote=None)}, "ballots"),
        ({"ballots": with_ballot(vote=QUORUM.vote(2, Verdict.REJECT))}, "ballots"),
        ({"ballots": with_ballot(reveal=bent(QUORUM.reveal(), outputs=bytes(32)))}, "ballots"),
        ({"ballots": with_ballot(reveal=QUORUM.reveal(distance=1))}, "ballots"),
        ({"ballots": with_ballot(commit=QUORUM.abstention(2))}, "ballots"),
    ],
)  # fmt: skip
def test_each_part_is_covered_by_a_check(changes: dict[str, Any], check: str) -> None:
    assert check in failing(bent(FILE, **changes))


def test_only_the_inputs_that_were_asked_about_fit() -> None:
    assert failing(FILE, inputs=[floats("image", 1.0, 2.0, 3.0, 5.0)]) == {"inputs given"}
    assert failing(FILE, inputs=[]) == {"inputs given"}


def test_an_accept_must_lie_within_the_tolerance() -> None:
    other = (floats("scores", 0.5000001, -2.0, 1.25),)
    for distance, good in ((bucket(1e-6), True), (bucket(1e-5), True), (bucket(1e-4), False), (0, False), (255, False)):
        ballot = Ballot(
            member=2, commit=QUORUM.commit(2, other), reveal=QUORUM.reveal(2, other, distance), vote=QUORUM.vote(2)
        )
        ballots = (*FILE.ballots[:2], ballot, FILE.ballots[3])
        assert failing(bent(FILE, ballots=ballots)) == (set() if good else {"ballots"})


def test_a_minority_may_have_rejected_or_said_nothing() -> None:
    for last in (
        QUORUM.ballot(3, Verdict.REJECT),
        Ballot(member=3, commit=QUORUM.abstention(3), reveal=None, vote=None),
    ):
        file = bent(FILE, certificate=QUORUM.certificate((0, 1, 2)), ballots=(*FILE.ballots[:3], last))
        assert failing(file) == set()


def check_never_valid(data: bytes, scene: Scene) -> Report | None:
    try:
        report = verify_file(data, scene.network)
    except RecordError:
        return None
    assert not report.valid, "changed bytes were taken for a proof"
    return report


@pytest.mark.parametrize("tier", ["quorum", "signed"])
def test_every_flipped_byte_is_noticed(tier: str) -> None:
    """One bit of every byte of the file."""
    scene, valid = (QUORUM if tier == "quorum" else SIGNED), FILES[tier]
    reports, chance = 0, random.Random(1)
    for at in range(len(valid)):
        data = bytearray(valid)
        data[at] ^= 1 << chance.randrange(8)
        reports += check_never_valid(bytes(data), scene) is not None
    assert reports > len(valid) // 3  # so the checks were reached, and not only the decoder


def test_every_flipped_byte_of_what_a_member_opens_is_noticed() -> None:
    """All but its remark on how far apart the answers are, which nothing signs: that is held to the tolerance."""
    large = Scene(outputs=(floats("scores", *(float(i % 97) for i in range(1500))),))
    near = (floats("scores", *(float(i % 97) * (1 + 3e-7) for i in range(1500))),)
    ballot = Ballot(member=2, commit=large.commit(2, near), reveal=large.reveal(2, near, 5), vote=large.vote(2))
    file = encode(bent(large.file, ballots=(*large.file.ballots[:2], ballot, large.file.ballots[3])))
    assert verify_file(file, large.network).valid
    assert ballot.reveal is not None
    assert ballot.reveal.opening is not None
    assert ballot.reveal.opening.path
    revealed = encode(ballot.reveal)
    begin, remark = file.index(revealed), revealed.index(b"distance") + len("distance")
    for at in range(len(revealed)):
        data = bytearray(file)
        data[begin + at] ^= 1
        if at == remark:
            assert verify_file(bytes(data), large.network).valid
            data[begin + at] = 0x09  # beyond the tolerance
        check_never_valid(bytes(data), large)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_random_surgery_is_noticed(data: st.DataObject) -> None:
    valid = FILES["quorum"]
    at = data.draw(st.integers(0, len(valid)))
    cut = data.draw(st.integers(0, 64))
    put = data.draw(st.binary(max_size=64))
    changed = valid[:at] + put + valid[at + cut :]
    if changed != valid:
        check_never_valid(changed, QUORUM)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_record_error_or_a_report(data: bytes) -> None:
    assert check_never_valid(data, QUORUM) is None


def test_addresses_print() -> None:
    assert show_address(verify_file(FILES["signed"], SIGNED.network).payer).startswith("0x")
