"""A receipt is bound to its request in every field, even where its provider signs the lie."""

from typing import Any

import pytest

from tests.verify.scenes import NOW, SALT, Scene, bent, floats, key_of, some_hash
from verify.checks import require
from verify.receipts import check_answer, check_asked, check_outputs, check_tokens, rows
from wire.audit import UNSEEDED, seed_of
from wire.bounds import CLOCK_SKEW_MS, MAX_REQUEST_LIFE_MS
from wire.canonical import Amount
from wire.errors import RecordError
from wire.generation import generator_signature
from wire.inference import SignedReceipt, SignedRequest, Usage
from wire.tensors import Tensor, tensor_set
from wire.tier import Tier

SCENE = Scene(tier="signed")


def failing(receipt: SignedReceipt, request: SignedRequest | None = None, **changes: Any) -> set[str]:
    parts: dict[str, Any] = {"manifest": SCENE.manifest, "inputs": SCENE.input_set, "outputs": SCENE.outputs} | changes
    checks = check_answer(
        SCENE.network, parts["manifest"], request or SCENE.request, receipt, parts["inputs"], parts["outputs"]
    )
    return {c.name for c in checks if not c.ok}


def test_an_honest_answer_passes_every_check() -> None:
    assert failing(SCENE.receipt) == set()


runtime = SCENE.receipt.receipt.runtime
LIES: list[tuple[dict[str, Any], str]] = [
    ({"chain_id": 1}, "chain"),
    ({"request": some_hash("x")}, "request"),
    ({"nonce": some_hash("x")}, "nonce"),
    ({"payer": key_of("x").address}, "payer"),
    ({"provider": key_of("x").address}, "provider"),
    ({"model": some_hash("x")}, "model"),
    ({"inputs": some_hash("x")}, "inputs"),
    ({"outputs": some_hash("x")}, "output bytes"),
    ({"runtime": bent(runtime, profile="fp16")}, "runtime"),
    ({"tier": "quorum"}, "tier"),
    ({"usage": Usage(units=2, tokens_in=0, tokens_out=0, compute_us=900)}, "usage"),
    ({"usage": Usage(units=1, tokens_in=0, tokens_out=1, compute_us=900)}, "tokens"),
    ({"usage": Usage(units=1, tokens_in=1, tokens_out=0, compute_us=900)}, "tokens"),
    ({"price": Amount(1001)}, "price"),
    ({"started_ms": NOW + 21}, "times"),
    ({"started_ms": NOW - CLOCK_SKEW_MS - 1}, "times"),
    ({"finished_ms": NOW + 60_000 + CLOCK_SKEW_MS + 1}, "times"),
]


@pytest.mark.parametrize(("changes", "check"), LIES, ids=[str(c) for _, c in LIES])
def test_a_lie_that_the_provider_signs_is_found_by_name(changes: dict[str, Any], check: str) -> None:
    assert check in failing(SCENE.answer(**changes))


@pytest.mark.parametrize("changes", [c for c, _ in LIES], ids=[c for _, c in LIES])
def test_a_lie_that_the_provider_did_not_sign_is_found_by_its_signature(changes: dict[str, Any]) -> None:
    forged = bent(SCENE.receipt, receipt=bent(SCENE.receipt.receipt, **changes))
    assert "receipt signature" in failing(forged)


def test_somebody_elses_receipt_is_not_the_providers() -> None:
    from wire.inference import sign_receipt

    forged = sign_receipt(SCENE.receipt.receipt, key_of("mallory"), SCENE.network.domain)
    assert failing(forged) == {"receipt signature"}


REQUEST_CHANGES: list[dict[str, Any]] = [
    {"nonce": some_hash("x")},
    {"model": some_hash("x")},
    {"tier": "quorum"},
    {"committee": 3},
    {"seed": some_hash("x")},
    {"inputs": some_hash("x")},
    {"payer": key_of("x").address},
    {"provider": key_of("x").address},
    {"max_price": Amount(5)},
    {"issued_ms": NOW + 1},
    {"deadline_ms": NOW + 59_999},
]


@pytest.mark.parametrize("changes", REQUEST_CHANGES, ids=[next(iter(c)) for c in REQUEST_CHANGES])
def test_a_request_altered_after_signing_is_found_twice(changes: dict[str, Any]) -> None:
    altered = bent(SCENE.request, request=bent(SCENE.request.request, **changes))
    assert {"request signature", "request"} <= failing(SCENE.receipt, altered)


def test_a_request_that_lives_too_long_is_refused() -> None:
    request = SCENE.ask(deadline_ms=NOW + MAX_REQUEST_LIFE_MS + 1)
    assert "times" in failing(SCENE.receipt, request)


