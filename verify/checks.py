"""One named question with its answer: what every check in this package returns, so that all of them can be shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wire.errors import RecordError


@dataclass(frozen=True, slots=True)
class Check:
    """`detail` is a sentence: what was found when it is right, what is wrong when it is not."""

    name: str
    ok: bool
    detail: str

    @property
    def of_policy(self) -> bool:
        """Whether it asks what its reader wants, and not what is true: nobody lied where only such a one fails."""
        return self.name.startswith("policy: ")


def equal(name: str, got: object, want: object, wrong: str) -> Check:
    """The check that two values are the same."""
    return Check(name, got == want, "as asked" if got == want else wrong)


def require(checks: Iterable[Check]) -> None:
    """RecordError with the first check that failed."""
    for check in checks:
        if not check.ok:
            raise RecordError(f"{check.name}: {check.detail}")
