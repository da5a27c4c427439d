"""Whether a committee that accuses somebody on the chain is the one that was drawn.

The contract looks up who was a verifier, and with what weight, and leaves the draw to the peers: whoever sees that a
committee was not drawn contests what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verify.committee import draw
from wire.bounds import CLOCK_SKEW_MS, MAX_REQUEST_LIFE_MS
from wire.errors import RecordError
from wire.keys import address_of
from wire.network import Network, Registry


def draw_fault(network: Network, receipt: Mapping[str, Any], committee: Mapping[str, Any]) -> str | None:
    """Why this committee was not drawn for the receipt's request, or None. Both as the contract has them.

    What the request's time was is not told: it is one at which its answer could begin when it did.
    """
    began = int(receipt["started"])
    held = _epochs(network, began - MAX_REQUEST_LIFE_MS - CLOCK_SKEW_MS, began + CLOCK_SKEW_MS)
    epoch = int(committee["epoch"])
    if epoch not in held:
        return f"epoch {epoch} did not hold when the request was made"
    try:
        drawn = draw(held[epoch], receipt["request"], (receipt["provider"], receipt["payer"]), int(committee["size"]))
    except RecordError as error:
        return str(error)
    places = [address_of(place.key) for place in drawn.places]
    if len(drawn.members) != int(committee["size"]) or places != list(committee["places"]):
        return "another committee is drawn for the request"
    return None


def _epochs(network: Network, since_ms: int, until_ms: int) -> dict[int, Network]:
    """The epochs that held at some time in between, by number."""
    registries: tuple[Network | Registry, ...] = (*network.past, network)
    begun = [registry.from_ms for registry in registries]
    times = {max(0, since_ms), max(0, until_ms), *(ms for ms in begun if since_ms <= ms <= until_ms)}
    found = {}
    for ms in times:
        try:
            then = network.at(ms)
        except RecordError:  # before all that is known
            continue
        found[then.epoch] = then
    return found
