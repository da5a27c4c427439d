"""Which receipts count for settlement, and who is paid for them: every settler finds the same."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from verify.settling import payable, slim
from wire.audit import SignedAudit
from wire.bounds import MAX_RECORD
from wire.canonical import Amount, encode
from wire.errors import RecordError
from wire.keys import address_of
from wire.receiptfile import ReceiptFile
from wire.settlement import Settle
from wire.vote import Verdict

from . import lots
from .scenes import Scene, bent, key_of

SCENE = Scene()
FILE = slim(SCENE.file)


def test_a_quorums_signers_are_paid_and_the_manifests_publisher() -> None:
    found = payable(FILE, SCENE.network)
    assert found.receipt == SCENE.receipt_digest
    assert found.provider == SCENE.provider.address
    assert (found.publisher, found.royalty_bps) == (key_of("publisher").address, 100)
    assert (found.price, found.finished_ms) == (10, SCENE.receipt.receipt.finished_ms)
    assert found.payees == tuple(sorted(address_of(key.public) for key in SCENE.keys))


def test_nothing_depends_on_what_is_left_out() -> None:
    assert payable(SCENE.file, SCENE.network) == payable(FILE, SCENE.network)
    assert (FILE.ballots, FILE.outputs, FILE.headers) == ((), (), ())
    assert len(encode(Settle(file=FILE))) < MAX_RECORD // 10


def test_a_signed_answer_counts_and_nobody_certified_it() -> None:
    scene = Scene(tier="signed")
    assert payable(slim(scene.file), scene.network).payees == ()


def test_who_pays_itself_counts_like_everybody() -> None:
    """Its revenue passed the till, and the others' shares leave it."""

    class Own(Scene):
        @property
        def payer(self):  # type: ignore[no-untyped-def, override]
            return self.provider

    scene = Own()
    found = payable(slim(scene.file), scene.network)
    assert found.payer == found.provider


def test_a_free_answer_settles_nothing() -> None:
    class Free(Scene):
        @property
        def receipt(self):  # type: ignore[no-untyped-def, override]
            return self.answer(price=Amount(0))

    scene = Free()
    with pytest.raises(RecordError, match="it cost nothing"):
        payable(slim(scene.file), scene.network)


BENDS: list[tuple[str, Callable[[ReceiptFile], ReceiptFile]]] = [
    ("there is no committee's signature", lambda f: bent(f, certificate=bent(f.certificate, quorum=None))),
    ("signed was asked|quorum was asked", lambda f: bent(f, certificate=bent(f.certificate, tier="signed"))),
    ("another receipt", lambda f: bent(f, certificate=bent(f.certificate, receipt=bytes(32)))),
    ("aggregate", lambda f: bent(f, certificate=_few(f))),
    ("not the provider's", lambda f: bent(f, receipt=bent(f.receipt, signature=f.request.signature))),
    ("another receipt|not the provider's", lambda f: bent(f, receipt=_dearer(f))),
    ("not the payer's", lambda f: bent(f, request=bent(f.request, signature=f.receipt.signature))),
    ("of network other", lambda f: bent(f, network="other")),
    ("chain 1", lambda f: bent(f, chain_id=1)),
    ("another contract", lambda f: bent(f, contract=b"\x12" * 20)),
    ("publisher|signature|manifest", lambda f: bent(f, manifest=bent(f.manifest, signature=f.receipt.signature))),
    ("inputs", lambda f: bent(f, inputs=bent(f.inputs, leaves=f.inputs.leaves * 2))),
]  # fmt: skip


def _dearer(file: ReceiptFile) -> msgspec.Struct:
    return bent(file.receipt, receipt=bent(file.receipt.receipt, price=Amount(999)))


def _few(file: ReceiptFile) -> msgspec.Struct:
    """A certificate that names a signer more than signed."""
    assert file.certificate.quorum is not None
    part = Scene().certificate([0, 1, 2]).quorum
    assert part is not None
    return bent(file.certificate, quorum=bent(part, signers=file.certificate.quorum.signers))


@pytest.mark.parametrize(("why", "bend"), BENDS, ids=[why for why, _ in BENDS])
def test_what_does_not_hold_is_not_settled(why: str, bend: Callable[[ReceiptFile], ReceiptFile]) -> None:
    with pytest.raises(RecordError, match=why):
        payable(bend(FILE), SCENE.network)


def test_a_receipt_of_another_network_is_not_settled_here() -> None:
    """Replayed with its names changed, its signatures are over another domain."""
    network = bent(SCENE.network, contract=b"\x99" * 20)
    with pytest.raises(RecordError, match=r"not for this network|publisher|signature"):
        payable(bent(FILE, contract=network.contract), network)


def test_two_certificates_of_one_receipt_have_one_order_for_everybody() -> None:
    few = bent(FILE, certificate=SCENE.certificate([0, 1, 2]))
    other = bent(FILE, certificate=SCENE.certificate([1, 2, 3]))
    a, b, c = (payable(file, SCENE.network) for file in (FILE, few, other))
    assert len({a.version, b.version, c.version}) == 3
    assert a.counts_before(b)
    assert a.counts_before(c)
    assert not b.counts_before(a)
    assert b.counts_before(c) != c.counts_before(b)
    assert not a.counts_before(a)


def test_who_checked_a_sampled_answer_is_paid_and_what_it_refused_is_not_settled() -> None:
    def file(*audits: SignedAudit) -> ReceiptFile:
        certificate = lots.SCENE.certificate()
        return slim(bent(lots.SCENE.file, certificate=bent(certificate, sampled=lots.evidence(*audits))))

    assert payable(file(), lots.ALWAYS).payees == ()
    assert payable(file(lots.audit()), lots.ALWAYS).payees == (lots.AUDITOR.address,)
    with pytest.raises(RecordError, match="refused it"):
        payable(file(lots.audit(verdict=Verdict.REJECT)), lots.ALWAYS)
    with pytest.raises(RecordError, match="was not drawn"):
        payable(file(lots.audit(lots.OUTSIDER)), lots.ALWAYS)


def test_a_provider_cannot_settle_a_sampled_answer_without_its_payers_secret() -> None:
    bare = bent(lots.SCENE.certificate(), sampled=None)
    with pytest.raises(RecordError, match="no payer's secret"):
        payable(slim(bent(lots.SCENE.file, certificate=bare)), lots.ALWAYS)
