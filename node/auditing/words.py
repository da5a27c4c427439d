"""A provider's record in a line. Imports nothing: commands that only show it start fast."""

from __future__ import annotations

from typing import Any


def in_words(told: dict[str, Any]) -> str:
    """`12 checked, 12 agreed, 0 disputed, by 3 verifiers`; empty where nothing was checked."""
    if not told["checked"]:
        return ""
    by = "1 verifier" if told["verifiers"] == 1 else f"{told['verifiers']} verifiers"
    return f"{told['checked']} checked, {told['agreed']} agreed, {told['disputed']} disputed, by {by}"
