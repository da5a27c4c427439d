"""An SRS cut down to what a check needs, and whose it is."""

from __future__ import annotations

import contextlib
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.zk import srs
from wire.circuit import VERIFIER_SRS, Circuit
from wire.errors import RecordError

from .world import ALLOWED, ROW, World, check, checked_by, row

GENERATOR = (1, 2)


def test_cut_down_it_has_two_rows_and_the_same_secret(fixed: World) -> None:
    cut = srs.cut_down(fixed.srs)
    assert len(cut) == VERIFIER_SRS
    assert srs.rows_of(cut) == 1
    assert cut[4 : 4 + 128] == fixed.srs[4 : 4 + 128]  # both powers in the first group
    assert cut[-256:] == fixed.srs[-256:]  # and in the second
    assert srs._point(cut[4:68]) == GENERATOR
    assert srs.cut_down(cut) == cut  # its own basis of Lagrange is what it works out to


def test_lagrange_s_basis_sums_to_the_generator(fixed: World) -> None:
    cut = srs.cut_down(fixed.srs)
    basis = [srs._point(cut[at : at + 64]) for at in (132, 196)]
    assert srs._add(*basis) == GENERATOR
    assert srs._times(GENERATOR, srs.ORDER) is None


@given(st.binary(max_size=600))
def test_any_bytes_are_an_srs_or_a_named_error(data: bytes) -> None:
    for given_ in (data, (1).to_bytes(4, "little") + data.ljust(VERIFIER_SRS - 4, b"\0")[: VERIFIER_SRS - 4]):
        with contextlib.suppress(RecordError):
            srs.cut_down(given_)


def test_only_a_hash_makes_a_ceremony(fixed: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a record or a person says of it does not count; the strict policy takes a known one, and only that."""
    string = fixed.circuit.verifier_srs
    assert srs.origin(string) == srs.DEV
    proved = fixed.prove(row(*ROW))
    claim = fixed.claim(row(*ROW), proved)
    with checked_by(lambda _: ""):
        assert not all(c.ok for c in check(claim))
        assert all(c.ok for c in check(claim, ALLOWED))
        monkeypatch.setitem(srs.CEREMONIES, sha256(string).hexdigest(), "a ceremony")
        assert all(c.ok for c in check(claim))


def test_no_field_of_a_record_can_call_it_a_ceremony() -> None:
    assert not {"srs_kind", "ceremony"} & set(Circuit.__struct_fields__)
