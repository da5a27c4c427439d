"""The development attester: a key in a file signs what hardware would. It shows that the path works, and nothing else.

Its certificates say `dev`, and every policy refuses them that does not allow `dev` by name.
"""

from __future__ import annotations

from wire.attestation import DevQuote
from wire.canonical import decode
from wire.errors import RecordError
from wire.keys import address_of, show_address

from .attested import Attested, BadQuote


def read_dev(quote: bytes) -> Attested:
    """What the attester said; BadQuote when it did not."""
    try:
        said = decode(quote, DevQuote)
        name = show_address(address_of(said.attester))
    except RecordError as error:
        raise BadQuote(f"this is no development attester's quote: {error}") from error
    if not said.is_signed():
        raise BadQuote("the development attester did not sign this")
    return Attested(
        kind="dev",
        maker=f"a development attester's quote (a key in a file, {name}; no hardware)",
        measurement=said.measurement,
        registers=(("RUNTIME", said.measurement),),
        report_data=said.report_data,
        debug=False,
        good_from_s=0,
        good_until_s=2**53,
    )
