"""What a hub mirrors: which model to fetch next, which copy to let go, why it rests. A machine without I/O.

A copy is a model that nobody here asked for: never one of the operator's own, one that was pulled by hand, or a pinned
one. Copies take a part of the quota only, so that the operator's own models always find room, and one gives way only to
a model made after it was fetched: two models never push each other out in turn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from wire.bounds import CHUNK, KIB
from wire.manifest import Manifest

from .bounds import (
    MAX_COPIES,
    MAX_MIRROR_FAILURES,
    MAX_MIRROR_WAITING,
    MIRROR_KEEP_MS,
    MIRROR_REST,
    MIRROR_RETRY,
    MIRROR_SHARE,
)
from .config import Config, HubPolicy
from .errors import CommandError, Exit
from .petnames import find_publisher

_WEEK_MS = 7 * 24 * 60 * 60 * 1000
_CHUNK_ON_DISK = CHUNK + 4 * KIB  # LMDB writes whole pages
_FILE_ON_DISK = 8 * KIB  # outline and manifest


@dataclass(frozen=True)
class Policy:
    """Which models a hub fetches of its own accord; `pinned` means none."""

    kind: HubPolicy = "pinned"
    publishers: frozenset[bytes] = frozenset()  # addresses
    tags: frozenset[str] = frozenset()

    def wants(self, manifest: Manifest) -> bool:
        """Whether a model is one of them."""
        match self.kind:
            case "everything":
                return True
            case "publishers":
                return manifest.publisher in self.publishers
            case "tags":
                return not self.tags.isdisjoint(manifest.tags)
            case "pinned":
                return False


def read_policy(config: Config, petnames: Mapping[str, bytes]) -> Policy:
    """The policy that the settings mean. CommandError when they contradict each other, or name nobody."""
    kind = config.hub_policy
    needed = {"publishers": config.hub_publishers, "tags": config.hub_tags}
    if not needed.get(kind, ("-",)):
        message = f"hub_policy is {kind!r}, and hub_{kind} is empty"
        raise CommandError(Exit.CONFIG, message, f"Give some: {_FLAGS[kind]}")
    for name, values in needed.items():
        if values and kind == "pinned":
            message = f"hub_{name} is set, and hub_policy is 'pinned', which mirrors nothing"
            raise CommandError(Exit.CONFIG, message, f"Set the policy too: --hub-policy {name}")
    try:
        publishers = frozenset(find_publisher(text, petnames) for text in config.hub_publishers)
    except CommandError as error:
        raise CommandError(Exit.CONFIG, f"hub_publishers: {error.message}", error.next_step) from error
    return Policy(kind, publishers, frozenset(config.hub_tags))


ALL_HERE = "all that the policy asks for is here"
_FLAGS = {"publishers": "--hub-publisher PUBLISHER", "tags": "--hub-tag TAG"}


def on_disk(sizes: Collection[int]) -> int:
    """Bytes that files of these sizes take in the store, at most."""
    return sum(-(-size // CHUNK) * _CHUNK_ON_DISK + _FILE_ON_DISK for size in sizes)


@dataclass(frozen=True)
class Wanted:
    """A model that the policy asks for and that is not here; `size` is what it would add on disk, in bytes."""

    model: bytes
    size: int
    created_ms: int


@dataclass(frozen=True)
class Copy:
    """A model that was fetched because of the policy."""

    model: bytes
    size: int
    since_ms: int
    pulls: int = 0  # how often others fetched it from here
    wanted: bool = True  # by the policy as it is now
    stands: bool = True  # its publisher has not withdrawn it, nor put another in its place


@dataclass(frozen=True)
class Fetch:
    """Fetch this model now."""

    model: bytes


@dataclass(frozen=True)
class Drop:
    """Let these copies go, and collect what they leave."""

    models: tuple[bytes, ...]
    why: str


@dataclass(frozen=True)
class Rest:
    """Nothing can be done for so many seconds, unless something changes."""

    seconds: float
    why: str
    crowded: bool = False  # something waits for room


@dataclass
class Standing:
    """What the mirroring of the running hub does now, in words; "" where no hub runs."""

    text: str = ""


@dataclass
class Mirror:
    """One hub's mirroring: told what is known and what became of its actions, it says the next one."""

    bound: str = "the quota"  # what limits it, in words
    waiting: dict[bytes, Wanted] = field(default_factory=dict)  # newest word first
    copies: dict[bytes, Copy] = field(default_factory=dict)
    _failures: dict[bytes, tuple[int, int]] = field(default_factory=dict)  # model: how often, not before (ms)

    def surveyed(self, waiting: Sequence[Wanted], copies: Sequence[Copy]) -> None:
        """What the store and the catalogue say now."""
        self.copies = {copy.model: copy for copy in copies}
        self.waiting = {wanted.model: wanted for wanted in waiting if wanted.model not in self.copies}

    def failing(self, now_ms: int) -> frozenset[bytes]:
        """Models that have failed and are not due yet."""
        return frozenset(model for model, (_, again) in self._failures.items() if again > now_ms)

    def fetched(self, model: bytes, now_ms: int) -> None:
        """It is here, whole."""
        wanted = self.waiting.pop(model)
        self._failures.pop(model, None)
        self.copies[model] = Copy(model, wanted.size, now_ms)

    def failed(self, model: bytes, now_ms: int) -> None:
        """It could not be fetched: others have their turn, and it comes again later, and later still."""
        count, _ = self._failures.pop(model, (0, 0))
        if len(self._failures) >= MAX_MIRROR_FAILURES:
            del self._failures[next(iter(self._failures))]
        first, most = MIRROR_RETRY
        self._failures[model] = count + 1, now_ms + int(1000 * min(most, first * 2.0**count))

    def dropped(self, model: bytes) -> None:
        """The copy is gone."""
        self.copies.pop(model, None)

    def next(self, used: int, limit: int, now_ms: int) -> Fetch | Drop | Rest:
        """What to do now. `used` bytes are taken of the `limit` that everything in the store may take."""
        limit = int(limit * MIRROR_SHARE)
        due = self._due(limit, now_ms)
        for wanted in due:
            if not wanted.size:  # its bytes are here under another model, which may be about to go: one that was edited
                return Fetch(wanted.model)
        if fallen := tuple(copy.model for copy in self.copies.values() if not copy.stands):
            return Drop(fallen, "its publisher withdrew or replaced it")
        room = limit - used
        heavy = [copy for copy in self._least_wanted() if copy.size]  # what frees nothing would come and go for ever
        if room < 0 and (gone := self._until(-room, heavy)):
            return Drop(gone, f"{self.bound} is used up")
        for wanted in due:
            if wanted.size <= room:
                return Fetch(wanted.model)
        for wanted in due:
            idle = [copy for copy in self._least_wanted() if _gives_way(copy, wanted, now_ms)]
            if sum(copy.size for copy in idle) >= wanted.size - room:
                return Drop(self._until(wanted.size - room, idle), "a newer model needs its room")
        crowded = any(room < wanted.size <= limit for wanted in self.waiting.values())
        return Rest(self._pause(now_ms), self._why(limit, room, now_ms), crowded)

    def _due(self, limit: int, now_ms: int) -> list[Wanted]:
        """What may be fetched as far as time and the bounds go, whether there is room or not."""
        if len(self.copies) >= MAX_COPIES:
            return []
        return [w for w in self.waiting.values() if w.size <= limit and self._again_ms(w.model) <= now_ms]

    def _least_wanted(self) -> list[Copy]:
        """Copies in the order in which they go: what the policy no longer asks for, then least pulled, then oldest."""
        return sorted(self.copies.values(), key=lambda copy: (copy.wanted, copy.pulls, copy.since_ms))

    def _until(self, size: int, copies: Sequence[Copy]) -> tuple[bytes, ...]:
        """As many of the first copies as free `size` bytes; all of them where that is not enough."""
        freed = accumulate((copy.size for copy in copies), initial=0)
        return tuple(copy.model for copy, before in zip(copies, freed, strict=False) if before < size)

    def _again_ms(self, model: bytes) -> int:
        return self._failures.get(model, (0, 0))[1]

    def _pause(self, now_ms: int) -> float:
        soonest = min((again for _, again in self._failures.values() if again > now_ms), default=None)
        return MIRROR_REST if soonest is None else min(MIRROR_REST, (soonest - now_ms) / 1000)

    def _why(self, limit: int, room: int, now_ms: int) -> str:
        return "; ".join(self._reasons(limit, room, now_ms)) or ALL_HERE

    def _reasons(self, limit: int, room: int, now_ms: int) -> Iterator[str]:
        if len(self.copies) >= MAX_COPIES:
            yield f"there are {MAX_COPIES} copies, and no more are kept: {_models(len(self.waiting))} not mirrored"
            return
        fitting = [w for w in self.waiting.values() if w.size <= limit]
        if waiting := sum(w.size > room for w in fitting):
            more = " or more" if len(self.waiting) >= MAX_MIRROR_WAITING else ""
            yield f"{self.bound} is used up: {_models(waiting)}{more} wait{'s' if waiting == 1 else ''}"
        if failing := sum(w.size <= room and self._again_ms(w.model) > now_ms for w in fitting):
            yield f"{_models(failing)} could not be fetched; tried again in {self._pause(now_ms):.0f} s"
        if large := len(self.waiting) - len(fitting):
            yield f"{_models(large)} {'is' if large == 1 else 'are'} larger than {self.bound} allows"


def _gives_way(copy: Copy, wanted: Wanted, now_ms: int) -> bool:
    """Whether a copy may be dropped for this model: one that is still wanted was here for its time, and is hardly
    pulled."""
    age = now_ms - copy.since_ms
    idle = age >= MIRROR_KEEP_MS and copy.pulls * _WEEK_MS < age
    return not copy.wanted or (idle and wanted.created_ms > copy.since_ms)


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"