SEED = seed_of(SALT)
ASKED: list[tuple[Tier, int, bytes, str]] = [
    ("signed", 0, UNSEEDED, ""),
    ("signed", 4, UNSEEDED, "a committee"),
    ("signed", 0, SEED, "its seed"),
    ("quorum", 0, UNSEEDED, ""),
    ("quorum", 4, UNSEEDED, ""),
    ("quorum", 4, SEED, "its seed"),
    ("sampled", 0, SEED, ""),
    ("sampled", 0, UNSEEDED, "its seed"),
    ("sampled", 4, SEED, "a committee"),
    ("tee", 0, UNSEEDED, ""),
    ("zk", 4, UNSEEDED, "a committee"),
    ("tee+sampled", 0, SEED, ""),
    ("tee+sampled", 0, UNSEEDED, "its seed"),
    ("tee+sampled", 4, SEED, "a committee"),
    ("tee+quorum", 4, UNSEEDED, ""),
    ("tee+quorum", 4, SEED, "its seed"),
]


@pytest.mark.parametrize(("tier", "committee", "seed", "wrong"), ASKED)
def test_a_request_asks_for_what_its_tier_has_and_for_nothing_else(
    tier: Tier, committee: int, seed: bytes, wrong: str
) -> None:
    check = check_asked(SCENE.ask(tier=tier, committee=committee, seed=seed))
    assert (check.ok, wrong in check.detail) == (not wrong, True)


def test_a_request_for_what_its_tier_has_not_is_no_part_of_a_proof() -> None:
    """Both signed it so: the answer to it stays unproved."""
    scene = Scene(tier="signed")
    request = scene.ask(committee=4)
    receipt = scene.answer(request=request.request.digest(scene.network.domain))
    assert failing(receipt, request) == {"asked"}


def test_another_manifest_inputs_or_outputs_are_found() -> None:
    assert "manifest" in failing(SCENE.receipt, manifest=bent(SCENE.manifest, description="other"))
    other = tensor_set([floats("image", 9.0, 2.0, 3.0, 4.0)])
    assert failing(SCENE.receipt, inputs=other) == {"inputs hash"}
    misfit = tensor_set([floats("image", 9.0)])
    assert failing(SCENE.receipt, inputs=misfit) == {"inputs hash", "input shapes"}
    assert failing(SCENE.receipt, outputs=(floats("scores", 0.5, -2.0, 1.5),)) == {"output bytes"}
    assert failing(SCENE.receipt, outputs=(floats("scores", 0.5),)) == {"output bytes", "output shapes"}
    assert failing(SCENE.receipt, outputs=()) == {"output bytes", "output shapes"}


@pytest.mark.parametrize("has_text", [True, False])
def test_a_generators_tokens_are_counted_anew(has_text: bool) -> None:
    specs, _ = generator_signature(has_text=has_text)
    generator = bent(SCENE.manifest, interface="generate", inputs=specs)
    prompt = Tensor.of("input_ids", "INT64", (1, 2), bytes(16))
    outputs = (Tensor.of("tokens", "INT64", (3,), bytes(24)), Tensor.of("scores", "FP32", (3,), bytes(12)))

    def holds(tokens_in: int, tokens_out: int) -> bool:
        usage = Usage(units=1, tokens_in=tokens_in, tokens_out=tokens_out, compute_us=900)
        return check_tokens(generator, SCENE.answer(usage=usage), tensor_set([prompt]), outputs).ok

    assert [holds(2, 3), holds(2, 4), holds(2, 2), holds(2, 0)] == [True, False, False, False]
    assert holds(5, 3) is has_text  # nobody can count a text's tokens without the model's tokeniser


@pytest.mark.parametrize(
    ("interface", "tokens_in", "tokens_out", "holds"),
    [
        ("text", 9, 0, True),
        ("text", 0, 0, True),
        ("text", 9, 1, False),
        ("tensors", 9, 0, False),
        ("tensors", 0, 0, True),
    ],
)
def test_a_text_models_tokens_are_read_and_none_is_drawn(
    interface: str, tokens_in: int, tokens_out: int, holds: bool
) -> None:
    model = bent(SCENE.manifest, interface=interface)
    usage = Usage(units=1, tokens_in=tokens_in, tokens_out=tokens_out, compute_us=900)
    check = check_tokens(model, SCENE.answer(usage=usage), SCENE.input_set, SCENE.outputs)
    assert check.ok is holds
    assert ("provider's word" in check.detail) is (holds and interface == "text")  # what can't be checked is said


def test_output_headers_that_lie_are_found_and_nothing_is_raised() -> None:
    header = SCENE.outputs[0].header
    lie = Tensor(header, b"short")
    assert [c.ok for c in check_outputs(SCENE.manifest, SCENE.receipt, [lie])] == [False, False]


def test_rows_are_the_leading_dimension_of_the_first_input() -> None:
    assert rows(SCENE.input_set) == 1
    assert rows(tensor_set([Tensor.of("x", "FP32", (5, 2), bytes(40))])) == 5
    assert rows(tensor_set([Tensor.of("x", "FP32", (), bytes(4))])) == 1
    assert rows(tensor_set([])) == 1


def test_require_names_the_first_failure() -> None:
    checks = check_answer(
        SCENE.network, SCENE.manifest, SCENE.request, SCENE.answer(nonce=SALT), SCENE.input_set, SCENE.outputs
    )
    with pytest.raises(RecordError, match=r"^nonce: the receipt repeats another nonce"):
        require(checks)
