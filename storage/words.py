"""The words under which a manifest is found, and those that a search looks for: one rule for both.

Letters and digits of any script, without case. A name's words are found by their beginnings as well, since people type
half of them. Each kind of word has a letter in front, so that a task never meets a word of the description.
"""

from __future__ import annotations

import re
from itertools import chain

from wire.cid import content_hash
from wire.errors import RecordError
from wire.manifest import Manifest

from . import bounds

_SPLIT = re.compile(r"[^\W_]+")
_SHORTEST = 2  # characters of a beginning
_LONGEST = 64  # bytes of an exact value that stands as itself; a longer one by its hash


def words_of(manifest: Manifest) -> list[bytes]:
    """Every word that finds this manifest, `MAX_WORDS` at most: exact values first, then name, task, description."""
    exact = [publisher_word(manifest.publisher), _exact(b"k", manifest.task), _exact(b"l", manifest.licence)]
    name = _split(manifest.name)
    beginnings = [word[:end] for word in name for end in range(_SHORTEST, len(word))]
    said = chain(name, _split(manifest.task), beginnings, _split(manifest.description))
    found = dict.fromkeys(chain(exact, (_word(word) for word in said)))
    return list(found)[: bounds.MAX_WORDS]


def words_sought(text: str, *, task: str, licence: str, publisher: bytes) -> list[bytes]:
    """What all must stand in a manifest for it to be found; none means every manifest."""
    words = list(dict.fromkeys(_word(word) for word in _split(text)))
    if len(words) > bounds.MAX_TERMS:
        raise RecordError(f"search: {len(words)} words, the bound is {bounds.MAX_TERMS}")
    if text.strip() and not words:
        raise RecordError("search: there is no word in the text, only signs")
    exact = [_exact(kind, value) for kind, value in ((b"k", task), (b"l", licence)) if value]
    return words + exact + ([publisher_word(publisher)] if publisher else [])


def publisher_word(publisher: bytes) -> bytes:
    """What all manifests of one publisher share."""
    return b"p" + publisher


def _split(text: str) -> list[str]:
    return [word[: bounds.MAX_WORD] for word in _SPLIT.findall(text.casefold())]


def _word(word: str) -> bytes:
    return b"t" + word.encode()


def _exact(kind: bytes, value: str) -> bytes:
    data = value.casefold().strip().encode()
    return kind + (data if len(data) <= _LONGEST else content_hash(data))
