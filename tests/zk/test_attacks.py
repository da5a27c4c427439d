"""Every way in which a proof could be about something else, and the check that says so.

An attacker here has all of EZKL, the model, the settings and the SRS; what it lacks is the publisher's key.
"""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from node.zk.proofs import check_now
from node.zk.proving import Proved
from tests.verify.scenes import key_of
from verify.ladder import check_evidence
from verify.policy import Policy
from verify.report import verify_file
from verify.tiers.claim import file_of
from verify.tiers.zk import check, examine, rests_on
from verify.zk.arithmetic import checked_by
from verify.zk.fixedpoint import ORDER, pack_numbers, quantise, to_field
from verify.zk.policy import ZkPolicy
from verify.zk.statement import Statement
from wire.blob import outline_of
from wire.canonical import encode
from wire.circuit import POINT, CircuitFile
from wire.errors import RecordError
from wire.tensors import tensor_set

from .world import ALLOWED, OTHER_ROW, ROW, World, arithmetic, checks, network_of_floats, refused, row

X, OTHER = row(*ROW), row(*OTHER_ROW)


def named(data: bytes) -> CircuitFile:
    return CircuitFile(blob=outline_of([data]).hash(), size=len(data))


def statement(world: World, proved: Proved, **changes: Any) -> Statement:
    """What an honest proof about X states, with some of it changed."""
    numbers = (*quantise(X.data, world.circuit.input_scales[0]), *proved.outputs)
    honest = Statement(world.settings, world.key, world.circuit.verifier_srs, numbers, proved.proof)
    return replace(honest, **changes)


def test_an_honest_proof_holds_and_every_check_is_named(fixed: World, proved: Proved) -> None:
    claim = fixed.claim(X, proved)
    found = checks(claim)
    assert all(c.ok for c in found), found
    assert [c.name for c in found] == [
        "circuit", "circuit files", "policy: SRS", "proved inputs", "proved outputs", "weights", "evidence",
    ]  # fmt: skip
    trust = " ".join(rests_on(claim))
    assert "SRS dev: whoever made the reference string can forge this proof. Not for money." in trust
    assert "publisher" in trust


def test_a_process_for_one_check_says_the_same(fixed: World, proved: Proved) -> None:
    good = statement(fixed, proved)
    assert check_now(good) == arithmetic(good) == ""
    bad = replace(good, proof=bytes(3072))
    assert check_now(bad) == arithmetic(bad) != ""


def test_without_somebody_who_computes_nothing_holds(fixed: World, proved: Proved) -> None:
    (evidence,) = [c for c in check(fixed.claim(X, proved), ZkPolicy(dev_srs=True)) if not c.ok]
    assert "hallmark[zk]" in evidence.detail


def test_an_srs_of_nobody_knows_whom_is_refused_by_default(fixed: World, proved: Proved) -> None:
    claim = fixed.claim(X, proved)
    with checked_by(lambda _: ""):
        assert {c.name for c in check(claim) if not c.ok} == {"policy: SRS"}
        assert {c.name for c in check_evidence(claim) if not c.ok} == {"policy: SRS"}


def test_a_proof_of_another_input(fixed: World, proved: Proved) -> None:
    claim = fixed.claim(X, fixed.prove(OTHER))
    assert refused(claim) == {"evidence"}
    # the same, with the inputs' bytes swapped too
    assert refused(fixed.claim(X, proved, files=fixed.files(OTHER))) == {"proved inputs"}


def test_a_proof_of_another_output(fixed: World, proved: Proved) -> None:
    lie = Proved(proved.proof, (proved.outputs[0] + 1, proved.outputs[1]), 1)
    assert refused(fixed.claim(X, lie)) == {"evidence"}  # receipt and numbers agree, the proof does not
    told = pack_numbers(lie.outputs)
    assert refused(fixed.claim(X, proved, outputs=told)) == {"proved outputs"}  # the numbers are not the receipt's


def test_the_readable_numbers_in_a_provers_file_say_nothing(fixed: World, proved: Proved) -> None:
    """EZKL itself verifies a file whose readable inputs, outputs and hexadecimal proof are lies; ours holds no such."""
    honest = statement(fixed, proved)
    forged = json.loads(honest.files["proof.json"])
    forged["hex_proof"] = "0x" + "00" * len(proved.proof)
    lies = [["1000.0", "1000.0"]]
    names = ("rescaled_inputs", "inputs", "processed_inputs", "processed_params", "processed_outputs")
    forged["pretty_public_inputs"] = {name: lies for name in names} | {"rescaled_outputs": lies, "outputs": lies}

    class Forged(Statement):
        @property
        def files(self) -> dict[str, bytes]:  # type: ignore[override]
            return honest.files | {"proof.json": json.dumps(forged).encode()}

    assert arithmetic(Forged(honest.settings, honest.key, honest.srs, honest.numbers, honest.proof)) == ""
    ours = json.loads(honest.files["proof.json"])
    assert (ours["hex_proof"], ours["pretty_public_inputs"], ours["split"]) == (None, None, None)


