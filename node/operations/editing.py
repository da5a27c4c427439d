"""`model edit | withdraw`: a publisher's second word on a model of its own."""

from __future__ import annotations

from typing import Any

from msgspec import ValidationError, convert
from msgspec.structs import replace

from wire.bounds import Line
from wire.canonical import decode
from wire.cid import from_cid, to_cid
from wire.errors import RecordError
from wire.keys import show_address
from wire.manifest import Manifest, SignedManifest, read_manifest, sign_manifest
from wire.name import Named, NameRecord

from ..clock import now_ms
from ..control import Emit
from ..errors import CommandError, Exit
from ..licences import check_licence
from ..local import Local
from ..naming import parse_reference
from ..petnames import load_petnames
from ..publishing import own_record, publish, with_version
from .models import describe

FIELDS = ("description", "task", "licence", "tags", "royalty_bps")


async def edit_model(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Publish a new manifest over the same files and version; the name means it from now on.

    `params`: `model`, and what shall change of `FIELDS`; None leaves one as it is. The new model's description.
    """
    record, named = _own(local, params["model"])
    if named.withdrawn is not None:
        raise CommandError(
            Exit.USAGE,
            f"{record.name}@{named.version} was withdrawn, which is for good",
            "Publish it as a new version: hallmark model add",
        )
    before = local.store.manifest(named.model)
    if before is None:
        raise CommandError(
            Exit.NOT_FOUND,
            f"{record.name}@{named.version} is not in the store, and only its files can be published anew",
            f"Pull it first: hallmark model pull {to_cid(named.model)}",
        )
    manifest = decode(before.body, Manifest)
    edited = _edited(manifest, params, named.model)
    if edited == manifest:
        raise CommandError(Exit.USAGE, "that is what the model says already", "Say what shall change.")
    signed = _signed(local, edited)
    after = Named(version=named.version, model=signed.model, withdrawn=None)
    await publish(local, with_version(record, record.publisher, record.name, after, now_ms()), signed)
    return describe(signed, edited) | {"previous": to_cid(named.model)}


def _edited(manifest: Manifest, params: dict[str, Any], model: bytes) -> Manifest:
    changes = {field: params[field] for field in FIELDS if params.get(field) is not None}
    if "tags" in changes:
        changes["tags"] = tuple(sorted(set(changes["tags"])))
    if "licence" in changes:
        changes["licence"] = check_licence(changes["licence"])
    if all(getattr(manifest, field) == value for field, value in changes.items()):
        return manifest
    return replace(manifest, **changes, previous=model, created_ms=now_ms())


def _signed(local: Local, manifest: Manifest) -> SignedManifest:
    try:
        signed = sign_manifest(manifest, local.key, local.network.domain)
        read_manifest(signed, local.network.domain)  # its bounds, as every other peer will check them
    except RecordError as error:
        raise CommandError(Exit.USAGE, str(error), "Tags are lower case, texts printable and not too long.") from error
    return signed


async def withdraw_model(local: Local, params: dict[str, Any], emit: Emit) -> dict[str, Any]:  # noqa: ARG001
    """Say that a version is withdrawn, and why: no name leads to it any more. `params`: `model`, `reason`."""
    record, named = _own(local, params["model"])
    if named.withdrawn is not None:
        raise CommandError(Exit.USAGE, f"{record.name}@{named.version} is withdrawn already")
    try:
        gone = Named(version=named.version, model=named.model, withdrawn=convert(params["reason"], Line))
    except ValidationError as error:
        rule = "One line of at most 256 printable characters."
        raise CommandError(Exit.USAGE, "the reason is too long, or more than one line", rule) from error
    await publish(local, with_version(record, record.publisher, record.name, gone, now_ms()))
    local.models_changed.notify()
    return {
        "cid": to_cid(named.model),
        "name": record.name,
        "version": named.version,
        "publisher": show_address(record.publisher),
        "reason": gone.withdrawn,
    }


def _own(local: Local, text: str) -> tuple[NameRecord, Named]:
    """The version of this peer's own that a name or a CID means; CommandError when it is none of its own."""
    try:
        model = from_cid(text)
    except RecordError:
        return _own_named(local, text)
    for signed in local.store.names.of(local.key.address):
        record = decode(signed.body, NameRecord)
        if named := next((named for named in record.versions if named.model == model), None):
            return record, named
    raise _not_own(text)


def _own_named(local: Local, text: str) -> tuple[NameRecord, Named]:
    reference = parse_reference(text, load_petnames(local.directory.petnames))
    if reference is None or reference.publisher not in (None, local.key.address):
        raise _not_own(text)
    record = own_record(local, reference.name)
    if record is None:
        raise _not_own(text)
    named = record.of(reference.version)
    if named is None and reference.version:
        versions = ", ".join(other.version for other in record.versions[:10])
        raise CommandError(
            Exit.NOT_FOUND, f"{record.name} has no version {reference.version}", f"Versions: {versions}."
        )
    return record, named or record.versions[0]  # all are withdrawn: then that is what is said


def _not_own(text: str) -> CommandError:
    return CommandError(
        Exit.NOT_FOUND,
        f"this peer publishes no model {text!r}",
        "Only its publisher can do this. See: hallmark model ls",
    )
