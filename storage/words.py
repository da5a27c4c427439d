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
    """Every word that finds this manifest, `MAX_WORDS` at most: exact values first, the description's last."""
    exact = [
        publisher_word(manifest.publisher),
        version_word(manifest.publisher, manifest.name, manifest.version),
        _exact(b"n", manifest.name),
        _exact(b"k", manifest.task),
        _exact(b"l", manifest.licence),
        *(_exact(b"g", tag) for tag in manifest.tags),
    ]
    name, tags = _split(manifest.name), _split(" ".join(manifest.tags))
    beginnings = [word[:end] for word in name for end in range(_SHORTEST, len(word))]
    said = chain(name, _split(manifest.task), tags, beginnings, _split(manifest.description))
    found = dict.fromkeys(chain(exact, (_word(word) for word in said)))
    return list(found)[: bounds.MAX_WORDS]


def words_sought(text: str, *, name: str, task: str, tag: str, licence: str, publisher: bytes) -> list[bytes]:
    """What all must stand in a manifest for it to be found; none means every manifest."""
    words = list(dict.fromkeys(_word(word) for word in _split(text)))
    if len(words) > bounds.MAX_TERMS:
        raise RecordError(f"search: {len(words)} words, the bound is {bounds.MAX_TERMS}")
    if text.strip() and not words:
        raise RecordError("search: there is no word in the text, only signs")
    kinds = ((b"n", name), (b"k", task), (b"g", tag), (b"l", licence))
    exact = [_exact(kind, value) for kind, value in kinds if value]
    return words + exact + ([publisher_word(publisher)] if publisher else [])


def publisher_word(publisher: bytes) -> bytes:
    """What all manifests of one publisher share."""
    return b"p" + publisher


def version_word(publisher: bytes, name: str, version: str) -> bytes:
    """What all manifests of one version share: one, unless its publisher corrected it, or is no honest one."""
    return b"v" + content_hash(publisher + f"{name}\0{version}".encode())


def _split(text: str) -> list[str]:
    return [word[: bounds.MAX_WORD] for word in _SPLIT.findall(text.casefold())]


def _word(word: str) -> bytes:
    return b"t" + word.encode()


def _exact(kind: bytes, value: str) -> bytes:
    data = value.casefold().strip().encode(errors="replace")
    return kind + (data if len(data) <= _LONGEST else content_hash(data))
