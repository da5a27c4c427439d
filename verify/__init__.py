"""Why an answer may be believed: committees and their rounds, certificates, the checks behind `hallmark verify`.

May import `wire` alone, and numpy in `tolerance` alone; so `tolerance`, and `member` which needs it, are not imported
here. No I/O, no clock and no trio: `round` and `member` are machines that take events and the time, `report` checks a
receipt file offline.
"""

from .ballots import Case, Sitting
from .checks import Check, require
from .committee import Committee, committee_for, draw
from .events import (
    AnswerReady,
    CallMember,
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
from .ladder import check_evidence, check_expected, rests_on
from .openings import Outputs
from .policy import STRICT, Policy
from .receipts import check_answer, check_asked, check_inputs, rows
from .report import Report, verify_file
from .round import LocalRoundError, Round
from .tiers.claim import Claim, claim_of, file_of

__all__ = [
    "STRICT",
    "AnswerReady",
    "CallMember",
    "Case",
    "Check",
    "Claim",
    "Committee",
    "Effect",
    "Event",
    "Faulted",
    "LocalRoundError",
    "MemberCommitted",
    "MemberFailed",
    "MemberJudged",
    "Outcome",
    "Outputs",
    "Phase",
    "Policy",
    "Report",
    "Round",
    "SendReceipt",
    "Sitting",
    "TimePassed",
    "check_answer",
    "check_asked",
    "check_evidence",
    "check_expected",
    "check_inputs",
    "claim_of",
    "committee_for",
    "draw",
    "file_of",
    "require",
    "rests_on",
    "rows",
    "verify_file",
]
