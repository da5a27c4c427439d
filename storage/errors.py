"""What can go wrong with the store, by what the user should do about it."""

from __future__ import annotations


class StoreError(Exception):
    """The store could not do what was asked; the text says why, and what to do."""


class StoreFull(StoreError):
    """No room for what was to be written. Nothing of it was kept; all that was stored before is still there."""


class StoreDamaged(StoreError):
    """What is on disk is not what was written."""


class StoreBusy(StoreError):
    """Another process has the data directory open."""


class ModelAmbiguous(StoreError):
    """A name, or the beginning of a CID, fits several models; the text lists them."""


class ModelPinned(StoreError):
    """A pinned model cannot be removed."""
