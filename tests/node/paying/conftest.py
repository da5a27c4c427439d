"""A store of one's own for each test."""

from tests.storage.conftest import path, store

__all__ = ["path", "store"]
