"""How people read which backend executed."""

from __future__ import annotations

from wire.inference import Backend


def show_backend(backend: Backend) -> str:
    """Its name, its version and its device, as a receipt or an offer has them."""
    return f"{backend.name} {backend.version} on {backend.device}"
