"""What one peer keeps on disk: model files as checked chunks, manifests, what is known of others' models and names,
receipts, a verifier's ballots.

LMDB in one directory that one process holds at a time. What a writing method acknowledged is on disk; what a reading
method returns was checked against its hash. Imports only `wire`. Start at `open_store`; each kind of thing is a file of
its own (`blobs`, `models`, `pins`, `catalogue`, `names`, `seen`, `receipts`, `ballots`). docs/storage.md describes the
layout.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .blobs import BlobStatistics
    from .catalogue import Page
    from .collection import Collected
    from .errors import ModelAmbiguous, ModelPinned, StoreBusy, StoreDamaged, StoreError, StoreFull
    from .export import export_model, import_files, read_exported
    from .holds import Hold
    from .receipts import ReceiptSummary
    from .seen import Seen
    from .store import Store, open_store
    from .verification import ModelState, Verified

__all__ = [
    "BlobStatistics",
    "Collected",
    "Hold",
    "ModelAmbiguous",
    "ModelPinned",
    "ModelState",
    "Page",
    "ReceiptSummary",
    "Seen",
    "Store",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "Verified",
    "export_model",
    "import_files",
    "open_store",
    "read_exported",
]
_HOMES = {
    "blobs": ("BlobStatistics",),
    "catalogue": ("Page",),
    "collection": ("Collected",),
    "errors": ("ModelAmbiguous", "ModelPinned", "StoreBusy", "StoreDamaged", "StoreError", "StoreFull"),
    "export": ("export_model", "import_files", "read_exported"),
    "holds": ("Hold",),
    "receipts": ("ReceiptSummary",),
    "seen": ("Seen",),
    "store": ("Store", "open_store"),
    "verification": ("ModelState", "Verified"),
}


def __getattr__(name: str) -> Any:
    # On demand: a command that speaks to a running node knows the store's errors, and needs neither LMDB nor a hash.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module 'storage' has no attribute {name!r}")
