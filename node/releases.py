"""Whether others run a newer release than this peer. They only say so: it is news when most of them do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version

from packaging.version import InvalidVersion, Version

_PROGRAM = "hallmark/"
RELEASE = _PROGRAM + version("hallmark")  # what this peer calls itself


def newer_releases(ours: str, others: Iterable[str]) -> dict[str, object] | None:
    """How many of `others` (releases as presences have them) are newer: `peers`, `of`, and the `release` that most of
    those run. None where it is not most of them, or one alone."""
    mine = _version(ours)
    said = [found for release in others if (found := _version(release)) is not None]
    newer = Counter(found for found in said if mine is not None and found > mine)
    count = newer.total()
    if count < 2 or 2 * count <= len(said):
        return None
    return {"peers": count, "of": len(said), "release": str(newer.most_common(1)[0][0])}


def in_words(found: dict[str, object]) -> str:
    """The same, for people."""
    return f"{found['peers']} of {found['of']} peers run a newer release, {found['release']} most of them"


def _version(release: str) -> Version | None:
    if not release.startswith(_PROGRAM):
        return None
    try:
        return Version(release.removeprefix(_PROGRAM)[:32])
    except InvalidVersion:
        return None
