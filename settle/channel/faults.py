"""Why a payment did not come about. Every `str()` is a sentence for a person; none of them is anybody's dishonesty."""

from __future__ import annotations


class PaymentFault(Exception):
    """What should pay for an answer does not."""


class BadPayment(PaymentFault):
    """A channel or a voucher is not what it has to be."""


class NotCovered(PaymentFault):
    """The channel's deposit does not cover it. `missing` is what would."""

    def __init__(self, message: str, missing: int) -> None:
        super().__init__(message)
        self.missing = missing


class Disputed(PaymentFault):
    """The two sides' books differ by more than an answer whose end is not known."""


class OverBudget(PaymentFault):
    """The payer's own limits do not allow it."""