@pytest.mark.parametrize("part", ["settings", "key"])
def test_the_provers_own_files(fixed: World, committed: World, proved: Proved, part: str) -> None:
    """With a circuit of its own a prover can prove anything, so its files must be those that the publisher named."""
    own = getattr(committed, part)
    assert refused(fixed.claim(X, proved, files=fixed.files(X, **{part: own}))) == {"circuit files"}


def test_the_provers_own_circuit_signed_by_itself(fixed: World, proved: Proved) -> None:
    mallory = key_of("mallory")
    for record in (
        fixed.sign(mallory, publisher=mallory.address),  # under its own name
        msgspec.structs.replace(fixed.registered, signature=fixed.sign(mallory, publisher=mallory.address).signature),
    ):
        claim = fixed.claim(X, proved, circuit=record.hash, files=fixed.files(X, circuit=record))
        assert refused(claim) == {"circuit"}


def test_another_circuit_of_the_publishers_than_the_one_named(fixed: World, proved: Proved) -> None:
    other = fixed.sign(prove_us=1)
    assert refused(fixed.claim(X, proved, files=fixed.files(X, circuit=other))) == {"circuit"}


def test_a_circuit_of_another_model(fixed: World, proved: Proved) -> None:
    record = fixed.sign(graph=b"\1" * 32)
    assert refused(fixed.claim(X, proved, circuit=record.hash, files=fixed.files(X, circuit=record))) == {"circuit"}
    record = fixed.sign(model=b"\1" * 32)
    assert refused(fixed.claim(X, proved, circuit=record.hash, files=fixed.files(X, circuit=record))) == {"circuit"}


def test_the_provers_own_srs(fixed: World, committed: World, proved: Proved) -> None:
    """The SRS stands in the publisher's record; a proof made with another one fails under it."""
    assert fixed.circuit.verifier_srs != committed.circuit.verifier_srs
    wrong = statement(fixed, proved, srs=committed.circuit.verifier_srs)
    assert arithmetic(statement(fixed, proved)) == ""
    assert arithmetic(wrong) != ""


def test_other_weights_in_a_fixed_circuit_give_another_key(fixed: World) -> None:
    assert fixed.other(network_of_floats(seed=8)).key != fixed.key


def test_wrong_weights_under_polycommit(committed: World) -> None:
    """The key fits any weights, so the arithmetic holds: only the commitment tells."""
    honest = committed.prove(X)
    assert refused(committed.claim(X, honest)) == set()
    folder = committed.other(network_of_floats(seed=8))
    assert folder.key == committed.key
    forged = committed.prove(X, folder)
    assert arithmetic(statement(committed, forged)) == ""
    assert refused(committed.claim(X, forged)) == {"weights"}


def test_half_a_commitment_is_none(committed: World) -> None:
    """The opposite point has the same first 32 bytes, which is all that is often compared: it is of negated weights."""
    honest, prime = committed.prove(X), 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
    half = POINT // 2
    opposite = (prime - int.from_bytes(honest.proof[half:POINT], "big")).to_bytes(half, "big")
    forged = Proved(honest.proof[:half] + opposite + honest.proof[POINT:], honest.outputs, 1)
    assert forged.proof[:half] == committed.circuit.commitment[:half]
    assert refused(committed.claim(X, forged)) == {"weights"}


def test_a_commitment_glued_to_another_proof(committed: World) -> None:
    forged = committed.prove(X, committed.other(network_of_floats(seed=8)))
    glued = Proved(committed.circuit.commitment + forged.proof[len(committed.circuit.commitment) :], forged.outputs, 1)
    assert refused(committed.claim(X, glued)) == {"evidence"}


def test_settings_that_leave_something_open_are_refused_even_from_the_publisher(fixed: World, proved: Proved) -> None:
    for before, after in (
        (b'"param_visibility":"Fixed"', b'"param_visibility":"Private"'),
        (b'"input_visibility":"Public"', b'"input_visibility":"Private"'),
        (b'"output_visibility":"Public"', b'"output_visibility":"Private"'),
        (b'"logrows":9', b'"logrows":10'),
        (b'"model_output_scales":[13]', b'"model_output_scales":[12]'),
    ):
        assert before in fixed.settings
        settings = fixed.settings.replace(before, after)
        record = fixed.sign(settings=named(settings))
        claim = fixed.claim(X, proved, circuit=record.hash, files=fixed.files(X, circuit=record, settings=settings))
        assert refused(claim) == {"circuit files"}


