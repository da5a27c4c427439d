"""Semantic versions (semver.org, 2.0.0) without build metadata: two models of one version would otherwise be equal."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

_NUMBER = r"(0|[1-9][0-9]{0,8})"
_PART = r"(0|[1-9][0-9]{0,8}|[0-9]*[A-Za-z\-][0-9A-Za-z\-]*)"
# \Z and not $: the latter would let a newline stand at the end
VERSION = rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PART}(\.{_PART})*)?\Z"

Version = Annotated[str, Meta(max_length=64, pattern=VERSION)]

Precedence = tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]


def precedence(version: str) -> Precedence:
    """What orders versions: a release above its pre-releases, numbers below words, more parts above fewer.

    `version` is one that a record's bounds have let through.
    """
    numbers, dash, before = version.partition("-")
    major, minor, patch = map(int, numbers.split("."))
    parts = ((False, int(p), "") if p.isdigit() else (True, 0, p) for p in before.split(".") if dash)
    return (major, minor, patch), not dash, tuple(parts)


def is_prerelease(version: str) -> bool:
    """Whether it is one that nobody gets who does not ask for it."""
    return "-" in version
