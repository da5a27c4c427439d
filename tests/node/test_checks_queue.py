"""Own answers that wait for their checks: bounded in number and bytes, and a full queue says so."""

from __future__ import annotations

import pytest

from node.auditing import queue
from node.auditing.after import Given
from node.auditing.queue import Checks
from tests.verify.lots import SCENE, claim
from verify.tiers.claim import file_of

GIVEN = Given(file_of(claim(), SCENE.signed_manifest), SCENE.inputs, SCENE.outputs, SCENE.provider.public)


def test_so_many_wait_and_no_more(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(queue, "MAX_CHECKS", 3)
    checks = Checks()
    assert [checks.add(GIVEN) for _ in range(5)] == [True, True, True, False, False]
    assert "too many wait already" in caplog.text


def test_so_many_bytes_wait_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GIVEN.size == sum(len(t.data) for t in (*SCENE.inputs, *SCENE.outputs))
    monkeypatch.setattr(queue, "MAX_CHECKED_BYTES", 2 * GIVEN.size)
    checks = Checks()
    assert [checks.add(GIVEN) for _ in range(3)] == [True, True, False]
