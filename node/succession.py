"""Where a new model stands among its publisher's versions: what it follows, whether it is there already."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import ValidationError, convert

from wire.canonical import decode
from wire.manifest import Manifest, ModelName, SignedManifest
from wire.version import Version, precedence

from .clock import now_ms
from .errors import CommandError, Exit
from .local import Local
from .meaning import highest_here
from .naming import CID_HEAD, Reference
from .publishing import own_record


@dataclass(frozen=True)
class Slot:
    """The place of one version. `model` is what it means already: the same content again has the same fields, and so
    the same CID."""

    model: bytes | None
    previous: bytes | None
    created_ms: int

    def admit(self, signed: SignedManifest, name: str) -> bool:
        """Whether the model is new; False for the same again, CommandError for another one under a taken version."""
        if self.model not in (None, signed.model):
            raise CommandError(
                Exit.USAGE,
                f"{name} is published already, with other content or other words",
                f"Choose a new version: --version; or correct its words: hallmark model edit {name}",
            )
        return self.model is None


def find_slot(local: Local, name: str, version: str) -> Slot:
    """The place of a version of this peer's own. CommandError when it was withdrawn, or nobody could ask for it."""
    new = Slot(None, None, now_ms())
    try:
        convert(name, ModelName)
        convert(version, Version)
    except ValidationError:
        return new  # whoever signs says what is wrong with them
    if name.startswith(CID_HEAD):
        raise CommandError(Exit.USAGE, f"the name {name!r} looks like a CID", "Choose another: --name NAME")
    record = own_record(local, name)
    named = record.of(version) if record else None
    if named is not None and named.withdrawn is not None:
        raise CommandError(
            Exit.USAGE, f"{name}@{version} was withdrawn, which is for good", "Choose a new version: --version"
        )
    store = local.store
    there = store.manifest(named.model) or store.catalogue.get(named.model) if named else None
    if named is None:  # signed, and the word on its name was lost
        there = highest_here(store, Reference(local.key.address, name, version))
    if there is not None:
        manifest = decode(there.body, Manifest)
        return Slot(there.model, manifest.previous, manifest.created_ms)
    if named is not None:
        return Slot(named.model, None, now_ms())  # it can't be compared: taken
    lower = [o for o in record.versions if precedence(o.version) < precedence(version)] if record else []
    standing = [other.model for other in lower if other.withdrawn is None]
    return Slot(None, next(iter(standing), None), now_ms())
