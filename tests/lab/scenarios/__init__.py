"""What happens to peers on real links: a module a subject. A scenario gives rows as it finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..table import Row
from . import dht, flood, laboratory, outages, pairs, people, quorum, reach, six, weather
from .skipped import Skipped as Skipped

SCENARIOS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "laboratory": laboratory.run,
    "reach": reach.run,
    "closed": reach.closed,
    "forgets": reach.forgets,
    "people": people.run,
    "quorum": quorum.run,
    "lan": pairs.lan,
    "pairs": pairs.every,
    "punched": pairs.punched,
    "six": six.run,
    "pierced": six.pierced,
    "relay-dies": outages.one,
    "relays-down": outages.all_of_them,
    "weather": weather.run,
    "dht": dht.run,
    "flood": flood.run,
    "ban": flood.ban,
}

WAITING = ("closed", "forgets", "relays-down")  # those in which peers do next to nothing for minutes