def test_numbers_out_of_the_field_too_many_and_too_few(fixed: World, proved: Proved) -> None:
    """A number and the number plus the field's order are one element: what is shown can't say the second."""
    honest = pack_numbers(proved.outputs)
    for told in (honest + bytes(8), honest[:8], honest[:-1], b"\x00" * 7 + b"\x80" + honest[8:]):
        assert refused(fixed.claim(X, proved, outputs=told)) == {"proved outputs"}
    with pytest.raises(RecordError):
        pack_numbers([ORDER + proved.outputs[0]])
    numbers = statement(fixed, proved).numbers
    for other in ((*numbers, 0), numbers[:-1], (*numbers[:-1], numbers[-1] + 1)):
        assert arithmetic(statement(fixed, proved, numbers=other)) != ""
    assert to_field(-1) == to_field(ORDER - 1)


def test_more_public_numbers_than_the_circuit_has_never_reach_the_arithmetic(fixed: World, proved: Proved) -> None:
    _, stated = examine(fixed.claim(X, proved), ZkPolicy(dev_srs=True))
    assert stated is not None
    assert len(stated.numbers) == 4 + 2


def test_an_input_that_is_no_number(fixed: World, proved: Proved) -> None:
    for bad in (float("nan"), float("inf"), 3e38):
        assert refused(fixed.claim(row(bad, 0, 0, 0), proved)) == {"proved inputs"}


def test_the_same_proof_for_another_request_with_equal_inputs(fixed: World, proved: Proved) -> None:
    """It holds, and may: the proof says what the model gives, the receipt says to whom. Nobody is told anything false.

    What cannot be done is to move it under another receipt without its provider's signature.
    """
    claim = fixed.claim(X, proved)
    again = fixed.ask(X, nonce=b"\x45" * 32)
    receipt = fixed.answer(again, claim.outputs)
    digest = receipt.receipt.digest(fixed.network.domain)
    moved = msgspec.structs.replace(claim.certificate, receipt=digest)
    other = type(claim)(claim.network, claim.manifest, again, receipt, moved, (), tensor_set([X]), claim.outputs)
    assert refused(other) == set()
    stolen = type(claim)(
        claim.network, claim.manifest, again, receipt, claim.certificate, (), tensor_set([X]), claim.outputs
    )
    assert "certified receipt" in {c.name for c in check_evidence(stolen) if not c.ok}


def test_a_receipt_file_is_checked_from_its_bytes_alone(fixed: World, proved: Proved) -> None:
    claim = fixed.claim(X, proved)
    data = encode(file_of(claim, fixed.signed))
    assert len(data) < 32 * 1024
    strict = verify_file(data, fixed.network)
    assert not strict.valid
    assert [c.name for c in strict.checks if not c.ok] == ["policy: SRS"]


@pytest.mark.parametrize("at", [0, 40, 100, 1000, 2000, -1])
def test_a_flipped_bit_anywhere_in_the_proof(fixed: World, proved: Proved, at: int) -> None:
    bent = bytearray(proved.proof)
    bent[at] ^= 1
    assert refused(fixed.claim(X, Proved(bytes(bent), proved.outputs, 1))) == {"evidence"}


@pytest.mark.parametrize("proof", [b"\0", os.urandom(3072), b"\xff" * 65536], ids=["short", "noise", "long"])
def test_bytes_that_are_no_proof(fixed: World, proved: Proved, proof: bytes) -> None:
    assert refused(fixed.claim(X, Proved(proof, proved.outputs, 1))) == {"evidence"}


def test_a_flipped_byte_of_the_file_is_noticed(fixed: World, proved: Proved) -> None:
    """With EZKL's part left out: a proof stands for its statement, and none but the true one is stated again."""
    data, policy = encode(file_of(fixed.claim(X, proved), fixed.signed)), Policy(zk=ALLOWED)
    _, true = examine(fixed.claim(X, proved), ALLOWED)
    reports, chance = 0, random.Random(1)
    with checked_by(lambda statement: "" if statement == true else "another statement"):
        assert verify_file(data, fixed.network, None, policy).valid
        for at in range(0, len(data), 2):
            changed = bytearray(data)
            changed[at] ^= 1 << chance.randrange(8)
            try:
                report = verify_file(bytes(changed), fixed.network, None, policy)
            except RecordError:
                continue
            assert not report.valid, f"byte {at}: {bytes(changed[max(0, at - 24) : at + 1])!r}"
            reports += 1
    assert reports > len(data) // 2 // 3
