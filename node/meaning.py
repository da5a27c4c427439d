"""What MODEL means among the models of the store: for commands that need no other peer."""

from __future__ import annotations

from storage import Store
from wire.canonical import decode
from wire.cid import from_cid
from wire.errors import RecordError
from wire.manifest import Manifest, SignedManifest
from wire.name import NameRecord
from wire.version import is_prerelease, precedence

from .local import Local
from .naming import Reference, parse_reference
from .petnames import load_petnames


def find_here(local: Local, text: str) -> SignedManifest | None:
    """The one model of the store that a CID, its beginning or a name means; None when there is none.

    ModelAmbiguous when several fit, CommandError as `parse_reference` has it.
    """
    try:
        return local.store.models.get(from_cid(text))
    except RecordError:
        reference = parse_reference(text, load_petnames(local.directory.petnames))
    if reference is None or reference.publisher is None:
        return local.store.models.find(text)
    return highest_here(local.store, reference)


def highest_here(store: Store, reference: Reference) -> SignedManifest | None:
    """The model of the store that stands highest under a publisher's name (and version), by what is known of it."""
    best = None
    name = f"{reference.name}@{reference.version}" if reference.version else reference.name
    for signed in store.models.named(name):
        manifest = decode(signed.body, Manifest)
        if manifest.publisher == reference.publisher and not is_gone(store, manifest, signed.model):
            order = (not is_prerelease(manifest.version), precedence(manifest.version), manifest.created_ms)
            best = max(best or (order, signed), (order, signed), key=lambda one: one[0])
    return best[1] if best else None


def is_gone(store: Store, manifest: Manifest, model: bytes) -> bool:
    """Whether the name record that is known says that this model was withdrawn, or that its version is another one."""
    known = store.names.get(manifest.publisher, manifest.name)
    named = decode(known.body, NameRecord).of(manifest.version) if known else None
    return named is not None and (named.model != model or named.withdrawn is not None)
