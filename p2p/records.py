"""The value records that this peer holds for others: judged, bounded, and never an older one for a newer one.

What a record means is not known here. Whoever opens the host passes a judge, which refuses a record or ranks it; of two
records under one key the higher rank wins, and of equal ranks the greater bytes, so that all peers settle on one. On
the wire a key is the text `/hallmark/` and its bytes in hexadecimal, because the library validates by such names.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from libp2p.abc import IHost
from libp2p.kad_dht.common import format_time_rfc3339
from libp2p.kad_dht.pb.kademlia_pb2 import Record
from libp2p.kad_dht.value_store import ValueStore
from libp2p.records.validator import NamespacedValidator, Validator

from . import bounds

log = logging.getLogger(__name__)

NAMESPACE = "hallmark"
_PREFIX = f"/{NAMESPACE}/".encode()

Judge = Callable[[bytes, bytes], int | None]
"""The rank of a value under a key, both a stranger's bytes; None refuses it. It must not block."""


def name_of(key: bytes) -> bytes:
    """The key as it travels."""
    return _PREFIX + key.hex().encode()


def key_of(name: bytes) -> bytes | None:
    """The key that travels as `name`; None for a name that `name_of` does not make."""
    try:
        key = bytes.fromhex(name.removeprefix(_PREFIX).decode("ascii"))
    except ValueError:
        return None
    return key if key and len(key) <= bounds.RECORD_KEY and name_of(key) == name else None


class Records(ValueStore):
    """The library's store of values, with the judge at every way in and out. Times are the wall clock's."""

    def __init__(self, host: IHost, judge: Judge | None) -> None:
        super().__init__(host, host.get_id())
        self._judge = judge

    def order(self, name: bytes, value: bytes) -> tuple[int, bytes] | None:
        """What records of one name are compared by; None for one that is refused."""
        key = key_of(name)
        if key is None or self._judge is None or not 0 < len(value) <= bounds.RECORD_VALUE:
            return None
        try:
            rank = self._judge(key, value)
        except Exception:  # a fault of ours, met by a stranger's bytes: what cannot be judged is refused
            log.exception("a record could not be judged")
            return None
        return None if rank is None else (rank, value)

    def newest(self, name: bytes) -> bytes | None:
        """The value that is held under `name`."""
        record = self.get(name)
        return record.value if record is not None else None

    def offer(self, name: bytes, value: bytes) -> bool:
        """Hold `value` if it is good and no newer one is held; whether it is held now. The same again lives longer."""
        order = self.order(name, value)
        held = self.newest(name)
        before = self.order(name, held) if held is not None else None
        if order is None or (before is not None and before > order):
            return False
        # Without what else a stranger put into its record: signatures of the library's kind, which prove nothing here.
        record = Record(key=name, value=value, timeReceived=format_time_rfc3339())
        self.store.pop(name, None)
        self.store[name] = (record, time.time() + bounds.RECORD_LIFE)
        while len(self.store) > bounds.RECORDS:
            del self.store[next(iter(self.store))]
        return True

    # What the library calls.

    def get(self, key: bytes) -> Record | None:
        """The record, judged again: a judge may refuse with time what it took before."""
        record = super().get(key)
        if record is not None and self.order(key, record.value) is None:
            self.remove(key)
            return None
        return record

    def put_record(self, key: bytes, record: Record) -> None:
        """As `offer`."""
        self.offer(key, record.value)

    def put(self, key: bytes, value: bytes, validity: float = 0.0) -> None:  # noqa: ARG002 — the library's signature
        """As `offer`; how long a record lives is decided here."""
        self.offer(key, value)


class _JudgeValidator(Validator):
    def __init__(self, records: Records) -> None:
        self._records = records

    def validate(self, key: str, value: bytes) -> None:
        if self._records.order(key.encode(), value) is None:
            raise ValueError("the record is refused")

    def select(self, key: str, values: list[bytes]) -> int:
        """The best one's index, the last one's of equals: so the same record put again is taken and acknowledged."""
        orders = [self._records.order(key.encode(), value) for value in values]
        judged = [(order, index) for index, order in enumerate(orders) if order is not None]
        if not judged:
            raise ValueError("none of the records is good")
        return max(judged)[1]


def validator(records: Records) -> NamespacedValidator:
    """What the library asks about every value that comes: ours by the judge, all others refused."""
    return NamespacedValidator({NAMESPACE: _JudgeValidator(records)}, strict_validation=True)
