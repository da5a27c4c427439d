"""What a settler keeps: receipts to settle, and its own word on each epoch; and what a peer has to hand to settlers.

A root that was signed is on disk before its signature leaves: two different ones of an epoch cost the bond, and a
process that forgot the first would sign a second. So `say` itself refuses another root of the epoch, whoever asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from wire.bounds import U63
from wire.canonical import Amount, Record, decode, encode
from wire.errors import RecordError
from wire.settlement import EpochRoot, Payable, SettlementLine, Share, Word

from . import bounds
from .checked import with_hash, without_hash
from .environment import Environment
from .errors import StoreDamaged

if TYPE_CHECKING:
    from .environment import Txn

_WAITING, _HANDED = b"\0", b"\1"
_LINE = 20 + 1 + 32 + 16  # bytes: account, role, receipt, amount


class Held(Record):
    """A receipt that a settler checked, and since when it has it: seconds, the chain's time."""

    payable: Payable
    since_s: U63


class Settling:
    """Reads are short, but `held`, which is for the start. Whatever writes blocks until it is on disk."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._files = environment.table("to_settle")  # digest: hash, receipt file
        self._held = environment.table("held")  # digest: hash, Held
        self._outbox = environment.table("outbox")  # digest: state (1), since (8), hash, receipt file
        self._settled = environment.table("settled")  # digest: epoch (8)
        self._lines = environment.table("epoch_lines")  # epoch (8): hash, EpochRoot's size (2), EpochRoot, lines
        self._words = environment.table("epoch_words")  # epoch (8): hash, size of a Word (4), Word, versions

    # Receipts

    def put(self, receipts: Sequence[tuple[Held, bytes]]) -> list[bool]:
        """Keep these in one transaction; which of them are here now. One of the same receipt gives way. Blocks.

        Beyond `MAX_TO_SETTLE` receipts none is taken.
        """

        def work(txn: Txn) -> list[bool]:
            done = []
            for held, file in receipts:
                digest = held.payable.receipt
                known = txn.get(digest, db=self._held) is not None
                if known or txn.stat(self._held)["entries"] < bounds.MAX_TO_SETTLE:
                    txn.put(digest, with_hash(encode(held)), db=self._held)
                    txn.put(digest, with_hash(file), db=self._files)
                    done.append(True)
                else:
                    done.append(False)
            return done

        return self._environment.write(work)

    def file(self, digest: bytes) -> bytes | None:
        """A receipt file as it was handed over, or None. StoreDamaged when it is not what was written."""
        with self._environment.read() as txn:
            stored = txn.get(digest, db=self._files) if digest else None
            return (
                None if stored is None else without_hash(stored, f"The receipt {digest.hex()}, which is to be settled,")
            )

    def held(self) -> list[Held]:
        """Every receipt here. A damaged one is left out: it is handed over again, or another settler has it."""
        with self._environment.read() as txn:
            return [held for _, stored in txn.cursor(self._held) if (held := _read(stored)) is not None]

    def forget(self, digests: Iterable[bytes]) -> None:
        """These are settled for good, or too old. Blocks."""

        def work(txn: Txn) -> None:
            for digest in digests:
                txn.delete(digest, db=self._held)
                txn.delete(digest, db=self._files)

        self._environment.write(work)

    # Where receipts were settled

    def settle(self, epochs: Mapping[bytes, int]) -> None:
        """These receipts (digests) were settled in these epochs, for good. Blocks."""

        def work(txn: Txn) -> None:
            for digest, epoch in epochs.items():
                txn.put(digest, epoch.to_bytes(8, "big"), db=self._settled)
                txn.delete(digest, db=self._outbox)

        self._environment.write(work)

    def settled_in(self, digest: bytes) -> int | None:
        """The epoch in which a receipt was settled, as far as this peer knows."""
        with self._environment.read() as txn:
            stored = txn.get(digest, db=self._settled) if digest else None
            return None if stored is None else int.from_bytes(stored, "big")

    # What is to be handed over

    def post(self, files: Mapping[bytes, bytes], now_ms: int) -> int:
        """Put receipt files, by their digests, into the outbox; how many had no room at `MAX_OUTBOX`. Blocks."""

        def work(txn: Txn) -> int:
            refused = 0
            for digest, file in files.items():
                if txn.get(digest, db=self._outbox) is not None or txn.get(digest, db=self._settled) is not None:
                    continue
                if txn.stat(self._outbox)["entries"] >= bounds.MAX_OUTBOX:
                    refused += 1
                    continue
                txn.put(digest, _WAITING + now_ms.to_bytes(8, "big") + with_hash(file), db=self._outbox)
            return refused

        return self._environment.write(work)

    def waiting(self, limit: int) -> list[bytes]:
        """Digests of receipts that nobody took yet, `limit` at most."""
        return self._in_outbox(_WAITING, limit)

    def handed(self, limit: int) -> list[bytes]:
        """Digests of receipts that settlers took, and that are not known to be settled."""
        return self._in_outbox(_HANDED, limit)

    def to_hand(self, digest: bytes) -> bytes | None:
        """The receipt file, while it waits. StoreDamaged when it is not what was written."""
        with self._environment.read() as txn:
            stored = txn.get(digest, db=self._outbox)
            if stored is None or bytes(stored[:1]) != _WAITING:
                return None
            return without_hash(stored[9:], f"The receipt {digest.hex()} for settlers")

    def taken(self, digests: Iterable[bytes]) -> None:
        """Settlers have these on disk: only that is remembered. Blocks."""

        def work(txn: Txn) -> None:
            for digest in digests:
                if (stored := txn.get(digest, db=self._outbox)) is not None:
                    txn.put(digest, _HANDED + bytes(stored[1:9]), db=self._outbox)

        self._environment.write(work)

    def drop(self, before_ms: int, refused: Iterable[bytes] = ()) -> int:
        """Forget what was put into the outbox before, and what was refused; how many nobody had taken. Blocks."""

        def work(txn: Txn) -> int:
            gone = set(refused)
            for key, stored in txn.cursor(self._outbox):
                if int.from_bytes(stored[1:9], "big") < before_ms:
                    gone.add(bytes(key))
            lost = 0
            for digest in gone:
                entry = txn.get(digest, db=self._outbox)
                lost += entry is not None and bytes(entry[:1]) == _WAITING
                txn.delete(digest, db=self._outbox)
            return lost

        return self._environment.write(work)

    def _in_outbox(self, state: bytes, limit: int) -> list[bytes]:
        found: list[bytes] = []
        with self._environment.read() as txn:
            for key, stored in txn.cursor(self._outbox):
                if len(found) >= limit:
                    break
                if bytes(stored[:1]) == state:
                    found.append(bytes(key))
        return found

    # Lines

    def keep_lines(self, root: EpochRoot, lines: Sequence[SettlementLine]) -> None:
        """Keep an epoch's lines, all of them in their order; those of `MAX_EPOCH_LINES` epochs are kept. Blocks."""
        body = encode(root)
        packed = b"".join(x.account + bytes([x.role]) + x.receipt + x.amount.to_bytes(16, "big") for x in lines)

        def work(txn: Txn) -> None:
            txn.put(
                root.epoch.to_bytes(8, "big"), with_hash(len(body).to_bytes(2, "big") + body + packed), db=self._lines
            )
            first = txn.cursor(self._lines)
            while txn.stat(self._lines)["entries"] > bounds.MAX_EPOCH_LINES and first.first():
                first.delete()

        self._environment.write(work)

    def lines(self, epoch: int) -> tuple[EpochRoot, list[SettlementLine]] | None:
        """An epoch's lines, or None. StoreDamaged when they are not what was written. Long for an epoch of many."""
        with self._environment.read() as txn:
            stored = txn.get(epoch.to_bytes(8, "big"), db=self._lines)
            data = None if stored is None else without_hash(stored, f"The lines of epoch {epoch}")
        if data is None:
            return None
        size = 2 + int.from_bytes(data[:2], "big")
        found: list[SettlementLine] = []
        before = 0
        for at in range(size, len(data), _LINE):
            amount = int.from_bytes(data[at + 53 : at + 69], "big")
            line = SettlementLine(
                index=len(found),
                account=data[at : at + 20],
                role=Share(data[at + 20]),
                receipt=data[at + 21 : at + 53],
                amount=Amount(amount),
                sum_before=Amount(before),
            )
            found.append(line)
            before += amount
        return decode(data[2:size], EpochRoot), found

    def forget_lines(self, epoch: int) -> None:
        """That root was cancelled. Blocks."""
        self._environment.write(lambda txn: txn.delete(epoch.to_bytes(8, "big"), db=self._lines))

    # What this settler said

    def say(self, word: Word, versions: Sequence[bytes]) -> bool:
        """Write down an agreement or a signature, before it leaves; whether it may. Blocks.

        Not when it contradicts an earlier word: another root than the one that was signed, or, where none was, than
        one that was agreed to in the same turn or a later one.
        """

        def work(txn: Txn) -> bool:
            before = self._word(txn, word.root.epoch)
            if before is not None and not _follows(before[0], word):
                return False
            body = encode(word)
            value = with_hash(len(body).to_bytes(4, "big") + body + b"".join(versions))
            txn.put(word.root.epoch.to_bytes(8, "big"), value, db=self._words)
            return True

        return self._environment.write(work)

    def word(self, epoch: int) -> tuple[Word, tuple[bytes, ...]] | None:
        """What was said last of an epoch, and the receipts (versions) of that root. StoreDamaged when it cannot be
        read: then nothing more may be said of that epoch."""
        with self._environment.read() as txn:
            return self._word(txn, epoch)

    def cancelled(self, root: EpochRoot) -> None:
        """The contract cancelled this root: the epoch is open for another one. Blocks."""

        def work(txn: Txn) -> None:
            said = self._word(txn, root.epoch)
            if said is not None and said[0].root == root:
                txn.delete(root.epoch.to_bytes(8, "big"), db=self._words)

        self._environment.write(work)

    def words_before(self, epoch: int) -> int:
        """Forget what was said of epochs before; how many. Only where no root of theirs can be posted. Blocks."""

        def work(txn: Txn) -> int:
            old = [bytes(key) for key, _ in txn.cursor(self._words) if int.from_bytes(key, "big") < epoch]
            for key in old:
                txn.delete(key, db=self._words)
            return len(old)

        return self._environment.write(work)

    def _word(self, txn: Txn, epoch: int) -> tuple[Word, tuple[bytes, ...]] | None:
        stored = txn.get(epoch.to_bytes(8, "big"), db=self._words)
        if stored is None:
            return None
        data = without_hash(stored, f"What this settler said of epoch {epoch}")
        size = int.from_bytes(data[:4], "big")
        digests = data[4 + size :]
        word = decode(data[4 : 4 + size], Word)
        return word, tuple(digests[at : at + 32] for at in range(0, len(digests), 32))


def _follows(before: Word, word: Word) -> bool:
    """Whether a settler that said `before` may say `word`."""
    if before.signed is not None:
        return word.root == before.root and word.signed is not None and word.turn >= before.turn
    if word.signed is not None:
        return word.turn >= before.turn
    return word.turn > before.turn or (word.turn == before.turn and word.root == before.root)


def _read(stored: memoryview) -> Held | None:
    try:
        return decode(without_hash(stored, "A receipt"), Held)
    except (StoreDamaged, RecordError):
        return None
