"""What a peer has while it runs: everything a role or an operation needs, and nothing that makes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wire.errors import ErrorCode, RecordError, RemoteError
from wire.keys import public_of
from wire.network import Network
from wire.presence import Presence

from .attesting.seen import Attested
from .auditing.queue import Checks
from .clock import now_ms
from .distrust import Distrust
from .held import Held
from .intake import Intake
from .local import Local
from .noticeboard import Noticeboard
from .ready import ReadyModels
from .seen import Tally
from .signal import Signal

if TYPE_CHECKING:
    from p2p import Host
    from settle.chain import Chain, Sender

    from .acquainted import Acquainted
    from .attesting.service import Attesting
    from .listening import Listening
    from .networks.updating import Updates
    from .paying.claiming import Claiming
    from .paying.earning import Earning
    from .paying.spending import Spending
    from .settling.handing import Handing
    from .zk.provers import Provers
from .tiers.costs import ProofCosts
from .zk.proofs import CheckedProofs


@dataclass
class Peer:
    """One running peer. Made by `opening.open_peer`."""

    local: Local
    host: Host
    board: Noticeboard
    ready: ReadyModels
    intake: Intake
    roles: tuple[str, ...]
    started_ms: int
    listening: Listening  # where, and why there
    bootstraps: int  # how many addresses the host has to start from
    draining: bool = False  # set by the first Ctrl-C: no new work is taken
    busy: int = 0  # pieces of work in hand, which draining waits for
    board_changed: Signal = field(default_factory=Signal)  # gossip brought something
    reach_changed: Signal = field(default_factory=Signal)  # others reach this peer elsewhere, or not any more
    idle: Signal = field(default_factory=Signal)  # a piece of work was finished
    distrust: Distrust = field(default_factory=Distrust)  # providers whose answers did not hold
    acquainted: Acquainted | None = None  # who answered this peer; None before its first question
    held: Held = field(default_factory=Held)  # the inputs of requests in hand
    checks: Checks = field(default_factory=Checks)  # own sampled answers that a verifier shall check
    tally: Tally = field(default_factory=Tally)  # pulls and calls, until they are written down
    attesting: Attesting | None = None  # of a provider that runs in a trusted environment
    attested: Attested = field(default_factory=Attested)  # what such providers showed us
    provers: Provers | None = None  # of a provider: the models whose answers it can prove
    checked: CheckedProofs = field(default_factory=CheckedProofs)  # proofs that were checked here
    costs: ProofCosts = field(default_factory=ProofCosts)  # what this provider's proofs took
    spending: Spending | None = None  # on a network with a chain: the channels that this peer pays from
    earning: Earning | None = None  # and those that pay it, where it is a provider
    claiming: Claiming | None = None  # which looks after these
    handing: Handing | None = None  # on a network with a chain: proved receipts on their way to settlers
    updates: Updates | None = None  # newer files of the network
    chain: Chain | None = None  # the network's, where it has one
    sender: Sender | None = None  # of the account that pays from here, where it is unlocked

    @property
    def network(self) -> Network:
        return self.local.network

    @contextmanager
    def work(self) -> Iterator[None]:
        """Counts one piece of work in hand; RemoteError when this peer is stopping."""
        if self.draining:
            raise RemoteError(ErrorCode.OVERLOADED, "this peer is about to stop: ask another")
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1
            self.idle.notify()

    def moved(self) -> None:
        """Others reach this peer elsewhere, or not any more: what was said of its addresses is said anew."""
        self.reach_changed.notify()
        self.ready.changed.notify()

    def is_hub(self, peer_id: str) -> bool:
        """Whether the peer says that it is a hub."""
        presence = self.presence_of(peer_id)
        return presence is not None and "hub" in presence.roles

    def presence_of(self, peer_id: str) -> Presence | None:
        """What the peer says of itself now; None when it says nothing, as one that does not serve."""
        try:
            return self.board.presence(public_of(peer_id), now_ms())
        except RecordError:  # a peer with a key of another kind
            return None

    @property
    def hears(self) -> bool:
        """Whether gossip tells this peer of names: one that serves stays long enough to listen."""
        return bool(self.roles)

    def addresses_of(self, public: bytes) -> tuple[str, ...]:
        """Where the peer with this key says it can be reached: its presence, its offers, or the network file."""
        found: list[str] = []
        if presence := self.board.presence(public, now_ms()):
            found += presence.addresses
        found += [a for o in self.board.offers(now_ms()) if o.peer == public for a in o.addresses]
        found += [a for v in self.network.listed if v.key == public for a in v.addresses]
        return tuple(dict.fromkeys(found))
