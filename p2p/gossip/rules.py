"""Every rule that gossip is admitted or refused by: its name, what it does to a message, and what it weighs.

docs/protocol.md has this table in words. An offence of weight 1 is one that no honest peer commits; what an honest
peer may do by mishap weighs so little that only a habit of it counts.
"""

from __future__ import annotations

from enum import Enum


class Admission(Enum):
    """What becomes of a message. ACCEPT delivers and forwards it, IGNORE drops it, REJECT drops and forgets it: who
    says it again is judged again."""

    ACCEPT = "accept"
    IGNORE = "ignore"
    REJECT = "reject"


class Rule(Enum):
    """A rule's name for counts and logs, its verdict on a message, and the weight of the offence."""

    # of messages, in the order in which they are asked
    REFUSED = "the neighbour is refused", Admission.IGNORE, 0.0
    SENDER_RATE = "the neighbour is over its rate", Admission.IGNORE, 0.02
    FORM = "fields are missing, or longer than any honest one", Admission.REJECT, 1.0
    TOPIC = "not one topic, or one that is not joined here", Admission.IGNORE, 0.0
    SEEN = "its id is known", Admission.IGNORE, 0.0
    OWN = "this peer said it itself", Admission.IGNORE, 0.0
    OLD = "its author's clock was past it a minute ago or more", Admission.IGNORE, 0.0
    BUSY = "unproven neighbours, or all of them, bring more than is judged", Admission.REJECT, 0.0
    FORGED = "it is not signed by its author", Admission.REJECT, 1.0
    AUTHOR_RATE = "the author is over its rate", Admission.IGNORE, 0.0
    BROKEN = "the topic's rule failed: a fault of this peer's own", Admission.IGNORE, 0.0
    REJECTED = "the topic's rule rejects it", Admission.REJECT, 1.0
    IGNORED = "the topic's rule ignores it", Admission.IGNORE, 0.0
    FOREIGN = "heard, not passed on: the author's key is no secp256k1 key", Admission.IGNORE, 0.0
    ACCEPTED = "new and good", Admission.ACCEPT, 0.0

    # of all else that a neighbour does
    MALFORMED = "no gossip RPC, or one of too many parts", Admission.REJECT, 1.0
    BYTES = "more bytes than a neighbour may send: read later", Admission.IGNORE, 0.0
    DEAF = "takes part and does not read", Admission.REJECT, 1.0
    GRAFT_IN_BACKOFF = "grafts itself sooner than it was told", Admission.REJECT, 0.2
    CONTROL_RATE = "more control than is looked at", Admission.REJECT, 0.02
    BROKEN_PROMISE = "offers messages and does not send them", Admission.REJECT, 0.1

    def __init__(self, text: str, verdict: Admission, weight: float) -> None:
        self.text, self.verdict, self.weight = text, verdict, weight
