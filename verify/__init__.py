"""Why an answer may be believed: committees and their rounds, certificates, the checks behind `hallmark verify`.

May import `wire` alone, and numpy in `tolerance` alone; so `tolerance`, and `member` which needs it, are not imported
here. No I/O, no clock and no trio: `round` and `member` are machines that take events and the time, `report` checks a
receipt file offline.
"""

from .checks import Check, require
from .committee import Committee, committee_for, draw
from .events import (
    AnswerReady,
    Effect,
    Event,
    Faulted,
    MemberCommitted,
    MemberFailed,
    MemberJudged,
    Outcome,
    Phase,
    SendReceipt,
    TimePassed,
)
from .receipts import check_answer, check_inputs, rows
from .report import Report, verify_file
from .round import LocalRoundError, Round
from .tiers import check_evidence

__all__ = [
    "AnswerReady",
    "Check",
    "Committee",
    "Effect",
    "Event",
    "Faulted",
    "LocalRoundError",
    "MemberCommitted",
    "MemberFailed",
    "MemberJudged",
    "Outcome",
    "Phase",
    "Report",
    "Round",
    "SendReceipt",
    "TimePassed",
    "check_answer",
    "check_evidence",
    "check_inputs",
    "committee_for",
    "draw",
    "require",
    "rows",
    "verify_file",
]
