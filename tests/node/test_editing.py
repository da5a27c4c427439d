"""A publisher's own versions: what a new one follows, what the same again is, what edit and withdraw say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from node.config import Config
from node.datadir import DataDir
from node.errors import CommandError, Exit
from node.licences import check_licence
from node.local import Local, initialise, open_local
from node.operations.editing import edit_model, withdraw_model
from node.publishing import own_record, publish_version
from node.succession import find_slot
from tests.node.records import signed_manifest
from tests.verify.scenes import bent
from wire.canonical import decode
from wire.cid import from_cid, to_cid
from wire.keys import show_address
from wire.manifest import Manifest, SignedManifest, read_manifest, sign_manifest


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    directory = DataDir(tmp_path / "home")
    initialise(directory, None)
    async with open_local(directory, Config()) as opened:
        yield opened


async def publish(local: Local, version: str = "1.0.0", **changes: Any) -> SignedManifest:
    """As `model add`, without an engine; the same again when the version is there."""
    slot = find_slot(local, "digits", version)
    fields = {"version": version, "previous": slot.previous, "created_ms": slot.created_ms} | changes
    read = bent(decode(signed_manifest(**fields).body, Manifest), publisher=local.key.address)
    signed = sign_manifest(read, local.key, local.network.domain)
    slot.admit(signed, f"digits@{version}")
    await publish_version(local, version, signed, "digits")
    return signed


async def edit(local: Local, model: str = "digits", **changes: Any) -> dict[str, Any]:
    return await edit_model(local, {"model": model} | changes, lambda _: None)


async def withdraw(local: Local, model: str = "digits", reason: str = "") -> dict[str, Any]:
    return await withdraw_model(local, {"model": model, "reason": reason}, lambda _: None)


def manifest(local: Local, cid: str) -> Manifest:
    signed = local.store.manifest(from_cid(cid))
    assert signed is not None
    return read_manifest(signed, local.network.domain)


def said(local: Local) -> list[tuple[str, bytes, str | None]]:
    record = own_record(local, "digits")
    assert record is not None
    return [(named.version, named.model, named.withdrawn) for named in record.versions]


async def test_a_new_version_names_the_one_before_it(local: Local) -> None:
    first = await publish(local)
    third = await publish(local, "3.0.0")
    second = await publish(local, "2.0.0")
    previous = [read_manifest(s, local.network.domain).previous for s in (first, second, third)]
    assert previous == [None, first.model, first.model]
    assert said(local) == [("3.0.0", third.model, None), ("2.0.0", second.model, None), ("1.0.0", first.model, None)]
    assert {s.model for s in local.store.catalogue.search("digits").models} == {first.model, second.model, third.model}


async def test_the_same_again_is_the_same_model_and_other_content_is_refused(local: Local) -> None:
    first = await publish(local)
    second = await publish(local, "2.0.0")
    assert (await publish(local), await publish(local, "2.0.0")) == (first, second)
    with pytest.raises(CommandError, match="published already") as refused:
        await publish(local, description="other words")
    assert "model edit digits@1.0.0" in refused.value.next_step
    local.store.models.remove(first.model)
    assert await publish(local) == first  # the catalogue knows it still
    local.store.models.remove(first.model)
    local.store.catalogue.remove(first.model)
    with pytest.raises(CommandError, match="published already"):
        await publish(local)


async def test_a_lost_name_record_is_signed_anew(local: Local) -> None:
    slot = find_slot(local, "digits", "1.0.0")
    read = bent(decode(signed_manifest(created_ms=5).body, Manifest), publisher=local.key.address)
    signed = sign_manifest(read, local.key, local.network.domain)
    local.store.models.put(signed)  # killed before the record was written
    assert slot.model is None
    assert await publish(local) == signed
    assert said(local) == [("1.0.0", signed.model, None)]


async def test_an_edit_is_a_new_manifest_over_the_same_files(local: Local) -> None:
    first = await publish(local)
    found = await edit(local, "digits@1.0.0", description="Tells digits", tags=["b", "a", "b"], licence="apache-2.0")
    after = manifest(local, found["cid"])
    assert (after.previous, found["previous"]) == (first.model, first.cid)
    assert (after.description, after.tags, after.licence, after.version) == (
        "Tells digits", ("a", "b"), "Apache-2.0", "1.0.0"
    )  # fmt: skip
    assert after.files == manifest(local, first.cid).files
    assert said(local) == [("1.0.0", from_cid(found["cid"]), None)]
    assert [s.cid for s in local.store.catalogue.search("digits").models] == [found["cid"]]
    none = await edit(local, found["cid"], tags=[])
    assert manifest(local, none["cid"]).tags == ()


async def test_what_is_no_edit(local: Local) -> None:
    first = await publish(local)
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("digits", {}, "says already"),
        ("digits", {"licence": "MIT"}, "says already"),
        ("digits", {"licence": "MITT"}, "no SPDX"),
        ("digits", {"tags": ["Not A Tag"]}, "Tag|tags"),
        ("digits", {"description": "\x1b[2J"}, "description"),
        ("digits@9.0.0", {"task": "x"}, "has no version 9.0.0"),
        ("letters", {"task": "x"}, "publishes no model"),
        (to_cid(bytes(32)), {"task": "x"}, "publishes no model"),
    ]
    for model, changes, message in cases:
        with pytest.raises(CommandError, match=message):
            await edit(local, model, **changes)
    assert said(local) == [("1.0.0", first.model, None)]
    local.store.models.remove(first.model)
    with pytest.raises(CommandError, match="not in the store"):
        await edit(local, task="x")


async def test_a_withdrawal_is_for_good(local: Local) -> None:
    first, second = await publish(local), await publish(local, "2.0.0")
    for reason in ("two\nlines", "x" * 257):
        with pytest.raises(CommandError, match="reason"):
            await withdraw(local, reason=reason)
    found = await withdraw(local, reason="wrong weights")
    assert (found["cid"], found["version"], found["reason"]) == (second.cid, "2.0.0", "wrong weights")
    assert said(local) == [("2.0.0", second.model, "wrong weights"), ("1.0.0", first.model, None)]
    assert [s.cid for s in local.store.catalogue.search("digits").models] == [first.cid]
    for again in (withdraw(local, second.cid), edit(local, "digits@2.0.0", task="x"), publish(local, "2.0.0")):
        with pytest.raises(CommandError, match="withdrawn"):
            await again
    assert (await withdraw(local, f"{show_address(local.key.address)}/digits"))["cid"] == first.cid
    with pytest.raises(CommandError, match="withdrawn already"):
        await withdraw(local)


@pytest.mark.parametrize("name", ["bagaqihra", "bagaqihraabcd"])
async def test_nothing_is_published_under_a_name_like_a_cid(local: Local, name: str) -> None:
    with pytest.raises(CommandError, match="looks like a CID"):
        find_slot(local, name, "1.0.0")


@pytest.mark.parametrize(
    ("text", "spelt"),
    [("mit", "MIT"), ("apache-2.0 or mit", "Apache-2.0 OR MIT"), ("LicenseRef-Ours", "LicenseRef-Ours"),
     ("GPL-2.0-only WITH classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0")],
)  # fmt: skip
def test_a_licence_is_spelt_as_the_standard_spells_it(text: str, spelt: str) -> None:
    assert check_licence(text) == spelt


@pytest.mark.parametrize(
    ("text", "meant"),
    [("apache2", "Apache-2.0"), ("MITT", "MIT"), ("MIT OR aapche-2.0", "Apache-2.0"), ("", "spdx.org")],
)
def test_a_mistyped_licence_is_told_what_is_near(text: str, meant: str) -> None:
    with pytest.raises(CommandError) as refused:
        check_licence(text)
    assert refused.value.exit_code is Exit.USAGE
    assert meant in refused.value.next_step
